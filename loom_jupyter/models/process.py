"""The model's process seen from the client: starting it, speaking with it, noticing its death."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.protocol import BrokenBuildError, ModelDiedError, ModelError, broken_build

POLL = 0.01  # seconds between looks at the caller's cancel flag
GRACE = 1.5  # seconds that a process which is told to stop has for it, before it is killed
PACKAGE_ROOT = Path(__file__).resolve().parents[2]

SPINS = "1000"  # a waiting thread soon sleeps: libgomp's default spins through whole time slices of a busy machine
LAST = frozenset({"done", "error", "cancelled"})  # what ends the answers to a request
COMPUTING = frozenset({"chat", "sample", "score", "branch", "infill"})
CRASHES = frozenset({"SIGILL", "SIGSEGV", "SIGBUS"})  # how a build ends that does not fit the processor

Answer = dict[str, Any]
_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def passing_file(name: str) -> Iterator[Path]:
    """Lend a file that is gone when this process ends, however it ends; outside of Linux a temporary one."""
    if sys.platform == "linux":
        handle = os.memfd_create(name)
        try:
            yield Path(f"/proc/self/fd/{handle}")
        finally:
            os.close(handle)
    else:
        with tempfile.TemporaryDirectory(prefix="loom-", ignore_cleanup_errors=True) as folder:
            yield Path(folder) / name


class Child:
    """The child process, which speaks JSON lines (see `loom_jupyter.models.worker`).

    Parameters
    ----------
    log
        File that receives what llama.cpp prints.

    Attributes
    ----------
    borrower
        Stops the requests that are given no `cancel` of their own.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.borrower: threading.Event | None = None
        self.disposable = True  # until it holds a loaded model, a stop may simply end it
        self.computed = False  # whether a token has come of it
        self._owner = os.getpid()
        self._numbers = itertools.count(1)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as sink:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", "loom_jupyter.models.worker", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=_environment(),
                cwd=PACKAGE_ROOT,  # llama.cpp looks for libraries in the current folder, which may be anybody's
                start_new_session=True,  # Ctrl+C in a terminal is for the client
            )
        _logger.info("the model's process %d started", self._child.pid)
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="loom-model", daemon=True).start()
        threading.Thread(target=self._write, name="loom-model-in", daemon=True).start()

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    def get(self, request: Answer, cancel: threading.Event | None = None) -> Any:
        """Send a request and return its result."""
        for answer in self.ask(request, cancel):
            if "done" in answer:
                return answer["done"]
        raise ModelError("The model's process gave no answer; run again.")

    def ask(self, request: Answer, cancel: threading.Event | None = None) -> Iterator[Answer]:
        """Send a request and yield its answers up to the last; abandoning the iterator stops the work."""
        cancel = cancel or self.borrower
        number = next(self._numbers)
        self._send({"id": number, **request})
        _logger.debug("request %d to the model's process: %s", number, request["op"])
        finished = False
        try:
            while not finished:
                if cancel is not None and cancel.is_set():
                    break
                try:
                    answer = self._answers.get(timeout=POLL if cancel is not None else None)
                except queue.Empty:
                    continue
                finished = answer is None or not answer.keys().isdisjoint(LAST)
                sound = self._sound(answer)
                self.computed = self.computed or (request["op"] in COMPUTING and "progress" not in sound)
                yield sound
        finally:
            if not finished:
                self._stop(number)
        if not finished:
            raise Cancelled

    def _stop(self, number: int) -> None:
        """Stop the work at a request; a process that does not stop, because it hangs, is killed."""
        if not self.disposable:
            self._outbox.put(_line({"cancel": number}))
            end = time.monotonic() + GRACE
            while (left := end - time.monotonic()) > 0:
                try:
                    answer = self._answers.get(timeout=left)
                except queue.Empty:
                    break
                if answer is None or not answer.keys().isdisjoint(LAST):
                    return
        self._kill()

    def _kill(self) -> None:
        self._child.kill()
        try:
            self._child.wait(GRACE)
        except subprocess.TimeoutExpired:  # it hangs in the system itself, which ends it when that returns
            _logger.warning("the model's process %d does not end although it was killed", self.pid)

    def _sound(self, answer: Answer | None) -> Answer:
        """Return an answer that is one; raise what it says otherwise."""
        if answer is None:
            raise self._death()
        if "error" in answer:
            raise ModelError(answer["error"])
        if "cancelled" in answer:
            raise Cancelled
        return answer

    def close(self) -> None:
        """End the process: it exits when its input does."""
        if os.getpid() != self._owner:
            return  # a fork of the client does not own the child
        self._outbox.put(None)
        try:
            self._child.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._kill()

    def _send(self, message: Answer) -> None:
        if not self.alive:
            raise self._death()
        self._outbox.put(_line(message))

    def _write(self) -> None:
        """Hand messages on: a process that hangs does not read them, and nobody else may wait for that."""
        assert self._child.stdin is not None
        with contextlib.suppress(OSError), self._child.stdin as pipe:  # its death is noticed by who listens
            while (line := self._outbox.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _listen(self) -> None:
        assert self._child.stdout is not None
        try:
            for line in self._child.stdout:
                self._answers.put(json.loads(line))
        finally:  # whatever it wrote, nobody must wait for more
            self._answers.put(None)

    def _death(self) -> ModelDiedError | BrokenBuildError:
        """Say how the process ended, and what that means."""
        code = self._child.wait()
        how = _signal_name(-code) if code < 0 else f"status {code}"
        _logger.warning("the model's process %d ended by itself: %s", self.pid, how)
        if how in CRASHES and not self.computed:
            return broken_build(how)
        memory = how == "SIGKILL"
        why = " (the system may have run out of memory: take a smaller model or window)" if memory else ""
        ended = f"was ended by {how}" if code < 0 else f"ended with {how}"
        return ModelDiedError(
            f"The model's process {ended}{why}; the next use starts it again, its log is {self.log}.", how
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _line(message: Answer) -> bytes:
    """Return a message as a line; half a character of a text (a lone surrogate) becomes a question mark."""
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _environment() -> dict[str, str]:
    """Environment of the child, which must find this very package even where it is not installed."""
    env = {**os.environ, "GGML_NO_BACKTRACE": "1"}  # an abort must not wait for a debugger
    env.setdefault("GOMP_SPINCOUNT", SPINS)
    if PACKAGE_ROOT.name not in ("site-packages", "dist-packages"):
        known = env.get("PYTHONPATH")
        env["PYTHONPATH"] = f"{known}{os.pathsep}{PACKAGE_ROOT}" if known else str(PACKAGE_ROOT)
    return env
