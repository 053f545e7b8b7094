"""``--check auto`` from the user's words to the accepted change, with a real index, staged copy and check."""

from __future__ import annotations

import json
import re
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from runs_fixtures import PLAN, ProvideModel, choose_price, wait

from loom_jupyter import Loom
from loom_jupyter.checks.examples import find_examples
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import CheckCommandError
from loom_jupyter.events import RunState
from loom_jupyter.runs.auto_check import Definitions, UnplacedError, near_tests, resolve_check
from loom_jupyter.runs.request import Request
from loom_jupyter.settings import Settings

WORDS = "`parcel_price(2.0)` gives 7.5, I expect 4.9"


def told(run: Any) -> list[str]:
    return [event.text for event in run.events() if event.type == "notice"]


def settled(root: Path, task: str, check: str | None = "auto") -> tuple[str | None, list[str]]:
    loom, said = Loom(root), list[str]()
    loom.refresh()
    request = Request(id="x", task=task, root=str(root), check=check)
    with StagedCopy(root) as staged:
        found = resolve_check(request, loom.index, staged, said.append, Settings(), threading.Event())
    return found and found.command, said


@pytest.mark.usefixtures("provide_model")
def test_an_example_in_words_is_the_check_of_a_run(sample: Path) -> None:
    shutil.rmtree(sample / "tests")
    run = wait(Loom(sample).run(WORDS, check="auto"))
    assert run.state is RunState.REVIEW
    assert run.proposal.passed
    assert "+    if weight <= 2:" in run.proposal.diff
    assert list(run.proposal.diffs) == ["parcels/tariff.py"]
    assert any("gives 7.5 as you say, and must give 4.9" in text for text in told(run))
    order = [event.type for event in run.events()]
    shown = [n for n, e in enumerate(run.events()) if e.type == "notice" and "The check is 1 example" in e.text]
    assert shown[0] < order.index("check_started")
    run.accept()
    assert not list(sample.glob("test_loom*"))


@pytest.mark.usefixtures("provide_model")
def test_the_nearest_tests_are_run_with_it(sample: Path) -> None:
    run = wait(Loom(sample).run(WORDS, check="auto", apply=True))
    assert run.state is RunState.ACCEPTED
    (command,) = {event.command for event in run.events() if event.type == "check_started"}
    assert command.startswith("python -m pytest -q test_loom_examples.py tests/test_tariff.py")


@pytest.mark.usefixtures("provide_model")
def test_a_repair_of_the_example_that_breaks_a_test_does_not_pass(sample: Path) -> None:
    # The two candidates: `<= 2` mends the example; this test does not allow it.
    (sample / "tests/test_tariff.py").write_text(
        "from parcels.tariff import parcel_price\n\n\ndef test_two():\n    assert parcel_price(2) == 7.5\n"
    )
    run = wait(Loom(sample).run(WORDS, check="auto", budget=3))
    assert run.proposal is None or run.proposal.passed is False


def test_nothing_to_check_with_is_one_sentence_before_the_run(sample: Path, provide_model: ProvideModel) -> None:
    shutil.rmtree(sample / "tests")
    loom = Loom(sample)
    with pytest.raises(CheckCommandError, match="nothing to check with"):
        loom.run("2 kg costs too much", check="auto")
    assert loom.runs().empty
    provide_model()
    run = wait(loom.run("`parcel_price(3)` gives 9, I expect 7.5", check="auto"))
    assert run.state is RunState.FAILED
    assert "nothing to check with" in run.error
    assert any("already, as you expect" in text for text in told(run))


def test_an_example_that_does_not_hold_leaves_the_tests(sample: Path) -> None:
    found, said = settled(sample, "`parcel_price(3)` gives 9, I expect 7.5. `nowhere(1)` should be 2")
    assert found == "python -m pytest -q"
    assert len(said) == 3
    assert "no module of the workspace defines nowhere" in said[0]


def test_another_check_stays_as_it_is(sample: Path) -> None:
    assert settled(sample, WORDS, "make test") == ("make test", [])
    assert settled(sample, WORDS, None) == (None, [])


def test_many_tests_are_cut_to_the_nearest(sample: Path) -> None:
    for number in range(12):
        (sample / f"tests/test_more_{number}.py").write_text("def test_it(): pass\n")
    found, _ = settled(sample, "parcel_price is wrong at 2 kg")
    assert found is not None
    files = re.findall(r"tests/\S+", found)
    assert len(files) == 8
    assert files[0] == "tests/test_tariff.py"
    loom = Loom(sample)
    loom.refresh()
    near = near_tests(loom.index.snapshot, ["parcels/zones.py"])
    assert near[:2] == ["tests/test_zones.py", "tests/test_label.py"] or near[0] == "tests/test_zones.py"
    assert len(near) == len(set(near)) == 17


@pytest.mark.parametrize(
    ("path", "words", "module", "folder"),
    [
        ("tool.py", "f(1) should be 2", "tool", ()),
        ("src/kit/tool.py", "f(1) should be 2", "kit.tool", ()),
        ("scripts/tool.py", "f(1) should be 2", "tool", ("scripts",)),
        ("scripts/json.py", "f(1) should be 2", "scripts.json", ()),
        ("kit/sub/tool.py", "kit.sub.tool.f(1) should be 2", "kit.sub.tool", ()),
        ("kit/sub/tool.py", "tool.f(1) should be 2", "kit.sub.tool", ()),
        ("kit/__init__.py", "kit.f(1) should be 2", "kit", ()),
        ("kit/tool.py", "round(f(1), 2) should be 2", "kit.tool", ()),
    ],
)
def test_what_is_called_is_found_and_can_be_imported(
    tmp_path: Path, path: str, words: str, module: str, folder: tuple[str, ...]
) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("def f(n):\n    return n\n")
    for package in file.parents:
        if package.name in ("kit", "sub") and not (package / "__init__.py").exists():
            (package / "__init__.py").write_text("")
    loom = Loom(tmp_path)
    loom.refresh()
    (example,) = find_examples(words)
    placed = Definitions(loom.root, loom.index.snapshot).place(example)
    assert (placed.module, placed.paths) == (module, folder)
    found, said = settled(tmp_path, words)
    assert found == "python -m pytest -q test_loom_examples.py", said


def test_among_several_definitions_the_best_ranked_is_taken(tmp_path: Path) -> None:
    for name in ("a", "b", "test_c"):
        (tmp_path / f"{name}.py").write_text("def f(n):\n    return n\n")
    loom = Loom(tmp_path)
    loom.refresh()
    (example,) = find_examples("f(1) should be 2")
    for order in (["a.py", "b.py"], ["test_c.py", "b.py", "a.py"]):
        placed = Definitions(loom.root, loom.index.snapshot, order).place(example)
        assert placed.module == order[-2].removesuffix(".py")


def test_what_only_a_notebook_defines_is_said(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    cell["source"] = "def f(n):\n    return n\n"
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "play.ipynb").write_text(json.dumps(book))
    loom = Loom(tmp_path)
    loom.refresh()
    (example,) = find_examples("f(1) should be 2")
    with pytest.raises(UnplacedError, match=r"f is defined in play\.ipynb"):
        Definitions(loom.root, loom.index.snapshot).place(example)


SAID = "For two kilos parcel_price(2.0) comes to 7.5 here. The list says 4.9!"


@pytest.mark.parametrize(
    ("quote", "checks"),
    [
        ({"call": "parcel_price(2.0)", "expected": "4.9", "actual": "7.5"}, True),
        ({"call": "parcel_price(2.0)", "expected": "7.5", "actual": "4.9"}, False),  # the other way round
        ({"call": "parcel_price(3.0)", "expected": "4.9", "actual": ""}, False),  # made up
    ],
)
def test_an_example_that_only_the_model_can_read_is_proved_like_any_other(
    sample: Path, provide_model: ProvideModel, quote: dict[str, str], *, checks: bool
) -> None:
    shutil.rmtree(sample / "tests")
    assert find_examples(SAID) == []
    provide_model([json.dumps({"examples": [quote]}), PLAN, choose_price])
    run = wait(Loom(sample).run(SAID, check="auto"))
    if checks:
        assert any("gives 7.5 as you say, and must give 4.9" in text for text in told(run))
        assert run.proposal.passed
    else:
        assert "nothing to check with" in run.error


def test_the_model_is_not_asked_for_examples_that_can_be_read(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([PLAN, choose_price])
    assert wait(Loom(sample).run(WORDS, check="auto")).state is RunState.REVIEW
