"""A notebook's undo after the notebook was used on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from loom_jupyter.edits import paths
from loom_jupyter.edits.accept import accept, undo
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.journal import JournalState, state
from loom_jupyter.errors import EditError, StaleFileError

NAME = "n.ipynb"


def book(first: str, second: str, output: str = "") -> bytes:
    outputs = [new_output("stream", text=output)] if output else []
    cells = [new_code_cell(first, id="x", outputs=outputs), new_code_cell(second, id="y")]
    return nbformat.writes(new_notebook(cells=cells)).encode()


@pytest.fixture
def tmp_path(in_memory: Path) -> Path:
    return in_memory


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace in which one cell was rewritten and accepted."""
    root = tmp_path / "ws"
    root.mkdir()
    (root / NAME).write_bytes(book("a = 1", "b = 1"))
    accept([FileChange(NAME, book("a = 1", "b = 1"), book("a = 2", "b = 1"), 0o640)], tmp_path / "j", root)
    return root


def test_only_the_cells_go_back(root: Path, tmp_path: Path) -> None:
    (root / NAME).write_bytes(book("a = 2", "b = 7", "ran\n"))
    assert undo(tmp_path / "j", root).restored == [NAME]
    assert (root / NAME).read_bytes() == book("a = 1", "b = 7", "ran\n")
    assert state(tmp_path / "j") is JournalState.UNDONE


@pytest.mark.parametrize("present", [book("a = 3", "b = 1"), b"no notebook", b"\xff"])
def test_a_cell_that_changed_since_is_left_alone(root: Path, tmp_path: Path, present: bytes) -> None:
    (root / NAME).write_bytes(present)
    with pytest.raises(StaleFileError, match=r"n\.ipynb has changed since this was accepted"):
        undo(tmp_path / "j", root)
    assert (root / NAME).read_bytes() == present
    (root / NAME).write_bytes(book("a = 2", "b = 1"))
    undo(tmp_path / "j", root)
    assert (root / NAME).read_bytes() == book("a = 1", "b = 1")


@pytest.mark.parametrize("kept", ["0.before", "0.after"])
def test_damaged_kept_bytes_never_get_into_a_notebook(root: Path, tmp_path: Path, kept: str) -> None:
    (tmp_path / "j" / kept).write_bytes(book("a = 666", "b = 1"))
    present = book("a = 2", "b = 7", "ran\n")
    (root / NAME).write_bytes(present)
    with pytest.raises(StaleFileError):
        undo(tmp_path / "j", root)
    assert (root / NAME).read_bytes() == present


def test_a_full_disk_is_said_at_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = paths._call
    for number in range(1, 60):
        root, journal, calls = tmp_path / f"ws{number}", tmp_path / f"j{number}", [0]
        root.mkdir()
        (root / NAME).write_bytes(book("a = 1", "b = 1"))
        accept([FileChange(NAME, book("a = 1", "b = 1"), book("a = 2", "b = 1"), 0o640)], journal, root)
        (root / NAME).write_bytes(book("a = 2", "b = 7"))

        def call(function: Callable[..., Any], *args: Any, calls: list[int] = calls, number: int = number) -> Any:
            calls[0] += 1
            if calls[0] == number:
                raise OSError(28, "No space left on device")
            return real(function, *args)

        monkeypatch.setattr(paths, "_call", call)
        try:
            undo(journal, root)
            said = "No space left"
        except EditError as error:
            said = str(error)
        assert "No space left" in said
        monkeypatch.setattr(paths, "_call", real)
        if state(journal) is not JournalState.UNDONE:
            undo(journal, root)
        assert (root / NAME).read_bytes() == book("a = 1", "b = 7")
        if calls[0] < number:
            break
    assert number > 20


def test_a_crash_at_any_call_keeps_the_way_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class CrashError(BaseException):
        pass

    kept, calls, limit = paths._call, [0], [0]

    def call(function: object, *args: object) -> object:
        calls[0] += 1
        if calls[0] == limit[0]:
            raise CrashError
        return kept(function, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(paths, "_call", call)
    for number in range(1, 200):
        root, journal = tmp_path / f"ws{number}", tmp_path / f"j{number}"
        root.mkdir()
        limit[0] = 0
        (root / NAME).write_bytes(book("a = 1", "b = 1"))
        accept([FileChange(NAME, book("a = 1", "b = 1"), book("a = 2", "b = 1"), 0o640)], journal, root)
        (root / NAME).write_bytes(book("a = 2", "b = 7"))
        calls[0], limit[0] = 0, number
        try:
            undo(journal, root)
        except CrashError:
            limit[0] = 0
            accepted = state(journal) is JournalState.ACCEPTED
            if accepted:  # the user goes on before undoing again
                (root / NAME).write_bytes(book("a = 2", "b = 8"))
            if state(journal) is not JournalState.UNDONE:
                undo(journal, root)
            assert (root / NAME).read_bytes() == book("a = 1", "b = 8" if accepted else "b = 7")
        else:
            assert number > 10
            return
    raise AssertionError("the undo never ended")
