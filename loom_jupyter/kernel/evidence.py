"""What a notebook knows about one task."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from loom_jupyter.context.notebook_evidence import share
from loom_jupyter.context.terms import STOP
from loom_jupyter.kernel import cells, modules, variables
from loom_jupyter.kernel.variables import names
from loom_jupyter.notebook_state import Cell, Failure, NotebookState, Variable

MOST_VARIABLES = 12
MOST_WANTED = 40
_HIDDEN = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})
T = TypeVar("T")


def gather(
    task: str,
    shell: Any,
    failed: Callable[[variables.Place], Failure | None],
    root: Path,
    *,
    values: bool,
    fix: bool,
) -> NotebookState:
    """Gather what belongs to a task; a part that cannot be read is left out, and said.

    Parameters
    ----------
    failed
        Returns the last exception, its paths as a workspace sees them.
    """
    missing: list[str] = []

    def part(what: str, read: Callable[[], T], nothing: T) -> T:
        try:
            return read()
        except Exception as error:  # noqa: BLE001 - whatever lives in a notebook, its task must start
            missing.append(f"{what} ({type(error).__name__})")
            return nothing

    live: Mapping[str, Any] = shell.user_ns
    hidden = _HIDDEN | frozenset(getattr(shell, "user_ns_hidden", ()))
    place = modules.placed(root)
    failure = part("the last exception", lambda: failed(place), None)
    relevant = failure if failure is not None and share(failure, task, asked=fix) > 0.5 else None
    at_fault = [n for n in _at_fault(relevant) if n in live and n not in hidden]
    named = list(dict.fromkeys([*_named(task, live, hidden), *at_fault]))
    wanted = list(dict.fromkeys([*named, *_functions(relevant)]))[:MOST_WANTED]
    always = [f.cell for f in relevant.frames if f.cell is not None] if relevant is not None else []

    def earlier() -> tuple[Cell, ...]:
        so_far = list(cells.executed(live, shell.execution_count))
        return cells.earlier(so_far, wanted, always, live, place)

    return NotebookState(
        failure=failure,
        modules=part("loaded modules", lambda: modules.loaded(place, live), ()),
        cells=part("earlier cells", earlier, ()),
        variables=part("variables", lambda: _variables(named, live, place, values), ()),
        fix=fix,
        notices=tuple(f"This notebook's evidence lacks {what}." for what in missing),
    )


def _named(task: str, live: Mapping[str, Any], hidden: frozenset[str]) -> list[str]:
    """Return the live names that a task says; common words only where they are written like code."""

    def said(name: str) -> bool:
        if len(name) > 1 and name.lower() not in STOP:
            return True
        return bool(re.search(rf"`[^`\n]*\b{re.escape(name)}\b[^`\n]*`", task))

    return [n for n in names(task) if n in live and n not in hidden and not n.startswith("_") and said(n)]


def _at_fault(failed: Failure | None) -> list[str]:
    """Return the names that the failing statements of cells say."""
    cells_of = [f for f in failed.frames if f.cell is not None] if failed is not None else []
    return [name for frame in reversed(cells_of) for name in names(frame.text)]


def _functions(failed: Failure | None) -> list[str]:
    """Return the functions of the workspace that an exception passed through, the innermost first."""
    frames = reversed(failed.in_workspace) if failed is not None else ()
    return [name for f in frames if (name := f.function.rpartition(".")[2]).isidentifier()]


def _variables(
    wanted: Sequence[str], live: Mapping[str, Any], place: Callable[[str], str], values: bool
) -> tuple[Variable, ...]:
    """Describe the wanted variables; functions and modules only where the workspace defines them."""
    found = (variables.variable(name, live[name], place, values=values) for name in wanted)
    return tuple(v for v in found if v.is_data or v.path)[:MOST_VARIABLES]
