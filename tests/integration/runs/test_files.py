"""What lies in a run's folder may be anything: nothing waits for it, nothing is met half written."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import scripted_runs
from scripted_runs import project, wait_for

from loom_jupyter import Loom
from loom_jupyter.errors import LoomError
from loom_jupyter.events import Noticed, ProposalMade, ProposedFile, RunState
from loom_jupyter.notebook_state import NotebookState, Variable
from loom_jupyter.runs import files, runner, store
from loom_jupyter.runs.log import EventLog, read_events
from loom_jupyter.runs.request import Request, new_run_id

HALF = "half \ud83d and \udcff"
WHOLE = "half \ufffd and \ufffd"
FIFO = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")


@pytest.fixture
def loom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loom:
    monkeypatch.setattr(runner, "start", scripted_runs.start)
    return Loom(project(tmp_path / "ws"))


def within(seconds: float, act: Any) -> Any:
    """Return what `act` returns, or fail if it takes too long."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(act()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, "it waits"
    return found[0]


def ended(act: Any) -> str:
    try:
        return str(act())
    except LoomError as error:
        return f"refused: {error}"


@FIFO
@pytest.mark.parametrize("name", ["progress.jsonl", "control.jsonl", "run.json", "proposal.json", "map.json"])
def test_a_fifo_in_a_runs_folder_makes_nobody_wait(loom: Loom, name: str) -> None:
    run = loom.run("2 kg")
    run.wait(20)
    run.release()
    (run.folder / name).unlink(missing_ok=True)
    os.mkfifo(run.folder / name)
    stored = store.Stored(run.folder, run.request)
    within(3, lambda: list(store.stored()) or True)
    within(3, lambda: store.summary(stored))
    within(3, lambda: store.indexed(stored) or True)
    within(3, lambda: ended(lambda: Loom(loom.root).open_run(run.id).state))
    assert within(12, lambda: ended(lambda: Loom(loom.root).open_run(run.id).accept()))
    if name != "progress.jsonl":
        assert within(5, lambda: ended(lambda: loom.run("explain it").wait(10)))


@FIFO
def test_a_fifo_is_no_ordinary_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not an ordinary file"):
        files.read(tmp_path / "fifo")
    with pytest.raises(OSError, match="not an ordinary file"):
        files.open_file(tmp_path / "fifo", os.O_RDWR | os.O_APPEND | os.O_CREAT)


def test_a_reader_never_meets_a_half_written_file(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    long, done = Request(id="a", task="x" * 200_000, root="/"), threading.Event()
    files.store(file, long)

    def write() -> None:
        for _ in range(60):
            files.store(file, long)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        assert Request.model_validate_json(files.read(file)) == long
    thread.join()
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]
    assert sys.platform == "win32" or file.stat().st_mode & 0o777 == 0o600


def test_a_torn_run_json_is_read_again_once_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    request = Request(id=new_run_id(), task="t", root="/")
    folder = tmp_path / "loom" / "w-1" / "runs" / request.id
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(request.model_dump_json()[:20])
    assert list(store.stored()) == []
    files.store(folder / "run.json", request)
    assert [run.id for run in store.stored()] == [request.id]
    files.store(folder / "run.json", request.model_copy(update={"answer": "yes"}))
    assert [run.request.answer for run in store.find(request.id)] == ["yes"]


def test_half_a_character_reaches_the_log_as_a_whole_one(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "r")
    log.emit(Noticed(text=HALF))
    file = ProposedFile(path="a.py", added=1, removed=0, diff=HALF)
    log.emit(ProposalMade(summary=HALF, files=[file], passed=None))
    log.close()
    notice, proposal = read_events(tmp_path / "progress.jsonl")
    assert isinstance(notice, Noticed)
    assert isinstance(proposal, ProposalMade)
    assert (notice.text, proposal.summary, proposal.files[0].diff) == (WHOLE, WHOLE, WHOLE)


def test_half_a_character_in_a_task_or_a_variable_stops_no_run(loom: Loom) -> None:
    notebook = NotebookState(variables=(Variable(name="s", type="str", value=HALF),))
    run = loom.run(f"2 kg {HALF}", notebook=notebook)
    wait_for(lambda: run.state is RunState.REVIEW)
    assert run.task == f"2 kg {WHOLE}"
    assert run.request.words.encode()
    again = Loom(loom.root).open_run(run.id)
    assert again.request.notebook is not None
    assert again.request.notebook.variables[0].value == WHOLE
    run.reject()


def test_half_a_character_in_an_answer_stops_no_run(loom: Loom) -> None:
    run = loom.run("a vague wish", questions=True)
    wait_for(lambda: run.state is RunState.WAITING)
    run.answer(HALF)
    wait_for(lambda: run.state is RunState.REVIEW)
    assert run.request.answer == WHOLE
    run.reject()


def test_a_full_disk_is_one_sentence(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.mkstemp", full)
    with pytest.raises(LoomError, match=r"cannot be written \(No space left on device\); free some space"):
        loom.run("2 kg")
