"""A local model in a process of its own, as the pipeline sees it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.plan import MemoryPlan, check, plan_memory
from loom_jupyter.models.protocol import (
    Alternative,
    Branch,
    Continuation,
    Message,
    ModelError,
    ModelInfo,
    Reply,
    TokenScore,
    Usage,
)

POLL = 0.01  # seconds between looks at the caller's cancel flag
PACKAGE_ROOT = Path(__file__).resolve().parents[2]

SPINS = "1000"  # a waiting thread soon sleeps: libgomp's default spins through whole time slices of a busy machine
LAST = frozenset({"done", "error", "cancelled"})  # what ends the answers to a request

Answer = dict[str, Any]


class LlamaCpp:
    """A GGUF model run by llama.cpp in a child process; implements `Model` and `Scorer`.

    Parameters
    ----------
    path
        The GGUF file.
    n_ctx
        Window in tokens; None takes the largest that fits.
    name
        What to call the model; the file's stem if None.
    on_progress
        Called with the share (0 to 1) that is loaded.
    log
        File that receives llama.cpp's own log.
    cancel
        Set by another thread to stop loading.
    sequences
        Sequences that share the KV cache, more than one to explore branches side by side; None takes what is
        fastest on the device.

    Raises
    ------
    ModelError
        If the file is no model, does not fit into memory, or cannot be loaded.
    Cancelled
        If `cancel` was set.
    """

    def __init__(
        self,
        path: Path | str,
        n_ctx: int | None = None,
        *,
        name: str | None = None,
        on_progress: Callable[[float], None] | None = None,
        log: Path | str | None = None,
        cancel: threading.Event | None = None,
        sequences: int | None = None,
    ) -> None:
        self.path = Path(path)
        self._name = name or self.path.stem
        self._n_ctx = n_ctx
        self._sequences = sequences
        self._log = Path(log) if log else Path(tempfile.gettempdir()) / f"loom-model-{os.getpid()}.log"
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._plan: MemoryPlan | None = None
        self._info: ModelInfo | None = None
        with self._lock:
            self._start(on_progress, cancel)

    @property
    def info(self) -> ModelInfo:
        """What is loaded."""
        assert self._info is not None
        return self._info

    @property
    def plan(self) -> MemoryPlan:
        """How it was loaded."""
        assert self._plan is not None
        return self._plan

    @property
    def pid(self) -> int | None:
        """Id of the child process, while it lives."""
        return self._process.pid if self._process is not None and self._process.alive else None

    def log_to(self, log: Path) -> None:
        """Write llama.cpp's log to another file from now on; a run keeps the log of its own calls."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        if self.pid is not None:
            self._ask({"op": "log", "path": str(log)})
            self._running().log = log

    def close(self) -> None:
        """Unload the model and end its process."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`."""
        return int(self._ask({"op": "count", "text": text}))

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
        schema: Mapping[str, Any] | None = None,
        prefix: str = "",
        stop: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Reply:
        """Generate a reply; see `Model.chat`."""
        request = {
            "op": "chat",
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
            "schema": schema,
            "prefix": prefix,
            "stop": list(stop),
        }
        done = self._ask(request, cancel, on_text)
        return Reply(done["text"], done["finish"], Usage(**done["usage"]))

    def score(
        self,
        messages: Sequence[Message],
        text: str,
        *,
        prefix: str = "",
        top: int = 5,
        cancel: threading.Event | None = None,
    ) -> tuple[list[TokenScore], Usage]:
        """Force-decode `text` as if it were the reply; see `Scorer.score`."""
        request = {"op": "score", "messages": list(messages), "text": text, "prefix": prefix, "top": top}
        done = self._ask(request, cancel)
        return [_score(s) for s in done["scores"]], Usage(**done["usage"])

    def branch(
        self,
        messages: Sequence[Message],
        text: str,
        branches: Sequence[Branch],
        *,
        prefix: str = "",
        stop: Sequence[str] = ("\n",),
        max_tokens: int = 64,
        cancel: threading.Event | None = None,
    ) -> Iterable[Continuation]:
        """Continue greedily from each branch; see `Scorer.branch`.

        The `logprob` of a continuation is the sum over the tokens after the branch's own, whose log-probability is
        the alternative's that `score` gave.
        """
        request = {
            "op": "branch",
            "messages": list(messages),
            "text": text,
            "branches": [(b.index, b.token) for b in branches],
            "prefix": prefix,
            "stop": list(stop),
            "max_tokens": max_tokens,
        }
        with self._lock:
            for answer in self._running().ask(request, cancel):
                if "item" in answer:
                    item = answer["item"]
                    place = Branch(**item["branch"])
                    yield Continuation(place, item["text"], item["logprob"], item["finish"])

    def _ask(
        self,
        request: Answer,
        cancel: threading.Event | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Any:
        with self._lock:
            for answer in self._running().ask(request, cancel):
                if "text" in answer and on_text is not None:
                    on_text(answer["text"])
                if "done" in answer:
                    return answer["done"]
        raise ModelError("The model's process gave no answer; run again.")

    def _running(self) -> _Process:
        if self._process is None or not self._process.alive:
            self._start(None, None)
        assert self._process is not None
        return self._process

    def _start(self, on_progress: Callable[[float], None] | None, cancel: threading.Event | None) -> None:
        self.close()
        self._plan = plan = plan_memory(self.path, n_ctx=self._n_ctx)
        check(plan)
        process = _Process(self._log)
        request = {"op": "load", "params": dict(plan.load_params), "n_seq": self._sequences or plan.sequences}
        try:
            for answer in process.ask(request, cancel):
                if "progress" in answer and on_progress is not None:
                    on_progress(answer["progress"])
                if "done" in answer:
                    n_ctx = answer["done"]["n_ctx"]
        except BaseException:
            process.close()
            raise
        self._process = process
        self._info = ModelInfo(self._name, n_ctx, plan.device, plan.total, plan.available)


class _Process:
    """The child process and the line protocol spoken with it."""

    def __init__(self, log: Path) -> None:
        self.log = log
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
                start_new_session=True,  # Ctrl+C in a terminal is for the client
            )
        self._answers: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="loom-model", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def ask(self, request: Answer, cancel: threading.Event | None) -> Iterator[Answer]:
        """Send a request and yield its answers up to the last; abandoning the iterator stops the work."""
        number = next(self._numbers)
        self._send({"id": number, **request})
        cancelled = finished = False
        try:
            while not finished:
                if not cancelled and cancel is not None and cancel.is_set():
                    cancelled = True
                    self._send({"cancel": number})
                try:
                    answer = self._answers.get(timeout=POLL if cancel is not None and not cancelled else None)
                except queue.Empty:
                    continue
                finished = answer is None or not answer.keys().isdisjoint(LAST)
                if answer is None:
                    raise ModelError(self._obituary())
                if "error" in answer:
                    raise ModelError(answer["error"])
                if "cancelled" in answer:
                    raise Cancelled
                if not cancelled:
                    yield answer
        finally:
            if not finished:
                self._abandon(number)
        if cancelled:
            raise Cancelled

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
            raise ModelError(self._obituary()) from error

    def _listen(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self._answers.put(json.loads(line))
        self._answers.put(None)

    def _obituary(self) -> str:
        code = self._child.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        memory = code == -signal.SIGKILL if sys.platform != "win32" else False
        why = " (the system may have run out of memory: take a smaller model or window)" if memory else ""
        return f"The model's process {how}{why}; the next use starts it again, its log is {self.log}."


def _environment() -> dict[str, str]:
    """Environment of the child, which must find this very package even where it is not installed."""
    env = {**os.environ, "GGML_NO_BACKTRACE": "1"}  # an abort must not wait for a debugger
    env.setdefault("GOMP_SPINCOUNT", SPINS)
    if PACKAGE_ROOT.name not in ("site-packages", "dist-packages"):
        known = env.get("PYTHONPATH")
        env["PYTHONPATH"] = f"{known}{os.pathsep}{PACKAGE_ROOT}" if known else str(PACKAGE_ROOT)
    return env


def _score(data: Answer) -> TokenScore:
    others = tuple(Alternative(**a) for a in data.pop("alternatives"))
    return TokenScore(**data, alternatives=others)
