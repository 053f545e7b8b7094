"""Run pytest, or a session's cells, for many candidates without starting Python for each."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loom_jupyter.checks import cells, warm_server
from loom_jupyter.checks.command import MEMORY, CheckResult, ProcessExit, result, rules
from loom_jupyter.checks.environment import check_environment
from loom_jupyter.checks.process import Output, wait_for
from loom_jupyter.checks.report import clean
from loom_jupyter.checks.sandbox import start

_logger = logging.getLogger(__name__)
_READY = 60.0
# Bytes of one answer, which lists modules.
_MAX_LINE = 1 << 20
_SHELL_SIGNS = frozenset("|&;<>()$`\\*?[]#~=%!{}\n")


def warmable(command: str) -> tuple[list[str], list[str]] | None:
    """Take a command apart that is nothing but pytest, or a session's cells, of the kernel's own Python.

    Returns
    -------
    tuple or None
        The script (nothing for ``python -m pytest``) and its arguments. None for any command that needs a shell,
        another program, or another Python.
    """
    if sys.platform != "linux" or not _SHELL_SIGNS.isdisjoint(command):
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if command == cells.COMMAND:
        return [cells.NAME], []
    folder = Path(sys.executable).parent
    if words[:1] in (["pytest"], ["py.test"]) and (folder / words[0]).exists():
        return [str(folder / words[0])], words[1:]
    if words[:1] in (["python"], ["python3"]) and words[1:3] == ["-m", "pytest"] and (folder / words[0]).exists():
        return [], words[3:]
    return None


class Warm:
    """A process that has pytest imported (or IPython, for cells), and forks itself for every run.

    Measured on two busy cores, a small suite takes 0.2 s instead of 2 s.

    Parameters
    ----------
    command
        A command that `warmable` takes apart.
    cwd, timeout, workspace, network, memory
        As for `check.run_check`; `timeout` is the longest that a run may ask for.

    Attributes
    ----------
    modules
        Modules of well-known libraries that the last run imported again.
    selects
        Whether a run can be of some tests only; cells are always run all.
    """

    def __init__(
        self,
        command: str,
        cwd: Path,
        *,
        timeout: float,
        workspace: Path | None = None,
        network: bool = False,
        memory: int = MEMORY,
    ) -> None:
        parts = warmable(command)
        if parts is None:
            raise ValueError(f"{command!r} is more than pytest")
        program, self._args = parts
        self.selects = command != cells.COMMAND
        self._cwd, self._memory = cwd, memory
        self._socket, theirs = socket.socketpair()
        job = rules(cwd, timeout, workspace, network=network, memory=memory)
        env = check_environment(cwd, workspace, sandboxed=job["plan"] is not None)
        with theirs:
            server = {
                "socket": theirs.fileno(),
                "program": program,
                "cells": not self.selects,
                "limits": job["limits"],
                "sandboxed": job["plan"] is not None,
                "private": [*job["plan"]["empty"], *job["plan"]["hidden"], "/dev/shm"] if job["plan"] else [],
                # Only for the runs: the server itself imports nothing of the workspace.
                "path": env.pop("PYTHONPATH").split(os.pathsep),
                "strange": [str(cwd), *([str(workspace)] if workspace is not None else [])],
            }
            argv = [sys.executable, str(warm_server.__file__), json.dumps(server)]
            job |= {"argv": argv, "limits": {}, "keep": [theirs.fileno()]}
            self._process = start(
                job,
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._answers = _Answers(self._socket)
        self.modules: list[str] = []

    def ready(self, cancel: threading.Event | None = None) -> bool:
        """Wait until pytest is imported; False if that failed or `cancel` was set."""
        until = time.monotonic() + _READY
        while time.monotonic() < until and not (cancel is not None and cancel.is_set()):
            if answer := self._answers.get(0.05):
                _logger.info(
                    "the warm process %d is %s", self._process.pid, "ready" if "ready" in answer else "not usable"
                )
                return "ready" in answer
            if self._answers.closed:
                return False
        return False

    def preload(self, cancel: threading.Event | None = None) -> bool:
        """Import what the last run imported of well-known libraries; False if that failed."""
        try:
            self._socket.sendall(json.dumps({"preload": self.modules}).encode() + b"\n")
        except OSError:
            return False
        return self.ready(cancel)

    @property
    def alive(self) -> bool:
        """Whether another run can be asked for."""
        return not self._answers.closed and self._process.poll() is None

    def run(
        self,
        *,
        timeout: float,
        cancel: threading.Event | None = None,
        on_output: Callable[[str], None] | None = None,
        args: Sequence[str] | None = None,
        more: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        path: Sequence[str] = (),
    ) -> CheckResult:
        """Run pytest once.

        Parameters
        ----------
        timeout, cancel, on_output
            As for `check.run_check`.
        args
            Instead of the command's own arguments; cells take none.
        more
            Further arguments.
        environ, path
            Further environment variables, and entries of `sys.path`.
        """
        begin = time.monotonic()
        reading, writing = os.pipe()
        words = [*(self._args if args is None else args), *more]
        request = {"args": words, "environ": dict(environ or {}), "path": list(path)}
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode() + b"\n"], [writing])
        except OSError:
            self._answers.closed = True
        finally:
            os.close(writing)
        job = _Run(self._process.pid, self._socket, self._answers)
        output = Output(on_output)
        pipe = os.fdopen(reading, "rb", buffering=0)
        verdict = wait_for(job, pipe, output, deadline=begin + timeout, cancel=cancel, memory=self._memory)
        code = job.poll()
        self.modules = job.modules
        text = clean(output.text(), self._cwd)
        ended = ProcessExit(verdict, 137 if code is None else code, time.monotonic() - begin, text)
        _logger.info("warm check ended: status %s, %s, %.1f s", code, verdict or "by itself", ended.seconds)
        return result(ended, timeout, self._memory)

    def close(self) -> None:
        """End the process and what it runs."""
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Answers:
    """Lines of JSON from the server."""

    def __init__(self, stream: socket.socket) -> None:
        self._stream = stream
        self._buffer = b""
        self.closed = False

    def get(self, timeout: float) -> dict[str, Any] | None:
        """Return the next answer, or None if there is none within `timeout` seconds."""
        if b"\n" not in self._buffer and not self.closed and select.select([self._stream], [], [], timeout)[0]:
            try:
                data = self._stream.recv(1 << 20)
            except OSError:
                data = b""
            self._buffer += data
            self.closed = not data or len(self._buffer) > _MAX_LINE
        line, end, rest = self._buffer.partition(b"\n")
        if not end:
            return None
        self._buffer = rest
        answer = _parsed(line)
        self.closed = self.closed or answer is None
        return answer


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Read an answer; None for anything else, for a run may have got hold of the server."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    modules = found.get("modules", [])
    sound = isinstance(modules, list) and all(isinstance(name, str) for name in modules)
    return found if "ready" in found or (sound and isinstance(found.get("code"), int)) else None


class _Run:
    """One run, as `watch.attend` sees a job."""

    def __init__(self, pid: int, stream: socket.socket, answers: _Answers) -> None:
        self.pid = pid
        self._stream = stream
        self._answers = answers
        self._code: int | None = None
        self.modules: list[str] = []

    def poll(self) -> int | None:
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        until = time.monotonic() + (timeout or 0.0)
        while self._code is None:
            left = until - time.monotonic()
            if timeout is not None and left <= 0:
                raise subprocess.TimeoutExpired("pytest", timeout)
            self._look(0.05 if timeout is None else min(left, 0.05))
        return self._code

    def terminate(self) -> None:
        if self._code is None:
            with contextlib.suppress(OSError):
                self._stream.sendall(warm_server.STOP)

    def _look(self, timeout: float) -> int | None:
        if self._code is None:
            answer = self._answers.get(timeout)
            if answer is not None:
                self._code = answer.get("code", 137)
                self.modules = answer.get("modules", [])
            elif self._answers.closed:
                self._code = 137
        return self._code
