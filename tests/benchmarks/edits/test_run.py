"""The harness itself, with a scripted model: what it reads from a run, and how it judges."""

from __future__ import annotations

import difflib
import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.models.protocol import Alternative, Branch, ModelError, TokenScore, Usage
from tests.benchmarks.edits import kinds, packages, run
from tests.benchmarks.edits.meter import Meter, covered
from tests.benchmarks.edits.outcome import Outcome, append, read, run_all, table
from tests.benchmarks.edits.packages import Fault, Package

SAMPLE = Path(__file__).parents[3] / "notebooks" / "parcels"
PLAN = json.dumps({"intent": "change", "goal": "2 kg is small", "acceptance": [], "terms": ["tariff"]})
TEST = """from parcels.tariff import parcel_price


def test_small():
    assert parcel_price(2.0) == 4.9


def test_medium():
    assert parcel_price(2.5) == 7.5
"""
FAULT = Fault(
    name="two-kilograms",
    package=Package("parcels", "1.0", ("tests/test_tariff.py",)),
    kind="wrong comparison",
    file="parcels/tariff.py",
    symbol="parcel_price",
    old="    if weight <= 2:",
    new="    if weight < 2:",
    report="A parcel of exactly 2 kg costs 7.50, the price by weight should be 4.90",
    check="python -m pytest -q tests/test_tariff.py",
    fails=("tests/test_tariff.py::test_small",),
)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache that holds the sample project as a package, mended."""
    root = Path(shutil.copytree(SAMPLE, tmp_path / "cache/parcels-1.0"))
    packages.exchange(root, FAULT.file, FAULT.new, FAULT.old)
    (root / "tests/test_tariff.py").write_text(TEST)
    return tmp_path / "cache"


@pytest.fixture
def provide_model(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> Any:
    """Put a model in place that doubts the comparison and goes on with `line`."""

    def put(line: str) -> None:
        class Weak(scripted):  # type: ignore[misc]
            def score(self, messages: Any, text: str, **_: Any) -> Any:
                at = text.find("< 2")
                alternatives = (Alternative(7, "<=", -2.0),)
                return ([TokenScore(0, at, "<", -0.1, alternatives)] if at >= 0 else []), Usage()

        @contextmanager
        def acquire(name: Any, on_progress: Any, cancel: threading.Event, log: Path) -> Iterator[Any]:
            on_progress("load", 0.5)
            yield Weak([PLAN, '{"targets": ["s1"]}'], lines={Branch(0, 7): line})

        monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)

    return put


def test_a_solved_task_is_measured(tmp_path: Path, cache: Path, provide_model: Any) -> None:
    provide_model("<= 2:")
    outcome = run.run_fault(FAULT, model=None, budget=20, work=tmp_path / "work", cache=cache)
    assert outcome.solved, outcome
    assert outcome.claimed
    assert outcome.broke == []
    assert "+    if weight <= 2:" in outcome.diff
    assert outcome.winner is not None
    assert outcome.candidates >= outcome.winner >= 1
    assert outcome.winner_kind
    assert outcome.offered in range(1, 9)  # the ranking has tests of its own
    assert outcome.targeted == 1
    assert outcome.unusable == 0
    assert not outcome.lost_to_form
    assert 0 < outcome.check_seconds < outcome.seconds
    assert outcome.overhead_seconds is not None
    assert 0 <= outcome.overhead_seconds < outcome.seconds
    assert (Path(outcome.run) / "progress.jsonl").exists()


def test_a_model_that_does_not_load_is_no_result(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def acquire(*_: Any) -> Iterator[Any]:
        raise ModelError("no such file")
        yield

    monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)
    with pytest.raises(packages.SuiteError, match="no such file"):
        run.run_fault(FAULT, model=None, budget=5, work=tmp_path / "work", cache=cache)


def test_an_answer_that_breaks_another_test_is_not_solved(tmp_path: Path, cache: Path, provide_model: Any) -> None:
    provide_model("<= 3:")
    narrow = Fault(**{**FAULT.__dict__, "check": f"{FAULT.check} -k small"})
    outcome = run.run_fault(narrow, model=None, budget=5, work=tmp_path / "work", cache=cache)
    if outcome.claimed and "<= 3" in outcome.diff:
        assert not outcome.solved
        assert outcome.broke == ["tests/test_tariff.py::test_medium"]


def test_the_fault_is_what_it_says(tmp_path: Path, cache: Path) -> None:
    fresh = packages.fresh_copy(FAULT.package, tmp_path / "fresh", cache)
    assert packages.failing(packages.run_tests(packages.all_tests(FAULT.package), fresh)) == set()
    root = packages.faulty_copy(FAULT, tmp_path / "copy", cache)
    assert packages.failing(packages.run_tests(packages.all_tests(FAULT.package), root)) == set(FAULT.fails)
    with pytest.raises(packages.SuiteError, match="0 times"):
        packages.exchange(root, FAULT.file, FAULT.old, FAULT.new)


def test_tests_that_cannot_run_are_no_result(tmp_path: Path, cache: Path) -> None:
    root = packages.fresh_copy(FAULT.package, tmp_path / "fresh", cache)
    with pytest.raises(packages.SuiteError, match="could not be run"):
        packages.failing(packages.run_tests("python -c 'raise SystemExit(3)'", root))


def test_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    out = tmp_path / "lines.jsonl"
    asked: list[str] = []

    def one(name: str) -> Outcome:
        asked.append(name)
        return Outcome(task=name, group="g", harness="loom", model="m", solved=name == "a", seconds=2.0)

    run_all(["a", "b"], one, out=out, resume=False, jobs=1)
    with out.open("a") as file:
        file.write('{"task": "torn')
    out.write_text(out.read_text() + "\n")
    found = run_all(["a", "b", "c"], one, out=out, resume=True, jobs=1)
    assert asked == ["a", "b", "c"]
    assert [o.task for o in found] == ["a", "b", "c"] == [o.task for o in read(out)]
    assert "1      3" in table(found)
    run_all(["a"], one, out=out, resume=False, jobs=1)
    assert [o.task for o in read(out)] == ["a"]


def test_outcomes_are_read_as_they_were_written(tmp_path: Path) -> None:
    outcome = Outcome(
        task="a", group="g", harness="loom", model="m", broke=["x"], diff="+é\n", overhead_seconds=0.1
    )
    append(tmp_path / "lines.jsonl", outcome)
    assert read(tmp_path / "lines.jsonl") == [outcome]


def test_time_that_overlaps_counts_once() -> None:
    assert covered([(0, 2), (1, 3), (5, 6), (9, 20)], 0.5, 10) == pytest.approx(2.5 + 1 + 1)
    assert covered([], 0, 1) == 0


def test_the_meter_counts_the_model_and_not_its_listener(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> None:
    import time

    class Slow(scripted):  # type: ignore[misc]
        def branch(self, *args: Any, **options: Any) -> Any:
            for n in range(3):
                time.sleep(0.02)
                yield n

    @contextmanager
    def acquire() -> Iterator[Any]:
        yield Slow()

    from loom_jupyter.models import host

    monkeypatch.setattr(host, "acquire", acquire)
    meter = Meter()
    begin = time.time()
    with meter.installed(), host.acquire() as model:  # type: ignore[call-arg]
        for _ in model.branch():
            time.sleep(0.05)
    seconds = covered(meter.spans, begin, time.time())
    assert 0.06 <= seconds < 0.15
    assert host.acquire is acquire


def test_every_fault_is_complete() -> None:
    faults = packages.load()
    assert len({f.name for f in faults}) == len(faults) == 24
    assert len({f.package.name for f in faults}) == 6
    for fault in faults:
        assert fault.fails, fault.name
        assert fault.old != fault.new
        diff = [line[0] for line in difflib.ndiff(fault.old.split("\n"), fault.new.split("\n"))]
        assert max(diff.count("-"), diff.count("+")) <= 2
        assert Path(fault.file).name not in fault.report
    named = [f.name for f in faults if f.symbol.split(".")[-1] in re.findall(r"\w+", f.report)]
    assert len(named) <= 4, named


def test_the_kinds_of_candidates_are_summed_over_runs(tmp_path: Path) -> None:
    log = [
        {"type": "candidate", "kind": "small change", "seconds": 1.0},
        {"type": "candidate", "kind": "small change", "seconds": 2.0},
        {"type": "candidate", "kind": "rewrite", "seconds": 4.0},
        {"type": "proposal"},
    ]
    (tmp_path / "progress.jsonl").write_text("".join(json.dumps(event) + "\n" for event in log))
    outcomes = [
        {"solved": True, "winner_kind": "rewrite", "run": str(tmp_path)},
        {"solved": False, "winner_kind": "", "run": str(tmp_path)},
    ]
    assert kinds.table(outcomes).splitlines()[2:] == [
        "| small change | 4 | 67 % | 6 | 0 |",
        "| rewrite | 2 | 33 % | 8 | 1 |",
    ]
