"""Watch over a check that runs: its output, its time, its memory, and the user's wish to stop."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

import psutil

from loom_jupyter.checks.report import clean

_HEAD, _TAIL = 64 * 1024, 192 * 1024
_POLL = 0.05
_PATIENCE = 5.0
_MEMORY_POLL = 0.5
MOST_TASKS = 4096
"""Processes and threads that a check may have at once; the system's own limit exempts root."""


class Job(Protocol):
    """A running check; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int:
        """Process above all of the check's; leader of a group of its own."""
        ...

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, or raise `subprocess.TimeoutExpired`."""
        ...

    def terminate(self) -> None:
        """Ask for the end of every process of the check; harmless after the end."""
        ...


class Output:
    """Collects bytes within bounds: the head, the tail, and a note on what lies between."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._tell = tell
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, data: bytes) -> None:
        """Take what was read."""
        if self._tell is not None and (text := clean(self._decoder.decode(data))):
            self._tell(text)
        room = _HEAD - len(self._head)
        self._head += data[:room] if room > 0 else b""
        self._tail += data[max(room, 0) :]
        if len(self._tail) > 2 * _TAIL:
            self._dropped += len(self._tail) - _TAIL
            del self._tail[:-_TAIL]

    def text(self) -> str:
        """Return what was kept, decoded."""
        note = f"\n[… {self._dropped:,} bytes left out …]\n".encode() if self._dropped else b""
        return (self._head + note + self._tail).decode("utf-8", "replace")


def wait_for(
    job: Job,
    pipe: IO[bytes],
    output: Output,
    *,
    deadline: float,
    cancel: threading.Event | None,
    memory: int,
) -> str | None:
    """Read a job's output until it ends, and end it when it must.

    Parameters
    ----------
    pipe
        Reading end of its output; closed here.
    deadline
        Of `time.monotonic`.
    memory
        Bytes that the job's processes may hold together.

    Returns
    -------
    str or None
        ``timed out``, ``cancelled``, ``out of memory`` or ``too many processes``, if it was ended from here.
    """
    verdict: str | None = None
    weigh_at = time.monotonic() + _MEMORY_POLL
    with pipe, selectors.DefaultSelector() as selector:
        os.set_blocking(pipe.fileno(), False)
        selector.register(pipe, selectors.EVENT_READ)
        while verdict is None and job.poll() is None:
            _read(selector, job, output)
            now = time.monotonic()
            verdict = "timed out" if now > deadline else None
            if cancel is not None and cancel.is_set():
                verdict = "cancelled"
            elif now > weigh_at:
                weigh_at = now + _MEMORY_POLL
                held, tasks = _use(job.pid)
                if held > memory:
                    verdict = "out of memory"
                elif tasks > MOST_TASKS:
                    verdict = "too many processes"
        _end(job)
        _drain(pipe.fileno(), output)
    return verdict


def _read(selector: selectors.BaseSelector, job: Job, output: Output) -> None:
    """Wait a little for output, or for the end where the check has closed its output."""
    if not selector.get_map():
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.wait(_POLL)
        return
    for key, _ in selector.select(_POLL):
        if data := os.read(key.fd, 65536):
            output.add(data)
        else:
            selector.unregister(key.fileobj)


def _drain(pipe: int, output: Output) -> None:
    try:
        while data := os.read(pipe, 65536):
            output.add(data)
    except BlockingIOError:
        return


def _use(pid: int) -> tuple[int, int]:
    """Sum the bytes and the threads of a tree's processes; memory that several share counts once."""
    total = tasks = mapped = 0
    files: dict[int, int] = {}
    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return 0, 0
    for child in found:
        with contextlib.suppress(psutil.Error, OSError):
            held = _proportional(child.pid)
            total += child.memory_info().rss if held is None else held[0]
            mapped += 0 if held is None else held[1]
            files |= _memory_files(child.pid)
            tasks += Path(f"/proc/{child.pid}/task").stat().st_nlink - 2 if sys.platform == "linux" else 1
    # Of files in memory, what is mapped counts with its processes.
    return total + max(0, sum(files.values()) - mapped), tasks


def _proportional(pid: int) -> tuple[int, int] | None:
    """Return a process's proportional set size, and what of it is shared memory; None if that is not told."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    found = {name: int(size) * 1024 for name, size in re.findall(r"^(Pss|Pss_Shmem):\s+(\d+) kB", text, re.M)}
    return (found["Pss"], found.get("Pss_Shmem", 0)) if "Pss" in found else None


def _memory_files(pid: int) -> dict[int, int]:
    """Return the sizes of the files in memory (``memfd_create``) that a process has open, by their numbers."""
    found: dict[int, int] = {}
    with contextlib.suppress(OSError):
        for opened in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if str(opened.readlink()).startswith("/memfd:"):
                    info = opened.stat()
                    found[info.st_ino] = info.st_blocks * 512
    return found


def _end(job: Job) -> None:
    """Have the supervisor end the check; end both by force if it does not."""
    job.terminate()
    try:
        job.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            strays = psutil.Process(job.pid).children(recursive=True)
            os.killpg(job.pid, signal.SIGKILL)
            for stray in strays:
                with contextlib.suppress(psutil.NoSuchProcess):
                    stray.kill()
        job.wait(_PATIENCE)
