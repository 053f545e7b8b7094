"""A witness of one kernel: remembers its last exception, and tells what belongs to a task.

It listens to every cell, so what is heavy is imported only when a cell has failed or a task is given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    from loom_jupyter.notebook_state import Failure, NotebookState

_OWN = ("%loom", "%%loom")


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
        if not result.info.store_history:
            return
        if error is None:
            self._age += not result.info.raw_cell.lstrip().startswith(_OWN)
        elif _is_failure(error):
            self._noted, self._age = self._read(error), 0

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

        if self._noted is None:  # one from before Loom was loaded
            error = getattr(sys, "last_value", None)
            if isinstance(error, BaseException) and _is_failure(error):
                self._noted = self._read(error)
        return seen_from(self._noted, place, self._age) if self._noted is not None else None

    def last_exception(self, root: Path) -> Failure | None:
        """Return the last exception of this kernel as the workspace `root` sees it; None if there was none."""
        from loom_jupyter.kernel.modules import placed

        return self._seen_from(placed(root))

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
        from loom_jupyter.kernel.evidence import gather

        return gather(task, self._shell, self._seen_from, root, values=values, fix=fix)


def _is_failure(error: BaseException) -> bool:
    """Whether an exception is the code's, and neither an interrupt nor the complaint of a magic."""
    kind = type(error)
    bases = type.__getattribute__(kind, "__mro__")  # a class may answer anything when it is asked
    magic = any(type.__getattribute__(base, "__name__") == "UsageError" for base in bases)
    return issubclass(kind, Exception) and not issubclass(kind, LoomError) and not magic
