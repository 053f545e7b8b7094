"""The task that an exception makes: what was called, what it raised, and where."""

from __future__ import annotations

from typing import Literal

from loom_jupyter.notebook_state import Failure, Frame

ENDS = {
    "files": "Correct the code, so that this no longer raises.",
    "cell": "Correct the cell, so that it no longer raises.",
    "answer": "Explain in a few sentences why, then show the corrected code in one code block.",
}

Wanted = Literal["files", "cell", "answer"]


def wanted(failed: Failure, *, ask: bool, cell: bool, files: bool, check: str | None) -> Wanted:
    """Say what is to come of an exception: changed files, a rewritten cell, or an answer.

    A cell without any frame in the workspace is rewritten. Where a function of the workspace refuses what a cell
    gave it, only the user knows what to give it instead: that is explained, unless a check can tell.

    Parameters
    ----------
    ask, cell, files
        Whether the user asked for an answer, a cell, or something that only files have.
    check
        The user's check; ``"cell"`` can judge cells, any other one only files.
    """
    if ask or cell:
        return "answer" if ask else "cell"
    if not failed.in_cell or (failed.in_workspace and (files or check not in (None, "cell"))):
        return "files"
    if failed.cell is None or (failed.in_workspace and check is None):
        return "answer"
    return "cell"


def task(failed: Failure, what: Wanted) -> str:
    """Return the words for an exception; the same exception always gives the same words."""
    if what == "files" or (what == "answer" and not failed.in_cell):
        said = _in_workspace(failed)
    else:
        said = _in_cell(failed)
    return "\n".join([*said, ENDS[what]])


def _in_workspace(failed: Failure) -> list[str]:
    inner = failed.in_workspace[-1]
    return [
        f"`{_call(failed)}` raises {failed.title}",
        f"The exception comes from `{inner.function}` ({inner.place}): `{inner.text}`",
        *_variables(inner),
    ]


def _in_cell(failed: Failure) -> list[str]:
    cell = failed.cell
    if cell is None:
        return [f"A cell raises {failed.title}"]
    said = [f"The cell In [{cell.cell}] raises {failed.title}", f"It fails at line {cell.line}: `{cell.text}`"]
    inner = failed.frames[-1]
    if inner.path:
        said.append(f"`{inner.function}` ({inner.place}) refuses that on purpose: `{inner.text}`")
    return said + _variables(inner)


def _call(failed: Failure) -> str:
    """Return the statement of a cell that led there; the innermost function where no cell did."""
    outer = failed.cell
    return outer.text if outer is not None and outer.text else f"{failed.in_workspace[-1].function}()"


def _variables(frame: Frame) -> list[str]:
    return [f"There, {'; '.join(map(str, frame.variables))}."] if frame.variables else []
