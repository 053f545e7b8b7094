"""The reference agent's tools and conversation, with a scripted model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import single_agent
from tests.benchmarks.agent_tools import Action, Tools
from tests.benchmarks.edits import packages
from tests.benchmarks.edits.packages import Fault, Package

SAMPLE = Path(__file__).parents[2] / "notebooks" / "parcels"
FAULT = Fault(
    name="two-kilograms",
    package=Package("parcels", "1.0", ("tests/test_small.py",)),
    kind="wrong comparison",
    file="parcels/tariff.py",
    symbol="parcel_price",
    old="    if weight <= 2:",
    new="    if weight < 2:",
    report="A parcel of exactly 2 kg costs 7.50, it should be 4.90",
    check="python -m pytest -q tests/test_small.py",
    fails=("tests/test_small.py::test_small",),
)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    root = Path(shutil.copytree(SAMPLE, tmp_path / "cache/parcels-1.0"))
    packages.exchange(root, FAULT.file, FAULT.new, FAULT.old)
    test = "from parcels.tariff import parcel_price\n\n\ndef test_small():\n    assert parcel_price(2.0) == 4.9\n"
    (root / "tests/test_small.py").write_text(test)
    return tmp_path / "cache"


@pytest.fixture
def provide_model(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> Any:
    def put(*actions: Any) -> Any:
        model = scripted([a if isinstance(a, str) else json.dumps(a) for a in actions])

        @contextmanager
        def acquire(*_: Any) -> Iterator[Any]:
            yield model

        monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)
        return model

    return put


def act(root: Path, **action: Any) -> str:
    return Tools(root).act(Action(**action))


def test_an_agent_that_finds_it_is_counted(cache: Path, provide_model: Any) -> None:
    model = provide_model(
        {"thought": "look", "tool": "grep", "text": "weight < 2"},
        {"thought": "look", "tool": "grep", "text": "weight < 2"},
        {
            "thought": "?",
            "tool": "replace",
            "path": "parcels/tariff.py",
            "old": "SMALL = 4.90",
            "new": "SMALL = 7",
        },
        {
            "thought": "!",
            "tool": "replace",
            "path": "parcels/tariff.py",
            "old": "SMALL = 7",
            "new": "SMALL = 4.90",
        },
        {
            "thought": "!",
            "tool": "replace",
            "path": "parcels/tariff.py",
            "old": "weight < 2",
            "new": "weight <= 2",
        },
    )
    outcome = single_agent.run_fault(FAULT, model=None, budget=60, cache=cache)
    assert outcome.solved
    assert outcome.claimed
    assert (outcome.candidates, outcome.winner, outcome.winner_kind) == (3, 3, "replace")
    assert outcome.diff.count("\n+ ") == 1
    told = [m["content"] for m in model.prompts[-1] if m["role"] == "user"]
    assert "1 failed" in told[0]
    assert "parcels/tariff.py:24: if weight < 2" in told[1]
    assert "exactly that before" in told[2]
    assert [options["temperature"] for options in model.options] == [0.0, 0.0, 0.7, 0.0, 0.0]


def test_an_agent_that_wanders_stops_after_ten_steps(cache: Path, provide_model: Any) -> None:
    model = provide_model(*["nonsense"] * 4, *[{"thought": "", "tool": "list"}] * 20)
    outcome = single_agent.run_fault(FAULT, model=None, budget=60, cache=cache)
    assert not outcome.solved
    assert outcome.claimed is None
    assert outcome.unusable == 4
    assert not outcome.lost_to_form
    assert len(model.prompts) == single_agent.STEPS


def test_the_tools_show_and_change(sample: Path) -> None:
    assert "parcels/tariff.py" in act(sample, tool="list")
    assert "class TooHeavy" in act(sample, tool="read", path="parcels/tariff.py", line=8)
    assert "No line matches" in act(sample, tool="grep", text="xyzzy")
    assert "(" in act(sample, tool="grep", text="parcel_price(")
    code = "def volume_weight(length, width, height):\n    return 1"
    said = act(sample, tool="rewrite", path="parcels/tariff.py", function="volume_weight", code=code)
    assert said.startswith("Written")
    text = (sample / "parcels/tariff.py").read_text()
    assert "    return 1\n\n\ndef charged_weight" in text


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ({"tool": "read", "path": "../secret"}, "no file"),
        ({"tool": "replace", "path": "parcels/tariff.py", "old": "price", "new": "x"}, "times"),
        ({"tool": "replace", "path": "parcels/tariff.py", "old": "a", "new": "a"}, "the same"),
        ({"tool": "replace", "path": "parcels/tariff.py", "old": "if weight < 2:", "new": "if"}, "not be Python"),
        ({"tool": "replace", "path": "tests/test_zones.py", "old": "import", "new": "x"}, "tests may not"),
        ({"tool": "rewrite", "path": "parcels/tariff.py", "function": "nothing", "code": ""}, "no function"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(sample: Path, action: dict[str, Any], says: str) -> None:
    if action["path"] == "tests/test_zones.py":
        (sample / "tests/test_zones.py").write_text("import os\n")
    before = {p: p.read_bytes() for p in sample.rglob("*.py")}
    said = act(sample, **action)
    assert said.startswith("Refused")
    assert says in said
    assert {p: p.read_bytes() for p in sample.rglob("*.py")} == before
