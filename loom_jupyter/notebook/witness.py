"""A witness of one kernel: remembers its last exception, and gathers what belongs to a task."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from loom_jupyter.context.notebook_evidence import share
from loom_jupyter.context.notebook_state import Failure, NotebookState, Variable
from loom_jupyter.context.words import STOP
from loom_jupyter.errors import LoomError
from loom_jupyter.notebook import cells, modules, variables
from loom_jupyter.notebook.failure import failure, seen_from
from loom_jupyter.notebook.names import names

MOST_VARIABLES = 12
MOST_WANTED = 40
_HIDDEN = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})
T = TypeVar("T")


class Witness:
    """Follows a shell.

    Parameters
    ----------
    shell
        IPython's, or one that has its ``user_ns``, ``execution_count`` and ``compile``.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._noted: Failure | None = None
        self._age = 0

    # --- the last exception ---

    def after_cell(self, result: Any) -> None:
        """Remember what a cell raised (IPython's ``post_run_cell``); no frame of it is kept."""
        error = result.error_before_exec or result.error_in_exec
        if error is None:
            self._age += 1
        elif _is_failure(error):
            self._noted, self._age = self._read(error), 0

    def _read(self, error: BaseException) -> Failure | None:
        try:
            return failure(error, self._cells_by_file())
        except Exception:  # noqa: BLE001 - IPython shows the exception itself; Loom's note of it must add no second one
            return None

    def _cells_by_file(self) -> Mapping[str, int]:
        """Return the execution counts of compiled cells; IPython keeps them for its own tracebacks."""
        found = getattr(self._shell.compile, "_filename_map", {})
        return found if isinstance(found, dict) else {}

    def failure(self, place: Callable[[str], str]) -> Failure | None:
        """Return the last exception of this kernel, as the workspace sees it; None if there was none."""
        if self._noted is None:  # one from before Loom was loaded
            error = getattr(sys, "last_value", None)
            if isinstance(error, BaseException) and _is_failure(error):
                self._noted = self._read(error)
        return seen_from(self._noted, place, self._age) if self._noted is not None else None

    def last_exception(self, root: Path) -> Failure | None:
        """Return the last exception of this kernel as the workspace `root` sees it; None if there was none."""
        return self.failure(modules.placed(root))

    # --- a task ---

    def state(self, task: str, root: Path, *, values: bool = False, fix: bool = False) -> NotebookState:
        """Gather what belongs to a task; a part that cannot be read is left out, and said.

        Parameters
        ----------
        values
            Tell short forms of the variables' values too.
        fix
            The task is to repair the last exception.
        """
        missing: list[str] = []

        def part(what: str, read: Callable[[], T], nothing: T) -> T:
            try:
                return read()
            except Exception as error:  # noqa: BLE001 - whatever lives in a notebook, its task must start
                missing.append(f"{what} ({type(error).__name__})")
                return nothing

        live: Mapping[str, Any] = self._shell.user_ns
        place = modules.placed(root)
        failed = part("the last exception", lambda: self.failure(place), None)
        relevant = failed if failed is not None and share(failed, task, asked=fix) > 0.5 else None
        named = _named(task, live, self._hidden())
        at_fault = [n for n in _at_fault(relevant) if n in live and n not in self._hidden()]
        wanted = list(dict.fromkeys([*named, *at_fault, *_functions(relevant)]))[:MOST_WANTED]
        always = [f.cell for f in relevant.frames if f.cell is not None] if relevant is not None else []
        looked_at = list(dict.fromkeys([*named, *at_fault]))
        return NotebookState(
            failure=failed,
            modules=part("loaded modules", lambda: modules.loaded(place, live), ()),
            cells=part("earlier cells", lambda: self._earlier(wanted, always, place), ()),
            variables=part("variables", lambda: _variables(looked_at, live, place, values), ()),
            fix=fix,
            notices=tuple(f"This notebook's evidence lacks {what}." for what in missing),
        )

    def _hidden(self) -> frozenset[str]:
        return _HIDDEN | frozenset(getattr(self._shell, "user_ns_hidden", ()))

    def _earlier(self, wanted: Sequence[str], always: Sequence[int], place: Callable[[str], str]) -> Any:
        live = self._shell.user_ns
        so_far = list(cells.executed(live, self._shell.execution_count))
        return cells.earlier(so_far, wanted, always, live, place)


def _is_failure(error: BaseException) -> bool:
    """Whether an exception is the code's, and neither an interrupt nor the complaint of a magic."""
    magic = any(base.__name__ == "UsageError" for base in type(error).__mro__)
    return isinstance(error, Exception) and not isinstance(error, LoomError) and not magic


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
