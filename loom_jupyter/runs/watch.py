"""One thread a process that reads the control files of its live runs, and ends when there are none.

Stop and Accept must not depend on the kernel's main thread, which may be busy with a cell: whoever wants
something writes a line into the run's ``control.jsonl``, and this thread carries it out.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from loom_jupyter.errors import LoomError
from loom_jupyter.events import RunState

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run

WATCHED = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING, RunState.REVIEW)
INTERVAL = 0.05

_logger = logging.getLogger(__name__)
_lock = threading.Lock()
_runs: dict[str, Run] = {}
_thread: threading.Thread | None = None


def watch(run: Run) -> None:
    """Carry out what is asked of `run` until nothing more can be."""
    global _thread
    with _lock:
        _runs[run.id] = run
        if _thread is None:
            _thread = threading.Thread(target=_loop, name="loom-watch", daemon=True)
            _thread.start()


def owner(run_id: str) -> Run | None:
    """Return what owns a run in this process, if anything does."""
    return _runs.get(run_id)


def tended(run: Run) -> bool:
    """Look after a run; what goes wrong ends that run and none of the others."""
    try:
        return run.process_control()
    except Exception as error:  # noqa: BLE001 - the other runs must still be heard
        ended_by(run, error)
        return False


def ended_by(run: Run, error: Exception) -> str:
    """End a run that cannot do what is asked of it; return the reason."""
    _logger.error("run %s cannot be looked after", run.id, exc_info=error)
    said = str(error) if isinstance(error, LoomError) else f"{type(error).__name__}: {error}"
    reason = f"What is asked of this run cannot be carried out ({said}); run the task again."
    run.give_up(reason)
    return reason


def _loop() -> None:
    global _thread
    while True:
        for run in list(_runs.values()):
            if not tended(run):
                with _lock:
                    _runs.pop(run.id, None)
        with _lock:
            if not _runs:
                _thread = None
                return
        time.sleep(INTERVAL)
