"""The process that runs llama.cpp: ``python -m loom_jupyter.models.worker``.

It reads one JSON object a line from its input and writes one a line to its output:

- ``{"id": 1, "op": "load" | "log" | "selftest" | "chat" | "sample" | "score" | "branch" | "count", …}`` asks;
  answers carry the same id: any number of ``progress``, ``text`` and ``item`` lines, then ``done``,
  ``cancelled`` or ``error``.
- ``{"cancel": 1}`` stops that request, in whatever phase it is.

When its input ends, because the client closed it or died, the process exits at once.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.device import free_threads, usable_cores
from loom_jupyter.models.process import COMPUTING
from loom_jupyter.models.protocol import PREBUILT, Branch, Message, ModelError
from loom_jupyter.models.stop import Stop

Request = dict[str, Any]


class Worker:
    """Serves one client.

    Parameters
    ----------
    out
        Where answers go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._stop = Stop()
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._now: int | None = None
        self._cancelled: set[int] = set()
        self._engine: Any = None
        self._dry_run: Any = None
        self._template: Any = None
        self._ops: dict[str, Callable[[Request], Any]] = {
            "load": self._load,
            "log": self._log,
            "devices": self._devices,
            "dry": self._dry,
            "measure": self._measure,
            "selftest": self._selftest,
            "count": self._count,
            "chat": self._chat,
            "sample": self._sample,
            "score": self._score,
            "branch": self._branch,
            "infill": self._infill,
        }

    def read(self, lines: TextIO) -> None:
        """Take requests in, and cancellations the moment they come; end the process with its input."""
        for line in lines:
            request = json.loads(line)
            if "cancel" in request:
                self._cancel(request["cancel"])
            else:
                self._requests.put(request)
        os._exit(0)

    def serve(self) -> None:
        """Answer requests, one after the other, for ever."""
        while True:
            request = self._requests.get()
            with self._lock:
                self._now = request["id"]
                self._stop.clear()
                if self._now in self._cancelled:
                    self._stop.set()
            try:
                self._stop.check()
                if request["op"] in COMPUTING:
                    self._engine.set_threads(free_threads())
                self._send(done=self._ops[request["op"]](request))
            except Cancelled:
                self._send(cancelled=True)
            except ModelError as error:
                self._send(error=str(error))
            except Exception as error:  # noqa: BLE001 - the client must hear of whatever went wrong
                traceback.print_exc()
                self._send(error=f"The model's process failed ({type(error).__name__}: {error}); see its log.")
            with self._lock:
                self._cancelled.discard(request["id"])
                self._now = None

    def _cancel(self, number: int) -> None:
        with self._lock:
            self._cancelled.add(number)
            if self._now == number:
                self._stop.set()

    def _send(self, **answer: Any) -> None:
        self._out.write(json.dumps({"id": self._now, **answer}, ensure_ascii=True) + "\n")
        self._out.flush()

    # Operations

    def _load(self, request: Request) -> Any:
        if self._dry_run is not None:
            self._dry_run.close()
            self._dry_run = None
        told = 0.0

        def progress(share: float) -> bool:
            nonlocal told
            if share >= 1.0 or share - told >= 0.01:
                told = share
                self._send(progress=share)
            return not self._stop.asked

        try:
            self._engine = self._module("engine").Engine(
                request["params"],
                request["n_seq"],
                self._stop,
                progress,
                extra_buffers=request.get("extra_buffers", True),
            )
        except ValueError as error:
            self._stop.check()
            raise ModelError(f"llama.cpp could not load the model ({error}); its log says why.") from error
        self._template = self._module("engine").ChatTemplate.of(self._engine)
        return {"n_ctx": self._engine.n_ctx, "memory": self._module("dryrun").breakdown(self._engine.ctx)}

    def _devices(self, _request: Request) -> Any:
        return self._module("dryrun").devices()

    def _dry(self, request: Request) -> Any:
        if self._dry_run is not None:
            self._dry_run.close()
            self._dry_run = None
        try:
            self._dry_run = self._module("dryrun").DryRun(request["path"], request["placement"], request["n_seq"])
        except NotImplementedError as error:
            sys.stderr.write(f"no dry run: {error}\n")
            return None
        return self._dry_run.facts()

    def _measure(self, request: Request) -> Any:
        return self._dry_run.measure(request["params"], request["kv"])

    def _selftest(self, request: Request) -> Any:
        return self._module("selftest").decode(request["extra_buffers"], usable_cores(), self._stop)

    def _module(self, name: str) -> Any:
        """Import one of the modules that need llama.cpp."""
        try:
            return importlib.import_module(f"loom_jupyter.models.{name}")
        except ImportError as error:
            raise ModelError(
                f'llama-cpp-python cannot be used ({error}); run: pip install "loom-jupyter[local]", or without '
                f"compiling: {PREBUILT[0]} (or: {PREBUILT[1]})"
            ) from error

    def _log(self, request: Request) -> None:
        sys.stderr.flush()
        file = os.open(request["path"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, 2)
        os.dup2(file, 1)
        os.close(file)

    def _count(self, request: Request) -> Any:
        return len(self._engine.tokenize(request["text"]))

    def _chat(self, request: Request) -> Any:
        from loom_jupyter.models.generate import Sampler, reply

        prompt = self._prompt(request)
        sampler = Sampler(
            self._engine.vocab,
            temperature=request["temperature"],
            seed=request["seed"],
            schema=request["schema"],
        )
        try:
            answer = reply(
                self._engine,
                prompt,
                max_tokens=request["max_tokens"],
                sampler=sampler,
                stop=request["stop"],
                on_text=lambda text: self._send(text=text),
            )
        finally:
            sampler.close()
        return asdict(answer)

    def _sample(self, request: Request) -> None:
        from loom_jupyter.models.generate import Sampler, sample

        samplers = [Sampler(self._engine.vocab, temperature=t) for t in request["temperatures"]]
        for reply in sample(
            self._engine,
            self._prompt(request),
            samplers,
            stop=request["stop"],
            max_tokens=request["max_tokens"],
        ):
            self._send(item=asdict(reply))

    def _score(self, request: Request) -> Any:
        from loom_jupyter.models.generate import score

        text = self._engine.tokenize_more(request["text"])
        scores, usage = score(self._engine, self._prompt(request), text, request["top"])
        return {"scores": [asdict(s) for s in scores], "usage": asdict(usage)}

    def _branch(self, request: Request) -> Any:
        from loom_jupyter.models.generate import branch

        text = self._engine.tokenize_more(request["text"])
        for continuation in branch(
            self._engine,
            self._prompt(request),
            text,
            [Branch(index, token) for index, token in request["branches"]],
            stop=request["stop"],
            max_tokens=request["max_tokens"],
        ):
            self._send(item=asdict(continuation))

    def _infill(self, request: Request) -> None:
        from loom_jupyter.models.generate import infill

        for answer in infill(
            self._engine, request["gaps"], stop=request["stop"], max_tokens=request["max_tokens"]
        ):
            self._send(item=asdict(answer))

    def _prompt(self, request: Request) -> list[int]:
        messages: list[Message] = request["messages"]
        pieces = self._template.render(messages, self._engine.has_control)
        pieces[-1] = (pieces[-1][0] + request["prefix"], True)
        tokens: list[int] = []
        for i, (text, control) in enumerate(pieces):
            begin = i == 0 and not text.startswith(self._template.bos or "\0")
            tokens += self._engine.tokenize(text, control=control, begin=begin)
        return tokens


def _first_to_die() -> None:
    """Offer this process to the out-of-memory killer before the notebook's kernel."""
    if sys.platform == "linux":
        try:
            Path("/proc/self/oom_score_adj").write_text("1000")
        except OSError as error:
            sys.stderr.write(f"oom_score_adj could not be set: {error}\n")


def _watch(parent: int) -> None:
    """Exit when the client is gone, even if a process it forked keeps our input open."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def main() -> None:
    """Run the worker; its argument is the client's process id."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what C code prints goes to the log
    _first_to_die()
    if sys.platform != "win32":
        threading.Thread(target=_watch, args=(int(sys.argv[1]),), daemon=True).start()
    worker = Worker(out)
    lines = os.fdopen(os.dup(0), "r", encoding="utf-8")
    threading.Thread(target=worker.read, args=(lines,), daemon=True).start()
    worker.serve()


if __name__ == "__main__":
    main()
