"""The task that an exception makes: what was called, what it raised, and where."""

from __future__ import annotations

from loom_jupyter.context.notebook_state import Failure, Frame


def task(failed: Failure, *, in_cell: bool) -> str:
    """Return the words for an exception; the same exception always gives the same words.

    Parameters
    ----------
    in_cell
        Ask for a corrected cell instead of a change of the workspace.
    """
    return _in_cell(failed) if in_cell else _in_workspace(failed)


def _in_workspace(failed: Failure) -> str:
    inner = failed.in_workspace[-1]
    said = [
        f"`{_call(failed)}` raises {failed.title}",
        f"The exception comes from `{inner.function}` ({inner.place}): `{inner.text}`",
        *_variables(inner),
        "Correct the code, so that this no longer raises.",
    ]
    return "\n".join(said)


def _in_cell(failed: Failure) -> str:
    cell = next((f for f in reversed(failed.frames) if not f.path), None)
    if cell is None:
        return f"A cell raises {failed.title}\nExplain in a few sentences why, and what to write instead."
    said = [f"The cell In [{cell.cell}] raises {failed.title}", f"It fails at line {cell.line}: `{cell.text}`"]
    inner = failed.frames[-1]
    if inner.path:
        said.append(f"`{inner.function}` ({inner.place}) refuses that on purpose: `{inner.text}`")
    said += _variables(inner)
    said.append("Explain in a few sentences why, then give the whole corrected cell in one code block.")
    return "\n".join(said)


def _call(failed: Failure) -> str:
    """Return the statement of a cell that led there; the innermost function where no cell did."""
    outer = next((f for f in reversed(failed.frames) if not f.path), None)
    return outer.text if outer is not None and outer.text else f"{failed.in_workspace[-1].function}()"


def _variables(frame: Frame) -> list[str]:
    return [f"There, {'; '.join(map(str, frame.variables))}."] if frame.variables else []
