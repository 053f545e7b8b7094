"""Old runs are deleted when a run begins, but none that somebody still needs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter import Loom
from loom_jupyter.edits.accept import accept
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.journal import Journal, JournalState
from loom_jupyter.errors import LoomError
from loom_jupyter.events import RunState, StateChanged
from loom_jupyter.runs import files, store
from loom_jupyter.runs.request import Request
from loom_jupyter.runs.run import Run
from loom_jupyter.runs.store import prune

OLD = 91 * 24 * 3600
YOUNG = 89 * 24 * 3600


@pytest.fixture
def loom(tmp_path: Path) -> Loom:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "a.py").write_bytes(b"a = 1\n")
    return Loom(tmp_path / "ws")


Make = Callable[..., Run]


@pytest.fixture
def make(loom: Loom) -> Make:
    def made(state: RunState, age: float = 0.0, size: int = 0, *, owned: bool = False) -> Run:
        request = Request(id=f"20260101-000000-{next(numbers):03}-aaaa", task="t", root=str(loom.root))
        folder = loom.folder / "runs" / request.id
        folder.mkdir(parents=True)
        files.store(folder / "run.json", request)
        run = Run(folder, request)
        assert run.own()
        run.emit(StateChanged(state=state))
        (folder / "model.log").write_bytes(b"x" * size)
        if not owned:
            run.release()
        then = time.time() - age
        os.utime(folder / "progress.jsonl", (then, then))
        return run

    numbers = iter(range(1000))
    return made


def left(loom: Loom) -> set[str]:
    return {folder.name for folder in (loom.folder / "runs").iterdir()}


def write(run: Run, loom: Loom) -> None:
    accept([FileChange("a.py", b"a = 1\n", b"a = 2\n")], run.folder / "journal", loom.root)


def test_the_newest_runs_stay(loom: Loom, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "KEPT", 3)
    runs = [make(RunState.UNDONE) for _ in range(5)]
    assert prune(loom.folder / "runs") == [runs[1].id, runs[0].id]
    assert left(loom) == {run.id for run in runs[2:]}


def test_runs_of_three_months_ago_go(loom: Loom, make: Make) -> None:
    for state in (RunState.FAILED, RunState.REJECTED, RunState.ACCEPTED, RunState.RUNNING):
        old, young = make(state, OLD), make(state, YOUNG)
        assert prune(loom.folder / "runs") == [old.id]
        assert young.id in left(loom)


def test_runs_that_take_too_much_room_go(loom: Loom, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BYTES", 250_000)
    runs = [make(RunState.FAILED, size=100_000) for _ in range(4)]
    prune(loom.folder / "runs")
    assert left(loom) == {run.id for run in runs[2:]}


@pytest.mark.parametrize("age", [0.0, OLD])
def test_a_run_in_review_and_one_at_work_stay(
    loom: Loom, make: Make, monkeypatch: pytest.MonkeyPatch, age: float
) -> None:
    monkeypatch.setattr(store, "KEPT", 0)
    review, working = make(RunState.REVIEW, age), make(RunState.RUNNING, age, owned=True)
    new = make(RunState.QUEUED)
    prune(loom.folder / "runs", new.id)
    assert left(loom) == {review.id, working.id, new.id}
    working.release()


def test_what_was_accepted_can_be_undone_for_three_months(
    loom: Loom, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "KEPT", 0)
    run, answered = make(RunState.ACCEPTED, YOUNG), make(RunState.ACCEPTED, YOUNG)
    write(run, loom)
    assert prune(loom.folder / "runs") == [answered.id]
    os.utime(run.folder / "progress.jsonl", (time.time() - OLD, time.time() - OLD))
    assert prune(loom.folder / "runs") == [run.id]


def cut_off(run: Run) -> None:
    record = Journal.read(run.folder / "journal")
    assert record is not None
    record.state = JournalState.ACCEPTING
    record.write(run.folder / "journal")


def test_a_half_done_accept_is_never_pruned(loom: Loom, make: Make) -> None:
    run = make(RunState.FAILED, OLD)
    write(run, loom)
    cut_off(run)
    assert prune(loom.folder / "runs") == []


def test_what_is_no_run_stays(loom: Loom, make: Make, tmp_path: Path) -> None:
    make(RunState.FAILED)
    runs = loom.folder / "runs"
    (runs / "notes").mkdir()
    (tmp_path / "mine" / "run.json").parent.mkdir()
    (tmp_path / "mine" / "run.json").write_text("{}")
    (runs / "00-link").symlink_to(tmp_path / "mine")
    (runs / "00-torn").mkdir()
    (runs / "00-torn" / "run.json").write_text("{")
    before = left(loom)
    assert prune(runs) == []
    assert left(loom) == before
    assert prune(runs / "none") == []


# --- deleting by hand ---


def test_deleting_a_run_finishes_a_half_done_accept_first(loom: Loom, make: Make) -> None:
    run = make(RunState.FAILED)
    write(run, loom)
    cut_off(run)
    (loom.root / "a.py").write_bytes(b"a = 1\n")
    draft = next(entry.draft for entry in Journal.read(run.folder / "journal").entries)  # type: ignore[union-attr]
    (loom.root / draft).write_bytes(b"a =")
    store.delete(store.Stored(run.folder, run.request))
    assert sorted(path.name for path in loom.root.iterdir()) == ["a.py"]
    assert (loom.root / "a.py").read_bytes() == b"a = 1\n"
    assert not run.folder.exists()


def test_a_run_whose_journal_is_damaged_is_not_deleted(loom: Loom, make: Make) -> None:
    run = make(RunState.ACCEPTED)
    write(run, loom)
    (run.folder / "journal" / "journal.json").write_text("{")
    with pytest.raises(LoomError, match="is damaged"):
        store.delete(store.Stored(run.folder, run.request))
    assert (run.folder / "journal" / "0.before").exists()
