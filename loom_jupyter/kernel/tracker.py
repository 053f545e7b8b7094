"""The one tracker of a kernel: which cells ran, which of them failed, and what belongs to a task.

It listens to every cell, so what is heavy is imported only when a cell has failed or a task is given.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from loom_jupyter import kernel_session
from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    from loom_jupyter.checks.cells import Cell, Session
    from loom_jupyter.notebook_state import Failure, NotebookState

_OWN = ("%loom", "%%loom")
_TASK = re.compile(r"^[ \t]*+%%loom\b", re.M)
_OWN_LINE = re.compile(
    r"^(?:[\w \t,.\[\]]++=)?[ \t]*+%(?:loom\b|(?:re)?load_ext\s+loom_jupyter\b|config\s+LoomMagics\b).*$", re.M
)
_trackers: WeakKeyDictionary[Any, KernelTracker] = WeakKeyDictionary()


class KernelTracker:
    """Remembers what a shell's history does not tell: how each cell ended, and the last exception.

    Parameters
    ----------
    shell
        IPython's, or one that has its ``user_ns``, ``execution_count``, ``history_manager`` and ``compile``.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._ended: dict[int, tuple[str, str, str]] = {}
        self._failure: Failure | None = None
        self._age = 0
        self._note_last_error()

    def after_cell(self, result: Any) -> None:
        """Remember how a cell ended (IPython's ``post_run_cell``); no frame of it is kept."""
        info, error = result.info, result.error_before_exec or result.error_in_exec
        if info is None or not info.store_history:
            return
        if error is None:
            self._age += not info.raw_cell.lstrip().startswith(_OWN)
        elif _is_failure(error):
            self._failure, self._age = self._read(error), 0
        number = getattr(result, "execution_count", None)
        if number is not None:
            name = type.__getattribute__(type(error), "__name__") if error is not None else ""
            self._ended[number] = (info.raw_cell, name, getattr(info, "cell_id", None) or "")

    def _note_last_error(self) -> None:
        """Take over the last exception of a session that is older than Loom in it."""
        error, trace = getattr(sys, "last_value", None), getattr(sys, "last_traceback", None)
        files = getattr(self._shell.compile, "_filename_map", {})
        names = [error.filename] if isinstance(error, SyntaxError) else []
        while trace is not None:
            names.append(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        number = next((files[name] for name in names if name in files), None)
        if error is not None and number is not None and number < len(self._history):
            self._ended[number] = (self._history[number], type(error).__name__, "")

    @property
    def _history(self) -> list[str]:
        history: list[str] = self._shell.history_manager.input_hist_raw
        return history

    def _read(self, error: BaseException) -> Failure:
        from loom_jupyter.kernel.traceback import failure
        from loom_jupyter.notebook_state import Failure

        try:
            return failure(error, self._cells_by_file())
        except Exception:  # noqa: BLE001 - it may do anything when it is read; that it was raised is known all the same
            return Failure(type=type.__getattribute__(type(error), "__name__"))

    def _cells_by_file(self) -> Mapping[str, int]:
        """Return the execution counts of compiled cells; IPython keeps them for its own tracebacks."""
        found = getattr(self._shell.compile, "_filename_map", {})
        return found if isinstance(found, dict) else {}

    def _seen_from(self, place: Callable[[str], str]) -> Failure | None:
        from loom_jupyter.kernel.traceback import seen_from

        if self._failure is None:  # one from before Loom was loaded
            error = getattr(sys, "last_value", None)
            if isinstance(error, BaseException) and _is_failure(error):
                self._failure = self._read(error)
        return seen_from(self._failure, place, self._age) if self._failure is not None else None

    def last_exception(self, root: Path) -> Failure | None:
        """Return the last exception of this kernel as the workspace `root` sees it; None if there was none."""
        from loom_jupyter.kernel.modules import placed

        return self._seen_from(placed(root))

    def state(self, task: str, root: Path, *, values: bool = False, fix: bool = False) -> NotebookState:
        """Gather what belongs to a task; a part that cannot be read is left out, and said.

        Parameters
        ----------
        values
            Tell short forms of the variables' values too.
        fix
            The task is to repair the last exception.
        """
        from loom_jupyter.kernel.evidence import gather

        return gather(task, self._shell, self._seen_from, root, values=values, fix=fix)

    # --- what was run ---

    def session(self, root: Path) -> Session:
        """Return what was run, as far as it takes to reach the failing cell again."""
        from loom_jupyter.checks.cells import Session

        cells = self._cells()
        failed = [n for n, cell in enumerate(cells) if cell.error and not self._repaired(cell, cells[n + 1 :])]
        if failed:
            cells = cells[: failed[-1] + 1]
        # What failed and was run again as another text only stands in the way.
        kept = [c for n, c in enumerate(cells) if not (c.error and self._again(c, cells[n + 1 :]))]
        # Where the kernel began: its cells change the directory themselves.
        places = [Path(place).resolve() for place in (self._shell.user_ns.get("_dh", [""])[0], Path.cwd())]
        folder = next((place.relative_to(root).as_posix() for place in places if place.is_relative_to(root)), ".")
        names = tuple(sorted(name for name in self._shell.user_ns if not name.startswith("_")))
        return Session(cells=tuple(kept), folder="" if folder == "." else folder, names=names)

    def _cells(self) -> list[Cell]:
        """Return every cell that ran before the one that runs now, but for Loom's own."""
        from loom_jupyter.checks.cells import Cell
        from loom_jupyter.secrets import masked

        own, found = self._own_names(), []
        for number, raw in enumerate(self._history[: self._shell.execution_count]):
            source = "" if _TASK.search(raw) else _OWN_LINE.sub("", raw)
            if not source.strip() or _mentions(source, own):
                continue
            text, error, cell_id = self._ended.get(number, ("", "", ""))
            if text != raw:  # The history was reset since.
                error = cell_id = ""
            if error == "KeyboardInterrupt":  # It would run for as long again.
                continue
            if error == "UsageError" and source != raw:  # Loom's own line refused something.
                error = ""
            found.append(Cell(number=number, source=masked(source), error=error, cell_id=cell_id))
        return found

    def _own_names(self) -> set[str]:
        """Return the variables that hold what is Loom's: a check must not start another run."""
        return {
            name
            for name, value in list(self._shell.user_ns.items())
            if type(value).__module__ in ("loom_jupyter.loom", "loom_jupyter.runs.run")
        } | {"Loom"}

    @staticmethod
    def _again(cell: Cell, later: list[Cell]) -> bool:
        """Whether a cell of the notebook was run again."""
        return any(cell.cell_id and cell.cell_id == other.cell_id for other in later)

    def _repaired(self, cell: Cell, later: list[Cell]) -> bool:
        """Whether a cell was run again, as it was or as another text of the same cell, and did not fail."""
        return any(
            not other.error
            and (other.source == cell.source or (cell.cell_id != "" and cell.cell_id == other.cell_id))
            for other in later
        )


def _mentions(source: str, names: set[str]) -> bool:
    """Whether a cell uses a variable; a cell that only imports it does not."""
    from loom_jupyter.edits.syntax import plain

    try:
        tree = ast.parse(plain(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(tree))


def track(shell: Any) -> KernelTracker:
    """Follow a shell, once: a second call returns the same tracker."""
    found = _trackers.get(shell)
    if found is None:
        found = _trackers[shell] = KernelTracker(shell)
        shell.events.register("post_run_cell", found.after_cell)
        kernel_session.provide(session)
    return found


def session(root: Path) -> Session | None:
    """Return what the kernel of this process has run; None where there is none, or Loom is not loaded in it."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    tracker = _trackers.get(shell) if shell is not None else None
    return tracker.session(root) if tracker is not None else None


def _is_failure(error: BaseException) -> bool:
    """Whether an exception is the code's, and neither an interrupt nor the complaint of a magic."""
    kind = type(error)
    bases = type.__getattribute__(kind, "__mro__")  # a class may answer anything when it is asked
    magic = any(type.__getattribute__(base, "__name__") == "UsageError" for base in bases)
    return issubclass(kind, Exception) and not issubclass(kind, LoomError) and not magic
