"""Accept and Undo while something else happens in the workspace, or lies in wait there."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.edits import paths
from loom_jupyter.edits.accept import accept, recover, undo
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.journal import Entry, Journal, JournalState, state
from loom_jupyter.errors import EditError, ForbiddenPathError, StaleFileError

A = FileChange("a.py", b"a = 1\n", b"a = 2\n", 0o644)
B = FileChange("b.py", b"b = 1\n", b"b = 2\n", 0o644)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    root.mkdir()
    for change in (A, B):
        (root / change.path).write_bytes(change.before or b"")
    return root


def content(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def before_call(
    monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any], number: int, act: Callable[[], object]
) -> None:
    """Do something right before the system call `function` is made for the `number`-th time."""
    seen: list[int] = []

    def call(called: Callable[..., Any], *args: Any) -> Any:
        if called is function:
            seen.append(1)
            if len(seen) == number:
                act()
        return called(*args)

    monkeypatch.setattr(paths, "_call", call)


def test_a_link_in_the_place_of_a_draft_leads_nowhere(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    outside.chmod(0o600)
    monkeypatch.setattr("loom_jupyter.edits.journal.secrets.token_hex", lambda _: "0" * 16)
    draft = root / Entry(path="a.py", before=None, after="", mode=None).draft
    draft.symlink_to("../outside.txt")
    with pytest.raises(EditError, match="Nothing was changed"):
        accept([A], tmp_path / "j", root)
    assert outside.read_text() == "mine"
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600
    assert not (root / "a.py").is_symlink()
    assert (root / "a.py").read_bytes() == A.before


def test_files_with_the_names_of_drafts_are_the_users(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("mine")
    (root / ".loom-0.tmp").symlink_to("../outside.txt")
    (root / ".loom-1.tmp").write_text("mine too")
    accept([A, B], tmp_path / "j", root)
    undo(tmp_path / "j", root)
    assert (root / ".loom-0.tmp").is_symlink()
    assert (root / ".loom-0.tmp").read_text() == "mine"
    assert (root / ".loom-1.tmp").read_text() == "mine too"


def test_a_file_saved_during_accept_is_not_overwritten(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_call(monkeypatch, os.utime, 2, lambda: (root / "b.py").write_bytes(b"mine\n"))
    with pytest.raises(StaleFileError, match=r"b\.py has changed since this was proposed; nothing was written"):
        accept([A, B], tmp_path / "j", root)
    assert content(root) == {"a.py": b"a = 1\n", "b.py": b"mine\n"}
    assert state(tmp_path / "j") is None
    assert recover(tmp_path / "j", root) is None


def test_a_file_that_appears_during_accept_is_not_overwritten(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_call(monkeypatch, os.utime, 2, lambda: (root / "new.py").write_bytes(b"mine\n"))
    with pytest.raises(StaleFileError, match=r"new\.py was created"):
        accept([A, FileChange("new.py", None, b"new\n")], tmp_path / "j", root)
    assert content(root) == {"a.py": b"a = 1\n", "b.py": b"b = 1\n", "new.py": b"mine\n"}


def test_a_link_that_appears_during_accept_is_not_followed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    before_call(monkeypatch, os.utime, 1, lambda: (root / "pkg").symlink_to("../elsewhere"))
    with pytest.raises(ForbiddenPathError, match="symbolic link"):
        accept([A, FileChange("pkg/deep/new.py", None, b"new\n")], tmp_path / "j", root)
    assert content(root) == {"a.py": b"a = 1\n", "b.py": b"b = 1\n"}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_saved_during_undo_is_left(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accept([A, B], tmp_path / "j", root)
    before_call(monkeypatch, os.utime, 1, lambda: (root / "a.py").write_bytes(b"mine\n"))
    report = undo(tmp_path / "j", root)
    assert (report.restored, report.left) == (["b.py"], ["a.py"])
    assert content(root) == {"a.py": b"mine\n", "b.py": b"b = 1\n"}
    assert state(tmp_path / "j") is JournalState.UNDONE


def test_a_file_and_a_file_below_it_are_not_half_written(root: Path, tmp_path: Path) -> None:
    both = [FileChange("x", None, b"x\n"), FileChange("x/y", None, b"y\n")]
    for order in (both, both[::-1]):
        with pytest.raises(ForbiddenPathError, match=r"below a file|is a folder"):
            accept(order, tmp_path / "j", root)
        assert content(root) == {"a.py": b"a = 1\n", "b.py": b"b = 1\n"}
        assert not (root / "x").exists()
        assert state(tmp_path / "j") is None


def test_a_file_is_not_written_twice(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ForbiddenPathError, match=r"write it as a\.py"):
        accept([A, FileChange("./a.py", A.before, b"a = 3\n")], tmp_path / "j", root)
    with pytest.raises(EditError, match=r"a\.py would be written twice"):
        accept([A, FileChange("a.py", A.before, b"a = 3\n")], tmp_path / "j", root)
    assert content(root)["a.py"] == A.before


def test_an_interrupted_accept_is_taken_back_around_a_link(root: Path, tmp_path: Path) -> None:
    (root / "pkg").mkdir()
    inner = FileChange("pkg/c.py", None, b"c\n")
    accept([A, inner], tmp_path / "j", root)
    record = Journal.read(tmp_path / "j")
    assert record is not None
    record.state = JournalState.ACCEPTING
    record.write(tmp_path / "j")
    (root / "pkg").rename(tmp_path / "moved")
    (root / "pkg").symlink_to("../moved")
    said = recover(tmp_path / "j", root)
    assert said is not None
    assert "taken back, except in pkg/c.py" in said
    assert (root / "a.py").read_bytes() == A.before
    assert (tmp_path / "moved" / "c.py").read_bytes() == b"c\n"
    assert recover(tmp_path / "j", root) is None


def test_a_mode_that_changed_since_is_kept(root: Path, tmp_path: Path) -> None:
    accept([A], tmp_path / "j", root)
    (root / "a.py").chmod(0o755)
    undo(tmp_path / "j", root)
    assert stat.S_IMODE((root / "a.py").stat().st_mode) == 0o755


def test_what_is_made_is_on_disk_before_the_next_step(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def call(function: Callable[..., Any], *args: Any) -> Any:
        if function is os.fsync:
            synced.append(os.readlink(f"/proc/self/fd/{args[0]}"))
        return function(*args)

    monkeypatch.setattr(paths, "_call", call)
    journal = tmp_path / "run" / "journal"
    accept([FileChange("new/deep/c.py", None, b"c\n")], journal, root)
    assert {str(tmp_path), str(tmp_path / "run"), str(root), str(root / "new")} <= set(synced)


def test_new_files_have_the_mode_that_the_system_gives(root: Path, tmp_path: Path) -> None:
    kept = os.umask(0o027)
    try:
        accept([FileChange("new.py", None, b"n\n")], tmp_path / "j", root)
    finally:
        os.umask(kept)
    assert stat.S_IMODE((root / "new.py").stat().st_mode) == 0o640


def test_a_file_that_a_program_writes_is_not_replaced(root: Path, tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux says who has a file open")
    with (root / "b.py").open("r+b"), pytest.raises(EditError, match=r"A program has b\.py open for writing"):
        accept([A, B], tmp_path / "j", root)
    assert content(root) == {"a.py": b"a = 1\n", "b.py": b"b = 1\n"}
    with (root / "b.py").open("rb"):
        accept([A, B], tmp_path / "j", root)
    with (root / "a.py").open("ab"), pytest.raises(EditError, match=r"has a\.py open for writing"):
        undo(tmp_path / "j", root)
    undo(tmp_path / "j", root)


def test_of_two_names_that_the_file_system_takes_for_one_neither_is_left(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on file systems that know no case: the second file is there once the first is."""
    before_call(monkeypatch, os.utime, 2, lambda: (root / "new.py").write_bytes(b"1\n"))
    with pytest.raises(StaleFileError, match=r"new\.py was created"):
        accept([FileChange("New.py", None, b"1\n"), FileChange("new.py", None, b"2\n")], tmp_path / "j", root)
    assert content(root) == {"a.py": b"a = 1\n", "b.py": b"b = 1\n", "new.py": b"1\n"}
