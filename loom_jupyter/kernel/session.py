"""What this kernel has run: its cells in order, which of them failed, and what its variables are called."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    from loom_jupyter.checks.cells import Cell, Session

_TASK = re.compile(r"^[ \t]*+%%loom\b", re.M)
_OWN_LINE = re.compile(
    r"^(?:[\w \t,.\[\]]++=)?[ \t]*+%(?:loom\b|(?:re)?load_ext\s+loom_jupyter\b|config\s+LoomMagics\b).*$", re.M
)
_recorders: WeakKeyDictionary[Any, Recorder] = WeakKeyDictionary()


class Recorder:
    """Remembers what a shell's history does not tell: which executions failed, and of which cell they were."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._ended: dict[int, tuple[str, str, str]] = {}
        self._note_last_error()
        shell.events.register("post_run_cell", self._ran)

    def _ran(self, result: Any) -> None:
        info = result.info
        if info is None or not info.store_history or result.execution_count is None:
            return
        error = result.error_before_exec or result.error_in_exec
        name = type(error).__name__ if error is not None else ""
        self._ended[result.execution_count] = (info.raw_cell, name, getattr(info, "cell_id", None) or "")

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

    def session(self, root: Path) -> Session:
        """Return what was run, as far as it takes to reach the failing cell again."""
        from loom_jupyter.checks.cells import Session

        cells = self._cells()
        failed = [n for n, cell in enumerate(cells) if cell.error and not self._mended(cell, cells[n + 1 :])]
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

    def _mended(self, cell: Cell, later: list[Cell]) -> bool:
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


def record(shell: Any) -> None:
    """Begin to listen to a shell."""
    if shell not in _recorders:
        _recorders[shell] = Recorder(shell)


def session(root: Path) -> Session | None:
    """Return what the kernel of this process has run; None where there is none, or Loom is not loaded in it."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    recorder = _recorders.get(shell) if shell is not None else None
    return recorder.session(root) if recorder is not None else None


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
    from loom_jupyter.checks import cells
    from loom_jupyter.runs import written

    if check != cells.CELL and not cell:
        return None
    found = session(root)
    if check == cells.CELL:
        cells.require(found)
    if cell and files:
        raise LoomError("--cell writes a cell of the notebook: leave --ask and --commit out.")
    if cell and check not in (None, cells.CELL):
        raise LoomError("A cell can be checked by --check cell alone, for no other check runs it.")
    if found is None:
        raise LoomError("--cell writes a cell of a notebook: start the run in one, with %%loom.")
    if cell:
        written.named(text, found)
    return found
