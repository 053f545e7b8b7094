"""Turn rewrites into the new bytes of files; nothing is written here."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loom_jupyter.context.context_map import NEW_CELL, NEW_SYMBOL, REMOVED, Rewrite
from loom_jupyter.context.text import decode
from loom_jupyter.edits import notebook, syntax
from loom_jupyter.edits.folder import read
from loom_jupyter.edits.imports import cell_imports, with_imports
from loom_jupyter.edits.paths import resolve
from loom_jupyter.edits.syntax import plain
from loom_jupyter.edits.text import LineEdit, replace_lines, require_whole, split_lines
from loom_jupyter.errors import EditError, StaleFileError


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


def apply(rewrites: Iterable[Rewrite], root: Path, *, imports: bool = True) -> list[FileChange]:
    """Compute what the rewrites make of the files below a root.

    Parameters
    ----------
    rewrites
        Any number a file, not overlapping. Lines count as they were when the map was made.
    root
        Workspace, or its staged copy; only read.
    imports
        Whether to add what Python code of the rewrites forgets to import from the standard library.

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
    return [_change(root, path, group, imports) for path, group in sorted(by_path.items())]


def digest(data: bytes) -> str:
    """Hash of a file's bytes, as the map records it."""
    return hashlib.sha256(data).hexdigest()


def _change(root: Path, path: str, rewrites: Sequence[Rewrite], imports: bool) -> FileChange:
    resolve(root, path)
    for rewrite in rewrites:
        require_whole(path, rewrite.text)
    expected = {rewrite.target.sha256 for rewrite in rewrites}
    found = read(root, path)
    if found is None:
        if expected != {None}:
            raise StaleFileError(path, f"{path} has been removed since it was read; run again.")
        return _created(path, rewrites, imports)
    before = found.data
    if None in expected:
        raise StaleFileError(path, f"{path} now exists and would be overwritten; run again to change it instead.")
    if expected != {digest(before)}:
        raise StaleFileError(path, f"{path} has changed since it was read; run again to work on it as it is now.")
    text, encoding = decode(path, before)
    try:
        after = encoding.encode(path, _rewritten(path, text, rewrites, imports))
    except RecursionError as error:
        raise EditError(f"{path} is nested too deeply to be changed; change it by hand.") from error
    return FileChange(path, before, after, stat.S_IMODE(found.info.st_mode))


def _created(path: str, rewrites: Sequence[Rewrite], imports: bool) -> FileChange:
    if len(rewrites) > 1:
        raise EditError(f"{path} would be created twice by one proposal; ask for it once.")
    text = rewrites[0].text
    text = with_imports("", text) if imports and path.endswith(syntax.PYTHON) else text
    return FileChange(path, None, text.encode("utf-8"))


def _rewritten(path: str, text: str, rewrites: Sequence[Rewrite], imports: bool) -> str:
    cells: dict[str, list[Rewrite]] = {}
    lines: list[LineEdit] = []
    added: list[Rewrite] = []
    for rewrite in rewrites:
        target = rewrite.target
        if target.kind == NEW_CELL:
            added.append(rewrite)
        elif target.cell is not None:
            cells.setdefault(target.cell, []).append(rewrite)
        else:
            lines.append(_edit(path, text, rewrite))
    if lines and (cells or added):
        raise EditError(f"{path}: cells and raw lines of one notebook cannot change together; choose cells.")
    before = text
    for name, group in cells.items():
        cell = notebook.find(path, text, name)
        edits = [_edit(path, cell.source, rewrite) for rewrite in group]
        text = notebook.with_source(text, cell, replace_lines(f"{path} cell {name}", cell.source, edits))
    if imports and cells:
        cell = notebook.find(path, text, next(iter(cells)))
        missing = cell_imports(syntax.code(path, before), syntax.code(path, text), syntax.NOTEBOOK)
        text = notebook.with_source(text, cell, missing + cell.source) if missing else text
    for rewrite in added:
        source = rewrite.text.removesuffix("\n")
        if imports:
            code = syntax.code(path, text)
            source = cell_imports(code, f"{code}\n{plain(source)}", syntax.NOTEBOOK) + source
        text = notebook.with_new_cell(path, text, rewrite.target.cell, source)
    text = replace_lines(path, text, lines) if lines else text
    return with_imports(before, text) if imports and path.endswith(syntax.PYTHON) else text


def _edit(path: str, text: str, rewrite: Rewrite) -> LineEdit:
    """Return the edit of one unit; blank lines around what comes or goes are as the language has them."""
    target, lines = rewrite.target, split_lines(text)
    if target.kind == REMOVED:
        start, end = target.start, target.end
        while end < len(lines) and not lines[end].strip():
            end += 1
        while end == len(lines) and start > 1 and not lines[start - 2].strip():
            start -= 1
        return LineEdit(start, end, "")
    if target.kind == NEW_SYMBOL:
        flat = rewrite.text[:1] not in (" ", "\t")
        gap = "\n" * (2 if flat and path.endswith((*syntax.PYTHON, ".ipynb")) else 1)
        follows = target.end < len(lines) and lines[target.end].strip()
        return LineEdit(target.end + 1, target.end, gap + rewrite.text + (gap if follows else ""))
    return LineEdit(target.start, target.end, rewrite.text, target.text)
