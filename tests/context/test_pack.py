from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loom_jupyter.context.index import Index
from loom_jupyter.context.pack import NoRoomError, estimate

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


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=st.integers(80, 900))
def test_budget_holds_and_what_is_left_out_is_named(shop: Path, opened: Open, budget: int) -> None:
    index = opened(shop)
    ledger = index.rank(REQUEST)
    offers = index.offers(ledger)
    try:
        made = index.map(ledger, offers[:2], budget, lambda text: len(text) // 4)
    except NoRoomError:
        assert budget < 200
        return
    assert made.tokens <= budget
    assert len(made.targets) + sum(o.reason == "no room left in the window" for o in made.omitted) == 2


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
