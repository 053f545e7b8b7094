"""How many threads to compute with: as many as there are idle cores.

llama.cpp's threads wait for each other after every operation of the graph, so one thread that has to share its
core holds up all: on two busy cores two threads were ten times slower than one.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil

SHORTEST = 0.2  # seconds; a shorter time says little about how busy the machine is


def usable_cores() -> int:
    """Return the cores that this process may use: physical ones, within its affinity and its container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(allowed, physical, _quota() or allowed))


class Threads:
    """Looks at what others use of the machine between two calls."""

    def __init__(self) -> None:
        self._own = psutil.Process()
        self._cores = usable_cores()
        self._chosen = self._cores
        self._at, self._busy = time.monotonic(), self._others()

    def choose(self) -> int:
        """Return the number of threads that the time since the last call speaks for."""
        now, busy = time.monotonic(), self._others()
        if now - self._at >= SHORTEST:
            others = (busy - self._busy) / (now - self._at)
            idle = round((psutil.cpu_count() or self._cores) - others)
            self._chosen = max(1, min(self._cores, idle))
            self._at, self._busy = now, busy
        return self._chosen

    def _others(self) -> float:
        """Processor seconds that other processes have used since the machine started."""
        all_of_them, own = psutil.cpu_times(), self._own.cpu_times()
        return float(all_of_them.user + all_of_them.system + getattr(all_of_them, "nice", 0.0)) - (
            own.user + own.system
        )


def _quota() -> int | None:
    """Whole cores that a Linux container may use, or None if it has no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return None if limit == "max" else max(1, int(limit) // int(period))
    except (OSError, ValueError):
        return None
