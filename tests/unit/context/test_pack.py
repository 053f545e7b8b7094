from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context.context_map import Relation
from loom_jupyter.context.index import Index
from loom_jupyter.context.pack import ChangedError, NoRoomError, estimate

Open = Callable[..., Index]
REQUEST = "the tariff charges too much"


def test_target_is_the_exact_text(shop: Path, opened: Open) -> None:
    index = opened(shop)
    ledger = index.rank(REQUEST)
    offers = index.offers(ledger)
    made = index.map(ledger, offers[:1], 2000)
    (target,) = made.targets
    data = (shop / "src/tariff.py").read_bytes()
    assert (target.symbol, target.start, target.end) == ("tariff", 8, 12)
    assert target.text == "\n".join(data.decode().split("\n")[7:12]) + "\n"
    assert target.sha256 == hashlib.sha256(data).hexdigest()
    assert made.tokens == estimate(made.render())


def test_head_of_file_and_tests_come_as_excerpts(shop: Path, opened: Open) -> None:
    index = opened(shop)
    ledger = index.rank(REQUEST)
    why = {(e.path, e.symbol): e.why for e in index.map(ledger, index.offers(ledger)[:1], 3000).excerpts}
    assert why["src/tariff.py", None] == "head of the file"
    assert why["tests/test_tariff.py", "test_tariff_small"].startswith("test that names")


def test_a_large_target_is_packed_although_little_else_may_be_read(shop: Path, opened: Open) -> None:
    index = opened(shop)
    ledger = index.rank(REQUEST)
    alone = index.map(ledger, index.offers(ledger)[:2], 4000, reading=0)
    assert len(alone.targets) == 2
    assert not alone.excerpts
    some = index.map(ledger, index.offers(ledger)[:2], 4000, reading=alone.tokens + 60)
    everything = index.map(ledger, index.offers(ledger)[:2], 4000)
    assert len(some.excerpts) < len(everything.excerpts)


def test_offers_have_ids_in_order_and_do_not_overlap(shop: Path, opened: Open) -> None:
    index = opened(shop)
    offers = index.offers(index.rank("parcel weight tariff depot release"), 6)
    assert [o.id for o in offers] == [f"s{n}" for n in range(1, len(offers) + 1)]
    for n, a in enumerate(offers):
        assert not any(a.path == b.path and a.start <= b.end and b.start <= a.end for b in offers[:n])


def test_cell_is_a_target_with_its_id(make: Callable[..., Path], opened: Open) -> None:
    cells = [
        {"id": "one", "cell_type": "markdown", "metadata": {}, "source": "# Plot"},
        {"id": "two", "cell_type": "code", "metadata": {}, "source": "import x\nplot_weights(1)\n", "outputs": []},
    ]
    root = make({"n.ipynb": json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})})
    index = opened(root)
    ledger = index.rank("plot_weights")
    offer = index.offers(ledger)[0]
    assert (offer.cell, offer.kind, offer.start, offer.end) == ("two", "cell", 1, 2)
    assert index.map(ledger, [offer], 500).targets[0].text == "import x\nplot_weights(1)\n"


def test_nothing_chosen_gives_only_excerpts(shop: Path, opened: Open) -> None:
    index = opened(shop)
    made = index.map(index.rank(REQUEST), [], 500)
    assert made.targets == ()
    assert made.excerpts


def test_no_room_is_an_error_with_the_remedy(shop: Path, opened: Open) -> None:
    index = opened(shop)
    ledger = index.rank(REQUEST)
    with pytest.raises(NoRoomError, match="larger window"):
        index.map(ledger, index.offers(ledger)[:1], 10)


ABOVE = "# One.\n# Two.\n# Three.\n"


def changed(root: Path, name: str, change: Callable[[str], str]) -> None:
    """Change a file so that its size and time say nothing: the digest must."""
    file = root / name
    before = file.stat()
    file.write_text(change(file.read_text()))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("again", [False, True], ids=["as it was", "refreshed"])
def test_a_unit_whose_lines_moved_is_shown_as_it_is(shop: Path, opened: Open, again: bool) -> None:
    index = opened(shop)
    ledger = index.rank("tariff depot release store guide weigh")
    offers = index.offers(ledger, limit=20)
    wanted = {(o.path, o.symbol, o.kind) for o in offers}
    assert {("src/tariff.py", "tariff", "function"), ("src/tariff.py", "Depot.release", "method")} <= wanted
    for name in ("src/tariff.py", "docs/guide.md", "tests/test_tariff.py"):
        (shop / name).write_text(ABOVE.replace("#", "-") * 3 + (shop / name).read_text())
    if again:
        index.refresh()
    packed = index.map(ledger, offers, 20_000)
    assert {(t.path, t.symbol, t.kind) for t in packed.targets} == wanted
    for target in packed.targets:
        data = (shop / target.path).read_bytes()
        lines = data.decode().split("\n")
        assert target.sha256 == hashlib.sha256(data).hexdigest()
        assert target.text.rstrip() == "\n".join(lines[target.start - 1 : target.end]).rstrip()
        bare = (target.symbol or "").rpartition(".")[2].rpartition(" / ")[2]
        assert bare in target.text.split("\n")[0] or target.kind == "file"
    for excerpt in packed.excerpts:
        lines = (shop / excerpt.path).read_text().split("\n")
        assert excerpt.text.rstrip() == "\n".join(lines[excerpt.start - 1 : excerpt.end]).rstrip()
        assert not excerpt.symbol or excerpt.symbol.rpartition(".")[2] in excerpt.text


def test_the_same_size_and_time_do_not_hide_a_change(shop: Path, opened: Open) -> None:
    index = opened(shop)
    ledger = index.rank("tariff of a parcel")
    offers = [o for o in index.offers(ledger) if o.symbol == "tariff"]
    text = (shop / "src/tariff.py").read_text()
    # Four lines less above the unit, as many below it.
    moved = text.replace('"""Prices of parcels."""\n\n', "", 1) + "# fill up the file .....\n\n"
    changed(shop, "src/tariff.py", lambda _: moved.ljust(len(text), "\n")[: len(text)])
    assert (shop / "src/tariff.py").stat().st_size == len(text)
    (target,) = index.map(ledger, offers, 2000).targets
    assert target.text.startswith("def tariff(weight):")


def test_of_two_units_of_one_name_none_is_guessed(make: Callable[..., Path], opened: Open) -> None:
    text = "def tariff(weight):\n    return 1\n\n\ndef tariff(weight):\n    return 2\n"
    root = make({"a.py": text})
    index = opened(root)
    ledger = index.rank("tariff weight")
    offers = [o for o in index.offers(ledger) if o.symbol == "tariff"][:1]
    (root / "a.py").write_text(ABOVE + text)
    with pytest.raises(ChangedError, match="run the request once more"):
        index.map(ledger, offers, 2000)


def test_a_getter_and_a_setter_are_told_apart(make: Callable[..., Path], opened: Open) -> None:
    text = (
        "class Parcel:\n    @property\n    def weight(self):\n        return self._weight\n\n"
        "    @weight.setter\n    def weight(self, value):\n        self._weight = value\n"
    )
    root = make({"a.py": text})
    index = opened(root)
    ledger = index.rank("weight value")
    offers = [o for o in index.offers(ledger) if o.kind == "method"]
    (root / "a.py").write_text(ABOVE + text)
    for offer in offers:
        (target,) = index.map(ledger, [offer], 2000).targets
        assert offer.signature in target.text
        assert target.text in ABOVE + text


def test_a_unit_that_is_gone_is_named(shop: Path, opened: Open) -> None:
    index = opened(shop)
    ledger = index.rank("tariff depot")
    offers = index.offers(ledger, limit=20)
    (shop / "src/tariff.py").write_text("# nothing\n")
    packed = index.map(ledger, offers, 20_000)
    assert "src/tariff.py" not in {t.path for t in packed.targets if t.kind != "file"}
    assert ("src/tariff.py", "tariff") in {(o.path, o.symbol) for o in packed.omitted}
    with pytest.raises(ChangedError):
        index.map(ledger, [o for o in offers if o.symbol == "tariff"], 2000)


def test_a_cell_whose_notebook_changed_is_found_by_its_id(make: Callable[..., Path], opened: Open) -> None:
    def book(*cells: tuple[str, str]) -> str:
        told = [{"id": i, "cell_type": "code", "source": s, "metadata": {}, "outputs": []} for i, s in cells]
        return json.dumps({"cells": told, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

    root = make({"n.ipynb": book(("one", "weight = 2"), ("two", "def tariff(weight):\n    return weight"))})
    index = opened(root)
    ledger = index.rank("tariff weight")
    offers = [o for o in index.offers(ledger) if o.cell == "two"]
    head = "# a\n# b\n"
    moved = book(("zero", "x = 1\ny = 2"), ("two", head + "def tariff(weight):\n    return weight"))
    (root / "n.ipynb").write_text(moved)
    for target in index.map(ledger, offers, 2000).targets:
        assert "return weight" in target.text
        assert target.cell == "two"


@pytest.mark.parametrize("relation", list(Relation))
def test_relations_of_a_file_that_changed_name_real_lines(shop: Path, opened: Open, relation: Relation) -> None:
    index = opened(shop)
    ledger = index.rank("tariff")
    (offer,) = (o for o in index.offers(ledger, limit=20) if o.symbol == "tariff")
    for name in ("src/tariff.py", "tests/test_tariff.py"):
        (shop / name).write_text(ABOVE + (shop / name).read_text())
    for found in index.related(offer, relation):
        (target,) = index.map(ledger, [found], 2000).targets
        assert (found.symbol or "").rpartition(".")[2] in target.text.split("\n")[0]
