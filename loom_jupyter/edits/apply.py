"""Turn rewrites into the new bytes of files; nothing is written here."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loom_jupyter.context.context_map import Rewrite
from loom_jupyter.edits import notebook
from loom_jupyter.edits.errors import EditError, StaleFileError
from loom_jupyter.edits.paths import resolve
from loom_jupyter.edits.text import LineEdit, decode, replace_lines

NEW_CELL = "new-cell"
"""Kind of a target that adds a code cell after the cell it names (at the end, if it names none)."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file's bytes before and after.

    Attributes
    ----------
    path
        POSIX path relative to the workspace.
    before
        None for a file that is created.
    mode
        Permission bits to keep; None for a file that is created.
    """

    path: str
    before: bytes | None
    after: bytes
    mode: int | None = None


def apply(rewrites: Iterable[Rewrite], root: Path) -> list[FileChange]:
    """Compute what the rewrites make of the files below a root.

    Parameters
    ----------
    rewrites
        Any number a file, not overlapping. Lines count as they were when the map was made.
    root
        Workspace, or its staged copy; only read.

    Returns
    -------
    list of FileChange
        One a file, in order of path.

    Raises
    ------
    StaleFileError
        A file changed, appeared or vanished since the map was made.
    EditError
        A path is forbidden, a file is not text, or a range does not exist.
    """
    by_path: dict[str, list[Rewrite]] = {}
    for rewrite in rewrites:
        by_path.setdefault(rewrite.target.path, []).append(rewrite)
    return [_change(root, path, group) for path, group in sorted(by_path.items())]


def digest(data: bytes) -> str:
    """Hash of a file's bytes, as the map records it."""
    return hashlib.sha256(data).hexdigest()


def _change(root: Path, path: str, rewrites: Sequence[Rewrite]) -> FileChange:
    file = resolve(root, path)
    expected = {rewrite.target.sha256 for rewrite in rewrites}
    try:
        before = file.read_bytes()
    except FileNotFoundError:
        if expected != {None}:
            raise StaleFileError(path, f"{path} has been removed since it was read; run again.") from None
        return _created(path, rewrites)
    except OSError as error:
        raise EditError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if None in expected:
        raise StaleFileError(
            path, f"{path} exists by now and would be overwritten; run again to change it instead."
        )
    if expected != {digest(before)}:
        raise StaleFileError(path, f"{path} has changed since it was read; run again to work on it as it is now.")
    text, encoding = decode(path, before)
    after = encoding.encode(path, _rewritten(path, text, rewrites))
    return FileChange(path, before, after, stat.S_IMODE(file.stat().st_mode))


def _created(path: str, rewrites: Sequence[Rewrite]) -> FileChange:
    if len(rewrites) > 1:
        raise EditError(f"{path} would be created twice by one proposal; ask for it once.")
    return FileChange(path, None, rewrites[0].text.encode("utf-8"))


def _rewritten(path: str, text: str, rewrites: Sequence[Rewrite]) -> str:
    cells: dict[str, list[LineEdit]] = {}
    lines: list[LineEdit] = []
    added: list[Rewrite] = []
    for rewrite in rewrites:
        target = rewrite.target
        edit = LineEdit(target.start, target.end, rewrite.text, target.text)
        if target.kind == NEW_CELL:
            added.append(rewrite)
        elif target.cell is not None:
            cells.setdefault(target.cell, []).append(edit)
        else:
            lines.append(edit)
    if lines and (cells or added):
        raise EditError(f"{path}: cells and raw lines of one notebook cannot change together; choose cells.")
    for name, edits in cells.items():
        cell = notebook.find(path, text, name)
        text = notebook.with_source(text, cell, replace_lines(f"{path} cell {name}", cell.source, edits))
    for rewrite in added:
        text = notebook.with_new_cell(path, text, rewrite.target.cell, rewrite.text.removesuffix("\n"))
    return replace_lines(path, text, lines) if lines else text
