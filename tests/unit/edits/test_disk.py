from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.edits import paths
from loom_jupyter.edits.accept import accept, recover, undo
from loom_jupyter.edits.apply import FileChange, digest
from loom_jupyter.edits.journal import Journal, JournalState
from loom_jupyter.runs import conflict_report

_WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.utime", "os.link"}
_WRITES |= {"os.symlink", "os.truncate", "os.setxattr", "os.removexattr"}
# A hook stays for good, so there is one, and it listens only when told to.
_heard: list[str] | None = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    opened = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if _heard is not None and (event in _WRITES or opened):
        _heard.append(f"{event} {args[0]}")


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what is written past `disk._call`."""
    global _heard
    heard: list[str] = []

    def call(function: Callable[..., Any], *args: Any) -> Any:
        global _heard
        _heard = None
        try:
            return function(*args)
        finally:
            _heard = heard

    sys.addaudithook(_hook)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "_call", call)
        _heard = heard
        try:
            yield heard
        finally:
            _heard = None


def test_every_write_can_be_made_to_fail(tmp_path: Path) -> None:
    root, journal = tmp_path / "ws", tmp_path / "run" / "journal"
    root.mkdir()
    (root / "a.py").write_bytes(b"a = 1\n")
    changes = [FileChange("a.py", b"a = 1\n", b"a = 2\n"), FileChange("new/deep/b.py", None, b"b\n")]
    with listening() as heard:
        (tmp_path / "seen").touch()
        accept(changes, journal, root)
        undo(journal, root, ["a.py"])
        undo(journal, root)
        accept(changes, journal, root)
        record = Journal.read(journal)
        assert record is not None
        record.state = JournalState.UNDOING
        record.write(journal)
        recover(journal, root)
        conflict_report.keep(tmp_path, changes)
    assert heard
    assert {line.split()[-1] for line in heard} == {str(tmp_path / "seen")}


def test_what_was_read_is_kept_whole_after_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change = FileChange("a.py", b"a = 1\n" * 9, b"")
    real = paths._call
    for number in range(1, 20):
        folder, calls = tmp_path / str(number), [0]
        folder.mkdir()

        def call(function: Callable[..., Any], *args: Any, number: int = number, calls: list[int] = calls) -> Any:
            calls[0] += 1
            if calls[0] == number:
                if function is os.write:
                    os.write(args[0], args[1][:5])
                raise KeyboardInterrupt
            return function(*args)

        monkeypatch.setattr(paths, "_call", call)
        try:
            conflict_report.keep(folder, [change])
            finished = True
        except KeyboardInterrupt:
            finished = False
        monkeypatch.setattr(paths, "_call", real)
        conflict_report.keep(folder, [change])
        file = folder / conflict_report.READ / digest(change.before or b"")
        assert file.read_bytes() == change.before
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        if finished:
            break
    assert finished
    assert number > 6
