"""Run the user's check command in the staged copy, under limits, and say what came of it."""

from __future__ import annotations

import codecs
import contextlib
import functools
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from loom_jupyter.edits import supervisor
from loom_jupyter.edits.environment import check_environment
from loom_jupyter.edits.errors import CheckCommandError
from loom_jupyter.edits.report import Counts, clean, command_problem, counts, summarise, trim

MEMORY = 8 * 2**30
"""Bytes that all processes of one check may hold together."""
FILE_SIZE = 4 * 2**30
_HEAD, _TAIL = 64 * 1024, 192 * 1024
_POLL = 0.05
_PATIENCE = 5.0
_MEMORY_POLL = 0.5


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one run of a check gave.

    Attributes
    ----------
    code
        Exit status as a shell gives it (128 + signal).
    output
        What was printed, clean of control signs and paths of the copy, trimmed to what matters.
    summary
        ``14 passed``, ``1 failed, 13 passed``, ``timed out after 120 s``, …
    tests
        Counts, where the output tells them.
    raw
        The whole output, bounded to its first 64 and last 192 KiB, with paths of the copy made relative.
    """

    passed: bool
    code: int
    seconds: float
    output: str
    summary: str
    tests: Counts | None = None
    timed_out: bool = False
    cancelled: bool = False
    out_of_memory: bool = False
    raw: str = ""


def run_check(
    command: str,
    cwd: Path,
    *,
    timeout: float,
    cancel: threading.Event | None = None,
    on_output: Callable[[str], None] | None = None,
    workspace: Path | None = None,
    network: bool = False,
    memory: int = MEMORY,
    environ: Mapping[str, str] | None = None,
) -> CheckResult:
    """Run a shell command as a check.

    Parameters
    ----------
    command
        As the user typed it; given to ``/bin/sh``.
    cwd
        The staged copy.
    timeout
        Seconds until every process of the check is ended.
    cancel
        Ends the check when set.
    on_output
        Called with pieces of cleaned output as they come.
    workspace
        What `cwd` is a copy of: made read-only where the system offers a sandbox, and kept out of imports.
    network
        Leave the network on. It is off by default where the system offers a sandbox (`isolation`).
    memory
        Bytes for all of the check's processes together.
    environ
        More environment variables.

    Raises
    ------
    CheckCommandError
        The command itself cannot run.
    """
    if not command.strip() or "\0" in command:
        raise CheckCommandError('The check command is empty; give one such as "pytest -q".')
    job = {
        "command": command,
        "limits": _limits(timeout, memory),
        "level": "none" if network else isolation(),
        "read_only": [str(workspace)] if workspace is not None and _separable(workspace, cwd) else [],
    }
    env = check_environment(cwd, workspace) | dict(environ or {})
    begin = time.monotonic()
    process = _supervise(job, cwd, env)
    output = _Output(on_output)
    verdict = _attend(process, output, begin + timeout, cancel, memory)
    seconds = time.monotonic() - begin
    text = clean(output.text(), cwd)
    if verdict is None and (problem := command_problem(command, process.returncode, text)):
        raise CheckCommandError(problem)
    return _result(verdict, process.returncode, seconds, text, timeout, memory)


@functools.cache
def isolation() -> str:
    """Find out what sandbox the system offers: ``root``, ``user`` or ``none`` (see `supervisor.sandbox`).

    Measured, not guessed: a probe makes the namespaces, brings the loopback device up and mounts a folder
    read-only. Containers and hardened kernels often forbid it.
    """
    if sys.platform != "linux":
        return "none"
    probe = str(Path(__file__).parent)
    for level in ("root", "user"):
        job: dict[str, object] = {"command": None, "limits": {}, "level": level, "read_only": [probe]}
        done = subprocess.run(_argv(job), capture_output=True, check=False, timeout=20)
        if done.returncode == 0:
            return level
    return "none"


def _argv(job: Mapping[str, object]) -> list[str]:
    return [sys.executable, "-I", "-S", str(supervisor.__file__), json.dumps(job)]


def _supervise(job: Mapping[str, object], cwd: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        _argv(job),
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _limits(timeout: float, memory: int) -> dict[str, int]:
    """Limits of each single process; the tree's memory and wall time are watched besides.

    ``DATA`` instead of ``AS``: runtimes reserve far more address space than they use.
    """
    return {
        "DATA": memory,
        "CPU": math.ceil(timeout * (os.cpu_count() or 1)) + 10,
        "FSIZE": FILE_SIZE,
        "CORE": 0,
        "NPROC": _tasks() + 1024,
    }


def _tasks() -> int:
    """Return how many threads the system runs: the limit counts them all."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
    except (OSError, IndexError, ValueError):
        return 4096


def _separable(workspace: Path, cwd: Path) -> bool:
    """Whether the workspace can be read-only without hindering the check: no home, no root, copy elsewhere."""
    workspace = workspace.resolve()
    needed = (cwd.resolve(), Path.home().resolve(), Path(os.environ.get("TMPDIR", "/tmp")).resolve())
    return not any(place.is_relative_to(workspace) for place in needed)


class _Output:
    """Collects bytes within bounds: the head, the tail, and a note on what lies between."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0
        self._tell = tell
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, data: bytes) -> None:
        if self._tell is not None and (text := clean(self._decoder.decode(data))):
            self._tell(text)
        room = _HEAD - len(self._head)
        self._head += data[:room] if room > 0 else b""
        self._tail += data[max(room, 0) :]
        if len(self._tail) > 2 * _TAIL:
            self._dropped += len(self._tail) - _TAIL
            del self._tail[:-_TAIL]

    def text(self) -> str:
        note = f"\n[… {self._dropped:,} bytes left out …]\n".encode() if self._dropped else b""
        return (self._head + note + self._tail).decode("utf-8", "replace")


def _attend(
    process: subprocess.Popen[bytes],
    output: _Output,
    deadline: float,
    cancel: threading.Event | None,
    memory: int,
) -> str | None:
    """Read until the check ends; return why it was ended from here, if it was."""
    assert process.stdout is not None
    verdict: str | None = None
    weigh_at = time.monotonic() + _MEMORY_POLL
    with process.stdout as pipe, selectors.DefaultSelector() as selector:
        os.set_blocking(pipe.fileno(), False)
        selector.register(pipe, selectors.EVENT_READ)
        while verdict is None and process.poll() is None:
            _read(selector, process, output)
            now = time.monotonic()
            verdict = "timed out" if now > deadline else None
            if cancel is not None and cancel.is_set():
                verdict = "cancelled"
            elif now > weigh_at:
                weigh_at = now + _MEMORY_POLL
                if _weight(process.pid) > memory:
                    verdict = "out of memory"
        _end(process)
        _drain(pipe.fileno(), output)
    return verdict


def _read(selector: selectors.BaseSelector, process: subprocess.Popen[bytes], output: _Output) -> None:
    """Wait a little for output, or for the end where the check has closed its output."""
    if not selector.get_map():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL)
        return
    for key, _ in selector.select(_POLL):
        if data := os.read(key.fd, 65536):
            output.add(data)
        else:
            selector.unregister(key.fileobj)


def _drain(pipe: int, output: _Output) -> None:
    try:
        while data := os.read(pipe, 65536):
            output.add(data)
    except BlockingIOError:
        return


def _weight(pid: int) -> int:
    """Sum the resident bytes of a process tree."""
    total = 0
    try:
        for child in psutil.Process(pid).children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        return total
    return total


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have the supervisor end the check; end both by force if it does not."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        strays = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        for stray in strays:
            try:
                stray.kill()
            except psutil.NoSuchProcess:
                continue
        process.wait()


def _result(verdict: str | None, code: int, seconds: float, text: str, timeout: float, memory: int) -> CheckResult:
    reasons = {
        "timed out": f"timed out after {timeout:g} s",
        "cancelled": "stopped",
        "out of memory": f"needed more than {memory / 2**30:.3g} GiB of memory",
    }
    tests = counts(text)
    return CheckResult(
        passed=verdict is None and code == 0,
        code=code,
        seconds=seconds,
        output=trim(text),
        summary=reasons[verdict] if verdict else summarise(code, text, tests),
        tests=tests,
        timed_out=verdict == "timed out",
        cancelled=verdict == "cancelled",
        out_of_memory=verdict == "out of memory",
        raw=text,
    )
