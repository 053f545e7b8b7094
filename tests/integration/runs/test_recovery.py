"""What earlier runs left behind, met by the next one."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from loom_jupyter import Loom
from loom_jupyter.cli import main
from loom_jupyter.edits.accept import accept, undo
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.journal import Journal, JournalState
from loom_jupyter.errors import LoomError
from loom_jupyter.events import RunState, StateChanged
from loom_jupyter.runs import control
from loom_jupyter.runs.request import Request, new_run_id
from loom_jupyter.runs.run import Run

FILES = {"a.py": (b"a = 1\n", b"a = 2\n"), "pkg/b.py": (b"b = 1\n", b"b = 2\n")}


@pytest.fixture
def loom(tmp_path: Path) -> Loom:
    for path, (before, _) in FILES.items():
        file = tmp_path / "ws" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(before)
    return Loom(tmp_path / "ws")


def accepted(loom: Loom) -> Run:
    """A run that wrote both files, and whose process is gone."""
    request = Request(id=new_run_id(), task="t", root=str(loom.root), model="m", created=time.time())
    folder = loom.folder / "runs" / request.id
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(request.model_dump_json())
    run = Run(folder, request)
    assert run.own()
    changes = [FileChange(path, before, after) for path, (before, after) in FILES.items()]
    accept(changes, folder / "journal", loom.root)
    run.emit(StateChanged(state=RunState.ACCEPTED))
    run.release()
    return run


def cut_off(run: Run) -> None:
    record = Journal.read(run.folder / "journal")
    assert record is not None
    record.state = JournalState.ACCEPTING
    record.write(run.folder / "journal")


def test_a_damaged_journal_keeps_no_run_from_beginning(loom: Loom) -> None:
    damaged, other = accepted(loom), loom
    (damaged.folder / "journal" / "journal.json").write_text("{")
    for _ in range(2):
        (said,) = other.recover()
        assert said.startswith(f"What run {damaged.id} wrote cannot be looked after: ")
        assert "is damaged" in said
        other = Loom(loom.root)
    assert sum(event.type == "notice" for event in damaged.events()) == 1
    with pytest.raises(LoomError, match="is damaged"):
        damaged.undo()


def test_a_link_in_the_way_keeps_no_run_from_beginning(loom: Loom) -> None:
    run = accepted(loom)
    cut_off(run)
    (loom.root / "a.py").write_bytes(b"a = 1\n")
    (loom.root / "pkg").rename(loom.root.parent / "moved")
    (loom.root / "pkg").symlink_to("../moved")
    assert loom.recover() == [
        "An interrupted acceptance was taken back, except in pkg/b.py, which changed in the meantime and stayed "
        "as found."
    ]
    assert (loom.root.parent / "moved" / "b.py").read_bytes() == b"b = 2\n"
    assert Loom(loom.root).recover() == []


def test_a_run_that_cannot_be_opened_keeps_no_other_from_beginning(loom: Loom) -> None:
    run = accepted(loom)
    cut_off(run)
    (run.folder / "run.json").unlink()
    (said,) = loom.recover()
    assert said.startswith(f"Run {run.id} may have been interrupted and cannot be opened: ")


def test_undo_in_another_process(loom: Loom) -> None:
    run = accepted(loom)
    code = "import sys; from loom_jupyter import Loom; Loom(sys.argv[1]).open_run(sys.argv[2]).undo()"
    subprocess.run([sys.executable, "-c", code, str(loom.root), run.id], check=True)
    assert undone(loom) == {"a.py", "pkg/b.py"}
    assert loom.open_run(run.id).state is RunState.UNDONE


def undone(loom: Loom) -> set[str]:
    return {path for path, (before, _) in FILES.items() if (loom.root / path).read_bytes() == before}


def test_undo_file_by_file_across_restarts(loom: Loom) -> None:
    run = accepted(loom)
    run.undo(["pkg/b.py"])
    assert undone(loom) == {"pkg/b.py"}
    assert run.state is RunState.ACCEPTED
    assert "Undone in pkg/b.py; the rest stays accepted." in [e.text for e in run.events() if e.type == "notice"]
    code = "import sys; from loom_jupyter import Loom; Loom(sys.argv[1]).open_run(sys.argv[2]).undo([sys.argv[3]])"
    run.release()
    subprocess.run([sys.executable, "-c", code, str(loom.root), run.id, "a.py"], check=True)
    assert undone(loom) == {"a.py", "pkg/b.py"}
    assert Loom(loom.root).open_run(run.id).state is RunState.UNDONE


def test_undo_of_files_that_cannot_be(loom: Loom) -> None:
    run = accepted(loom)
    with pytest.raises(LoomError, match=r"nothing to undo in other\.py; what can be undone: a\.py, pkg/b\.py"):
        run.undo(["a.py", "other.py"])
    with pytest.raises(LoomError, match="nothing to undo; what can"):
        run.undo([])
    assert undone(loom) == set()
    run.undo(["a.py"])
    with pytest.raises(LoomError, match=r"nothing to undo in a\.py; what can be undone: pkg/b\.py"):
        run.undo(["a.py"])
    (loom.root / "pkg/b.py").write_bytes(b"mine")
    with pytest.raises(LoomError, match="has changed since this was accepted"):
        run.undo()
    assert run.state is RunState.ACCEPTED


def test_undo_by_a_line_of_the_mailbox(loom: Loom) -> None:
    run = accepted(loom)
    control.send(run.folder, "undo", ["a.py"])
    assert run.own()
    run.process_control()
    assert undone(loom) == {"a.py"}


def test_undo_in_the_terminal(
    loom: Loom, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = accepted(loom)
    monkeypatch.chdir(loom.root)
    assert main(["undo", "pkg/b.py", "--run", run.id]) == 0
    assert "Undone in pkg/b.py, byte for byte." in capsys.readouterr().out
    assert undone(loom) == {"pkg/b.py"}
    assert main(["undo"]) == 0
    assert undone(loom) == {"a.py", "pkg/b.py"}


def test_an_undo_that_was_interrupted_goes_on_with_what_is_asked(loom: Loom) -> None:
    run = accepted(loom)
    journal = run.folder / "journal"
    record = Journal.read(journal)
    assert record is not None
    record.state, record.pending = JournalState.UNDOING, ["a.py"]
    record.write(journal)
    report = undo(journal, loom.root)
    assert sorted(report.restored) == ["a.py", "pkg/b.py"]
    assert undone(loom) == {"a.py", "pkg/b.py"}


def test_what_is_asked_while_the_owner_lets_go_is_done_by_who_asked(loom: Loom) -> None:
    owner = accepted(loom)
    assert owner.own()  # it looked into the mailbox for the last time
    leaving = threading.Timer(0.3, owner.release)
    leaving.start()
    Run(owner.folder, owner.request).undo()
    leaving.join()
    assert (loom.root / "a.py").read_bytes() == b"a = 1\n"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted by /proc")
def test_a_run_that_was_released_leaves_no_open_file(loom: Loom) -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    run = accepted(loom)
    before = opened()
    run.undo()
    accepted(loom).undo()
    assert opened() == before
