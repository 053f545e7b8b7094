"""The model's process seen from the client: starting it, speaking with it, noticing its death."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.protocol import BrokenBuildError, ModelDiedError, ModelError, broken_build

POLL = 0.01  # seconds between looks at the caller's cancel flag
PACKAGE_ROOT = Path(__file__).resolve().parents[2]

SPINS = "1000"  # a waiting thread soon sleeps: libgomp's default spins through whole time slices of a busy machine
LAST = frozenset({"done", "error", "cancelled"})  # what ends the answers to a request
COMPUTING = frozenset({"chat", "sample", "score", "branch", "infill"})
CRASHES = frozenset({"SIGILL", "SIGSEGV", "SIGBUS"})  # how a build ends that does not fit the processor

Answer = dict[str, Any]


class Child:
    """The child process, which speaks JSON lines (see `loom_jupyter.models.worker`).

    Parameters
    ----------
    log
        File that receives what llama.cpp prints.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
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
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="loom-model", daemon=True).start()

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
        number = next(self._numbers)
        self._send({"id": number, **request})
        cancelled = finished = False
        try:
            while not finished:
                if not cancelled and cancel is not None and cancel.is_set():
                    cancelled = True
                    self._stop(number)
                try:
                    answer = self._answers.get(timeout=POLL if cancel is not None and not cancelled else None)
                except queue.Empty:
                    continue
                finished = answer is None or not answer.keys().isdisjoint(LAST)
                if cancelled:
                    continue
                sound = self._sound(answer)
                self.computed = self.computed or (request["op"] in COMPUTING and "progress" not in sound)
                yield sound
        finally:
            if not finished:
                self._abandon(number)
        if cancelled:
            raise Cancelled

    def _stop(self, number: int) -> None:
        if self.disposable:
            self._child.kill()
        else:
            self._send({"cancel": number})

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
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(1)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _abandon(self, number: int) -> None:
        if not self.alive:
            return
        self._send({"cancel": number})
        while True:
            answer = self._answers.get()
            if answer is None or not answer.keys().isdisjoint(LAST):
                return

    def _send(self, message: Answer) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(message).encode() + b"\n")
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise self._death() from error

    def _listen(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._answers.put(json.loads(line))
        self._answers.put(None)

    def _death(self) -> ModelDiedError | BrokenBuildError:
        """Say how the process ended, and what that means."""
        code = self._child.wait()
        how = _signal_name(-code) if code < 0 else f"status {code}"
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


def _environment() -> dict[str, str]:
    """Environment of the child, which must find this very package even where it is not installed."""
    env = {**os.environ, "GGML_NO_BACKTRACE": "1"}  # an abort must not wait for a debugger
    env.setdefault("GOMP_SPINCOUNT", SPINS)
    if PACKAGE_ROOT.name not in ("site-packages", "dist-packages"):
        known = env.get("PYTHONPATH")
        env["PYTHONPATH"] = f"{known}{os.pathsep}{PACKAGE_ROOT}" if known else str(PACKAGE_ROOT)
    return env
