"""What a run writes: files of the workspace, or one cell of a notebook that the kernel knows by its history."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loom_jupyter import kernel_session, secrets
from loom_jupyter.checks.cells import CELL, Cell, Session, require
from loom_jupyter.context.context_map import NEW_CELL, Excerpt, Rewrite, Target
from loom_jupyter.edits import notebook
from loom_jupyter.edits.apply import FileChange, apply, digest
from loom_jupyter.edits.diff import unified_diff
from loom_jupyter.errors import LoomError
from loom_jupyter.events import ProposedCell, ProposedFile
from loom_jupyter.runs.files import json_bytes, store, whole

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run

NOTEBOOK = "notebook.ipynb"
_SESSION = "session"
_NAMED = re.compile(r"\bIn ?\[(\d+)\]|\bcell (\d+)\b", re.I)
_READ_LINES = 60


def base(run: Run) -> Path:
    """Return the folder that the paths of a run's targets are relative to."""
    return run.folder / _SESSION if run.request.cell else Path(run.request.root)


def changes(run: Run, rewrites: Iterable[Rewrite]) -> list[FileChange]:
    """Return what rewrites make of the files; a cell for the notebook stays as it was written."""
    return apply(rewrites, base(run), imports=not run.request.cell)


def files(run: Run, rewrites: Sequence[Rewrite]) -> list[ProposedFile]:
    """Return a proposal as it is shown: a diff a file, or that of the cell."""
    found = unified_diff(changes(run, rewrites))
    cell = proposed_cell(run, rewrites)
    if cell is None:
        return [ProposedFile(path=d.path, added=d.added, removed=d.removed, diff=d.text) for d in found]
    label = _label(cell)
    heads = re.compile(r"^(---|\+\+\+) .*$", re.M)
    return [
        ProposedFile(path=label, added=d.added, removed=d.removed, diff=heads.sub(rf"\1 {label}", d.text, count=2))
        for d in found
    ]


def digests(run: Run, rewrites: Sequence[Rewrite]) -> dict[str, str]:
    """Return what Accept compares with before it writes: a digest of each file that changes, or of the cell."""
    cell = proposed_cell(run, rewrites)
    if cell is not None:
        return {_label(cell): cell_digest(cell)}
    return {c.path: change_digest(c) for c in changes(run, rewrites) if c.before != c.after}


def change_digest(change: FileChange) -> str:
    """Return the SHA-256 of a file's path and of its bytes before and after."""
    before = None if change.before is None else digest(change.before)
    return digest(json.dumps([change.path, before, digest(change.after)]).encode())


def cell_digest(cell: ProposedCell) -> str:
    """Return the SHA-256 of a cell as the log shows it: without secrets."""
    return digest(json_bytes(cell.model_copy(update={"source": secrets.masked(whole(cell.source))})))


def _label(cell: ProposedCell) -> str:
    return "new cell" if cell.number is None else f"In [{cell.number}]"


def proposed_cell(run: Run, rewrites: Iterable[Rewrite]) -> ProposedCell | None:
    """Return the cell that rewrites come to, as a front end puts it into the notebook."""
    if not run.request.cell or run.request.session is None:
        return None
    for rewrite in rewrites:
        text = rewrite.text.removesuffix("\n")
        if rewrite.target.kind == NEW_CELL:
            return ProposedCell(source=text)
        cell = _by_id(run.request.session, rewrite.target.cell or "")
        return ProposedCell(number=cell.number, cell_id=cell.cell_id, source=text)
    return None


# --- the notebook of a session ---


def write_session(folder: Path, session: Session) -> None:
    """Keep a session's cells as a notebook in a run's folder."""
    found = [(_id(cell), cell.source) for cell in session.cells] or [("in-0", "")]
    document = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": name,
                "metadata": {},
                "outputs": [],
                "source": source.splitlines(keepends=True),
            }
            for name, source in found
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / _SESSION).mkdir(mode=0o700, exist_ok=True)
    store(folder / _SESSION / NOTEBOOK, json.dumps(document, indent=1, ensure_ascii=False))


def target(run: Run) -> Target:
    """Return the cell that is to be written.

    That is the cell that the user's words name (``In [5]``, ``cell 5``), else the one that failed, else a new one.

    Raises
    ------
    LoomError
        If there is no cell of that number, or it holds a secret.
    """
    session = run.request.session
    assert session is not None
    data = (base(run) / NOTEBOOK).read_bytes()
    cell = named(run.task, session)
    if cell is None:
        last = _id(session.cells[-1]) if session.cells else "in-0"
        return _target(NEW_CELL, "", data, last)
    if secrets.MASK in cell.source:
        raise LoomError(f"In [{cell.number}] holds a key or token, which no model sees; take it out of the cell.")
    return _target("cell", cell.source.removesuffix("\n") + "\n", data, _id(cell))


def _target(kind: str, text: str, data: bytes, cell: str) -> Target:
    return Target(
        id="c1",
        path=NOTEBOOK,
        symbol=None,
        kind=kind,
        start=1 if text else 0,
        end=text.count("\n"),
        sha256=digest(data),
        text=text,
        cell=cell,
    )


def named(words: str, session: Session) -> Cell | None:
    """Return the cell to rewrite; None if a new one is asked for."""
    if found := _NAMED.search(words):
        number = int(found[1] or found[2])
        for cell in session.cells:
            if cell.number == number:
                return cell
        known = ", ".join(f"[{cell.number}]" for cell in session.cells) or "none"
        raise LoomError(f"There is no cell In [{number}] to rewrite; those that ran are {known}.")
    return session.failing


def read(run: Run, written: Target) -> list[Excerpt]:
    """Return the cells before the written one, the nearest of them that fit."""
    session, found, room = run.request.session, [], _READ_LINES
    cells = session.cells if session is not None else ()
    names = [_id(cell) for cell in cells]
    before = cells if written.kind == NEW_CELL else cells[: names.index(written.cell or "")]
    for cell in reversed(before):
        lines = cell.source.removesuffix("\n").count("\n") + 1
        room -= lines
        if room < 0:
            break
        found.append(
            Excerpt(
                path=NOTEBOOK,
                symbol=f"In [{cell.number}]",
                start=1,
                end=lines,
                text=cell.source,
                why="ran before",
                cell=_id(cell),
            )
        )
    return found[::-1]


def source_of(change: FileChange, written: Target) -> str:
    """Return the source of the written cell in a changed notebook."""
    text = change.after.decode("utf-8")
    if written.kind != NEW_CELL:
        return notebook.find(change.path, text, written.cell or "").source
    known = {cell.id for cell in notebook.cells(change.path, (change.before or b"").decode("utf-8"))}
    return next(cell.source for cell in notebook.cells(change.path, text) if cell.id not in known)


def number_of(written: Target) -> int:
    """Return the number of the execution that a target stands for."""
    return int((written.cell or "").removeprefix("in-"))


def _id(cell: Cell) -> str:
    return f"in-{cell.number}"


def _by_id(session: Session, name: str) -> Cell:
    return next(cell for cell in session.cells if _id(cell) == name)


def needed(root: Path, text: str, check: str | None, *, cell: bool, files: bool) -> Session | None:
    """Return what the kernel has run, where a run needs it: to check by its cells, or to write one.

    Parameters
    ----------
    cell
        Whether a cell is to be written.
    files
        Whether something is asked that only files can have.

    Raises
    ------
    LoomError
        If it cannot serve, or what is asked does not go together.
    """
    if check != CELL and not cell:
        return None
    found = kernel_session.session(root)
    if check == CELL:
        require(found)
    if cell and files:
        raise LoomError("--cell writes a cell of the notebook: leave --ask and --commit out.")
    if cell and check not in (None, CELL):
        raise LoomError("A cell can be checked by --check cell alone, for no other check runs it.")
    if found is None:
        raise LoomError("--cell writes a cell of a notebook: start the run in one, with %%loom.")
    if cell:
        named(text, found)
    return found
