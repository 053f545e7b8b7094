"""A local model in a process of its own, as the pipeline sees it."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loom_jupyter.models import gguf, probe
from loom_jupyter.models.memory import MemoryPlan, plan_with
from loom_jupyter.models.process import Answer, Child
from loom_jupyter.models.protocol import (
    Alternative,
    Branch,
    BrokenBuildError,
    Continuation,
    Message,
    ModelError,
    ModelInfo,
    Reply,
    TokenScore,
    Usage,
)

GIB = 1 << 30


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
    device
        ``"CPU"`` or a GPU's name; None takes the GPUs that llama.cpp can use, if any.
    sequences
        Sequences that share the KV cache, more than one to explore branches side by side; None takes what is
        fastest on the device.

    Attributes
    ----------
    memory
        What llama.cpp has allocated: a row for each kind of memory with the bytes of weights, cache and
        computation. Empty where that cannot be read.

    Raises
    ------
    ModelError
        If the file is not a model, does not fit into memory, or cannot be loaded.
    BrokenBuildError
        If this build of llama.cpp does not work on this processor.
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
        device: str | None = None,
        sequences: int | None = None,
    ) -> None:
        self.path = Path(path)
        self._name = name or self.path.stem
        self._n_ctx = n_ctx
        self._sequences = sequences
        self._device = device
        self._log = Path(log) if log else Path(tempfile.gettempdir()) / f"loom-model-{os.getpid()}.log"
        self.memory: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._borrower: threading.Event | None = None
        self._process: Child | None = None
        self._plan: MemoryPlan | None = None
        self._info: ModelInfo | None = None
        self._extra_buffers: bool | None = None  # whether weights are repacked; None until that was tried
        self._file: tuple[int, ...] = ()  # what marks the file that is loaded
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
    def alive(self) -> bool:
        """Whether the child process runs."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int | None:
        """Id of the child process, while it lives."""
        return self._process.pid if self._process is not None and self._process.alive else None

    @property
    def held(self) -> int:
        """Bytes of the device that come free when the model is unloaded."""
        if self.plan.device != "CPU":
            return sum(
                row[part] for row in self.memory for part in ("weights", "kv", "compute") if row["device"] != "CPU"
            )
        import psutil

        if self.pid is None:
            return 0
        try:
            used = psutil.Process(self.pid).memory_info()
        except psutil.Error:
            return 0
        # What is shared with other processes does not come free.
        return int(used.rss - getattr(used, "shared", used.rss))

    def log_to(self, log: Path) -> None:
        """Write llama.cpp's log to another file from now on; a run keeps the log of its own calls."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        if self.pid is not None:
            self._ask({"op": "log", "path": str(log.absolute())})
            self._running().log = log

    def stop_calls_with(self, cancel: threading.Event | None) -> None:
        """Let the one who has the model now stop any of its calls, also those that are told no `cancel`."""
        self._borrower = cancel

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
        for item in self._items(request, cancel):
            place, usage = Branch(**item["branch"]), Usage(**item["usage"])
            yield Continuation(place, item["text"], item["logprob"], item["finish"], usage)

    def sample(
        self,
        messages: Sequence[Message],
        temperatures: Sequence[float],
        *,
        max_tokens: int,
        prefix: str = "",
        stop: Sequence[str] = (),
        cancel: threading.Event | None = None,
    ) -> Iterable[Reply]:
        """Generate a reply for each temperature; see `Scorer.sample`."""
        request = {
            "op": "sample",
            "messages": list(messages),
            "temperatures": list(temperatures),
            "max_tokens": max_tokens,
            "prefix": prefix,
            "stop": list(stop),
        }
        return self._replies(request, cancel)

    def infill(
        self,
        gaps: Sequence[tuple[str, str]],
        *,
        stop: Sequence[str] = ("\n",),
        max_tokens: int = 64,
        cancel: threading.Event | None = None,
    ) -> Iterable[Reply]:
        """Write what stands between each pair of texts; see `Filler.infill`."""
        request = {
            "op": "infill",
            "gaps": [list(gap) for gap in gaps],
            "stop": list(stop),
            "max_tokens": max_tokens,
        }
        return self._replies(request, cancel)

    def _replies(self, request: Answer, cancel: threading.Event | None) -> Iterator[Reply]:
        for item in self._items(request, cancel):
            yield Reply(item["text"], item["finish"], Usage(**item["usage"]))

    def _items(self, request: Answer, cancel: threading.Event | None) -> Iterator[Answer]:
        cancel = cancel or self._borrower
        with self._lock:
            for answer in self._answers(request, cancel):
                if "item" in answer:
                    yield answer["item"]

    def _ask(
        self,
        request: Answer,
        cancel: threading.Event | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Any:
        cancel = cancel or self._borrower
        with self._lock:
            for answer in self._answers(request, cancel):
                if "text" in answer and on_text is not None:
                    on_text(answer["text"])
                if "done" in answer:
                    return answer["done"]
        raise ModelError("The model's process gave no answer; run again.")

    def _running(self, cancel: threading.Event | None = None) -> Child:
        if self._process is None or not self._process.alive:
            self._start(None, cancel)
        assert self._process is not None
        return self._process

    def _answers(self, request: Answer, cancel: threading.Event | None) -> Iterator[Answer]:
        """Ask the worker; if it crashes before its first token, load without repacked weights and ask again."""
        try:
            yield from self._running(cancel).ask(request, cancel)
            return
        except BrokenBuildError as error:
            if not self._extra_buffers:
                raise
            died = error.how
        self._extra_buffers = False
        for number, answer in enumerate(self._running(cancel).ask(request, cancel)):
            if number == 0:
                probe.distrust(died)
            yield answer

    def _start(self, on_progress: Callable[[float], None] | None, cancel: threading.Event | None) -> None:
        """Load; again without repacked weights if the worker crashes over them."""
        self.close()
        if self._extra_buffers is None:
            found = probe.ensure(cancel)
            self._extra_buffers = found is None or found.extra_buffers
        self._file = _mark(self.path)
        header = gguf.read(self.path)
        gguf.check_chat(header)
        try:
            try:
                self._load_twice(header, on_progress, cancel)
            except BrokenBuildError as error:
                self._check_file(error)
                if not self._extra_buffers:
                    raise
                self._extra_buffers = False
                self._load_twice(header, on_progress, cancel)
                probe.distrust(error.how)
        except ModelError as error:
            self._check_file(error)
            raise

    def _check_file(self, error: ModelError) -> None:
        """Raise that the model's file is not the one that was loaded, if so: that explains any failure."""
        if _mark(self.path) != self._file:
            raise ModelError(
                f"The model file {self.path} changed or was cut while it was being loaded; fetch it again, or run "
                "again if you replaced it yourself."
            ) from error

    def _load_twice(
        self,
        header: gguf.Header,
        on_progress: Callable[[float], None] | None,
        cancel: threading.Event | None,
    ) -> None:
        """Plan and load; once more with a fresh plan if others took the memory meanwhile."""
        try:
            self._load(header, None, on_progress, cancel)
        except _LoadError as first:
            self._check_file(first)
            try:
                self._load(header, first.plan, on_progress, cancel)
            except _LoadError as second:
                free, less = first.plan.available / GIB, second.plan.available / GIB
                raise ModelError(
                    f"{self._name} could not be loaded in two tries, with {free:.1f} and {less:.1f} GiB free on "
                    f"{second.plan.device}: close what else uses its memory, or take a smaller model. {second}"
                ) from second

    def _load(
        self,
        header: gguf.Header,
        before: MemoryPlan | None,
        on_progress: Callable[[float], None] | None,
        cancel: threading.Event | None,
    ) -> None:
        child = Child(self._log)
        try:
            plan = plan_with(
                child, header, device=self._device, n_ctx=self._n_ctx, sequences=self._sequences, cancel=cancel
            )
            _check(plan, before)
            loaded = _loaded(child, plan, on_progress, cancel, self._extra_buffers is not False)
        except BaseException:
            child.close()
            raise
        child.disposable = False
        self._process, self._plan = child, plan
        self.memory = loaded["memory"]
        self._info = ModelInfo(self._name, loaded["n_ctx"], plan.device, plan.total, plan.available)


class _LoadError(ModelError):
    """A load failed although its plan fitted."""

    def __init__(self, text: str, plan: MemoryPlan) -> None:
        super().__init__(text)
        self.plan = plan


def _mark(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is written or replaced; nothing where it is gone."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _loaded(
    child: Child,
    plan: MemoryPlan,
    on_progress: Callable[[float], None] | None,
    cancel: threading.Event | None,
    extra_buffers: bool = True,
) -> Any:
    request = {
        "op": "load",
        "params": dict(plan.load_params),
        "n_seq": plan.sequences,
        "extra_buffers": extra_buffers,
    }
    try:
        for answer in child.ask(request, cancel):
            if "progress" in answer and on_progress is not None:
                on_progress(answer["progress"])
            if "done" in answer:
                return answer["done"]
    except BrokenBuildError:
        raise
    except ModelError as error:
        raise _LoadError(str(error), plan) from error
    raise _LoadError("The model's process gave no answer.", plan)


def _check(plan: MemoryPlan, before: MemoryPlan | None) -> None:
    """Refuse a plan that does not fit, and one that would move to another device without a word."""
    if before is not None and plan.device != before.device:
        raise ModelError(
            f"{before.device} vanished while the model was loaded; look what became of it (nvidia-smi), or set "
            f'device = "{plan.device}" in [tool.loom] to go on without it.'
        )
    if not plan.fits:
        meanwhile = "Others took memory while the model was loaded. " if before is not None else ""
        raise ModelError(meanwhile + plan.advice)


def _score(data: Answer) -> TokenScore:
    others = tuple(Alternative(**a) for a in data.pop("alternatives"))
    return TokenScore(**data, alternatives=others)
