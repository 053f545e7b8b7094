"""One thread a process that reads the control files of its live runs, and ends when there are none.

Stop and Accept must not depend on the kernel's main thread, which may be busy with a cell: whoever wants
something writes a line into the run's ``control.jsonl``, and this thread carries it out.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from loom_jupyter.runs.events import RunState

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run

WATCHED = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING, RunState.REVIEW)
INTERVAL = 0.05

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


def _loop() -> None:
    global _thread
    while True:
        for run in list(_runs.values()):
            if not run.tend():
                with _lock:
                    _runs.pop(run.id, None)
        with _lock:
            if not _runs:
                _thread = None
                return
        time.sleep(INTERVAL)
