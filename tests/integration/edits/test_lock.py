from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from loom_jupyter.edits import lock
from loom_jupyter.edits.accept import accept, recover, undo
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.journal import Journal, JournalState, state
from loom_jupyter.edits.lock import locked
from loom_jupyter.errors import EditError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    (root / "sub").mkdir(parents=True)
    (root / "a.py").write_bytes(b"a = 0\n")
    (root / "sub/b.py").write_bytes(b"b = 0\n")
    return root


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT", 0.1)


@pytest.fixture(params=["folder", "file"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """How the file system lets a workspace be locked: by its folder, or (NFS) not."""
    if request.param == "file":
        monkeypatch.setattr(lock, "_lock_folders", lambda *_: False)
        monkeypatch.setattr(lock, "data_dir", lambda: tmp_path / "data")
    return str(request.param)


CHANGE = FileChange("a.py", b"a = 0\n", b"a = 1\n", 0o644)


def test_accept_undo_and_recovery_wait_for_each_other(
    root: Path, tmp_path: Path, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept([CHANGE], tmp_path / "j", root)
    interrupted = tmp_path / "other"
    accept([FileChange("sub/b.py", b"b = 0\n", b"b = 1\n", 0o644)], interrupted, root)
    record = Journal.read(interrupted)
    assert record is not None
    record.state = JournalState.ACCEPTING
    record.write(interrupted)
    busy = r"Another accept or undo is at work in .*; try again when it is done\."
    with locked(root):
        with pytest.raises(EditError, match=busy):
            undo(tmp_path / "j", root)
        with pytest.raises(EditError, match=busy):
            accept([FileChange("a.py", b"a = 1\n", b"a = 2\n", 0o644)], tmp_path / "k", root)
        with pytest.raises(EditError, match=busy):
            recover(interrupted, root)
        # Nothing to do needs no lock: a start of Loom does not wait for somebody's accept.
        assert recover(tmp_path / "j", root) is None
    undo(tmp_path / "j", root)
    assert recover(interrupted, root) == "An interrupted acceptance was finished."


def test_who_waits_goes_on_when_the_other_is_done(root: Path, tmp_path: Path, kind: str) -> None:
    entered = threading.Event()

    def hold() -> None:
        with locked(root):
            entered.set()
            time.sleep(0.3)

    other = threading.Thread(target=hold)
    other.start()
    assert entered.wait(10)
    begin = time.monotonic()
    accept([CHANGE], tmp_path / "j", root)
    assert time.monotonic() - begin > 0.2
    other.join()


def test_every_name_of_a_workspace_has_the_same_lock(root: Path, tmp_path: Path, kind: str, short: None) -> None:
    (tmp_path / "link").symlink_to(root)
    with locked(root), pytest.raises(EditError, match="Another accept"), locked(tmp_path / "link"):
        pass
    with locked(tmp_path / "link"), pytest.raises(EditError, match="Another accept"), locked(root):
        pass


def test_a_workspace_inside_another_waits_for_it(root: Path, short: None) -> None:
    for first, second in ((root, root / "sub"), (root / "sub", root)):
        with locked(first), pytest.raises(EditError, match="Another accept"), locked(second):
            pass
    (root / "other").mkdir()
    with locked(root / "sub"), locked(root / "other"):
        pass


def test_a_lock_ends_with_its_process_and_leaves_no_file(root: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from loom_jupyter.edits.lock import locked\n"
        "with locked(Path(sys.argv[1])): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(root)], check=False).returncode == 9
    with locked(root):
        assert sorted(p.name for p in root.iterdir()) == ["a.py", "sub"]


def test_a_lock_leaves_no_descriptor_open(root: Path, kind: str, short: None) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    with locked(root):
        pass
    before = count()
    for _ in range(5):
        with locked(root), pytest.raises(EditError), locked(root):
            pass
    assert count() == before


def test_a_workspace_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(EditError, match=r"gone cannot be opened \(No such file or directory\)"):
        accept([CHANGE], tmp_path / "j", tmp_path / "gone")
    assert state(tmp_path / "j") is None


def _act(who: int, go: Barrier, root: Path, journal: Path) -> None:
    changes = [
        FileChange("a.py", b"a = 0\n", b"a = %d\n" % who, 0o644),
        FileChange("sub/b.py", b"b = 0\n", b"b = %d\n" % who, 0o644),
    ]
    go.wait()
    for _ in range(6):
        try:
            accept(changes, journal, root)
            undo(journal, root)
        except EditError:
            continue


def test_two_processes_never_mix_their_writes(root: Path, tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    go = fork.Barrier(4)
    actors = [fork.Process(target=_act, args=(who, go, root, tmp_path / f"j{who}")) for who in (1, 2, 3)]
    for actor in actors:
        actor.start()
    go.wait()
    seen = set()
    while any(actor.is_alive() for actor in actors):
        with locked(root):
            seen.add(((root / "a.py").read_bytes()[4:5], (root / "sub/b.py").read_bytes()[4:5]))
    for actor in actors:
        actor.join()
        assert actor.exitcode == 0
    assert all(a == b for a, b in seen)
    assert {state(tmp_path / f"j{who}") for who in (1, 2, 3)} <= {JournalState.UNDONE, JournalState.ACCEPTED, None}
