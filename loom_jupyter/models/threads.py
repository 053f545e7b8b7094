"""How many threads to compute with: as many as there are idle cores.

llama.cpp's threads wait for each other after every operation of the graph, so one thread that has to share its
core holds up all: on two busy cores two threads were ten times slower than one.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

import psutil

LOOKS, PAUSE = 5, 0.004  # looks at the run queue before a choice, and seconds between them
RUN_QUEUE = Path("/proc/loadavg")


def usable_cores() -> int:
    """Return the cores that this process may use: physical ones, within its affinity and its container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(allowed, physical, _quota() or allowed))


def free_threads() -> int:
    """Return the number of threads that can run undisturbed at this moment, at least one.

    It looks at who runs now, not at who ran of late: between two calls of the model a check may have kept a core
    busy that is idle again.
    """
    everything = psutil.cpu_count() or 1
    return max(1, min(usable_cores(), round(everything - _others())))


def _others() -> float:
    """Threads of the machine, other than this one, that are running or want to."""
    looks = []
    for _ in range(LOOKS):
        running = _running()
        if running is None:
            return psutil.cpu_percent(interval=0.1) / 100 * (psutil.cpu_count() or 1)
        looks.append(running - 1)
        time.sleep(PAUSE)
    return max(0.0, statistics.median(looks))


def _running() -> int | None:
    """Threads that are running or want to, as Linux counts them; None elsewhere."""
    try:
        return int(RUN_QUEUE.read_text("ascii").split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return None


def _quota() -> int | None:
    """Whole cores that a Linux container may use, or None if it has no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return None if limit == "max" else max(1, int(limit) // int(period))
    except (OSError, ValueError):
        return None
