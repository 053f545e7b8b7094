"""A model whose calls are written down, and a model that answers from what was written."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.protocol import (
    Alternative,
    Branch,
    Continuation,
    Filler,
    Message,
    Model,
    ModelDiedError,
    ModelError,
    ModelInfo,
    Reply,
    Scorer,
    TokenScore,
    Usage,
)

Line = dict[str, Any]
DECIMALS = 4
"""Of log-probabilities. Who records hands on what was recorded, so a replay decides by the same figures."""


class NotRecordedError(ModelError):
    """A replay asks for something that the recording does not hold."""


def digest(*parts: Any) -> str:
    """Return a short hash of what a call was given."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def recorder(model: Model, write: Callable[[Line], None]) -> Model:
    """Return `model`, with a line written for each of its calls; what it can do stays the same."""
    return ScorerRecorder(model, write) if isinstance(model, Scorer) else Recorder(model, write)


class Recorder:
    """Hands calls on to a model and writes down a digest of each prompt, and the reply."""

    def __init__(self, model: Model, write: Callable[[Line], None]) -> None:
        self._model = model
        self._write = write
        write({"call": "model", "scores": isinstance(model, Scorer), "info": _info(model.info)})

    @property
    def info(self) -> ModelInfo:
        """What is loaded."""
        return self._model.info

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`."""
        found = self._model.count(text)
        self._write({"call": "count", "prompt": digest(text), "reply": found})
        return found

    def chat(
        self,
        messages: Sequence[Message],
        *,
        on_text: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
        **options: Any,
    ) -> Reply:
        """Generate a reply."""
        prompt = digest(messages, options)
        try:
            reply = self._model.chat(messages, on_text=on_text, cancel=cancel, **options)
        except ModelError as error:
            self._failed("chat", prompt, error)
            raise
        self._write(
            {
                "call": "chat",
                "prompt": prompt,
                "reply": reply.text,
                "finish": reply.finish,
                "usage": _usage(reply.usage),
            }
        )
        return reply

    def _failed(self, call: str, prompt: str, error: ModelError) -> None:
        kind = "died" if isinstance(error, ModelDiedError) else "failed"
        self._write({"call": call, "prompt": prompt, "error": kind, "reply": str(error)})


class ScorerRecorder(Recorder):
    """The same for a model that also scores and branches."""

    def score(
        self, messages: Sequence[Message], text: str, *, cancel: threading.Event | None = None, **options: Any
    ) -> tuple[list[TokenScore], Usage]:
        """Force-decode `text`."""
        prompt = digest(messages, text, options)
        try:
            scores, usage = self._scorer.score(messages, text, cancel=cancel, **options)
        except ModelError as error:
            self._failed("score", prompt, error)
            raise
        kept = _score_line(scores)
        self._write({"call": "score", "prompt": prompt, "reply": kept, "usage": _usage(usage)})
        return _scores(kept), usage

    def branch(
        self,
        messages: Sequence[Message],
        text: str,
        branches: Sequence[Branch],
        *,
        cancel: threading.Event | None = None,
        **options: Any,
    ) -> Iterator[Continuation]:
        """Continue `text` from each branch."""
        prompt = digest(messages, text, [[b.index, b.token] for b in branches], options)
        said: list[list[Any]] = []
        line: Line = {"call": "branch", "prompt": prompt, "reply": said}
        with self._stepwise(line):
            for one in self._scorer.branch(messages, text, branches, cancel=cancel, **options):
                logprob = round(one.logprob, DECIMALS)
                said.append([one.branch.index, one.branch.token, one.text, logprob, one.finish, _usage(one.usage)])
                yield _continuation(said[-1])

    def sample(
        self,
        messages: Sequence[Message],
        temperatures: Sequence[float],
        *,
        cancel: threading.Event | None = None,
        **options: Any,
    ) -> Iterator[Reply]:
        """Generate a reply for each temperature."""
        said: list[list[Any]] = []
        line: Line = {"call": "sample", "prompt": digest(messages, list(temperatures), options), "reply": said}
        with self._stepwise(line):
            for one in self._scorer.sample(messages, temperatures, cancel=cancel, **options):
                said.append([one.text, one.finish, _usage(one.usage)])
                yield one

    def infill(
        self, gaps: Sequence[tuple[str, str]], *, cancel: threading.Event | None = None, **options: Any
    ) -> Iterator[Reply]:
        """Fill the gaps, if the model can."""
        said: list[list[Any]] = []
        line: Line = {"call": "infill", "prompt": digest(gaps, options), "reply": said}
        with self._stepwise(line):
            for one in (
                self._model.infill(gaps, cancel=cancel, **options) if isinstance(self._model, Filler) else ()
            ):
                said.append([one.text, one.finish, _usage(one.usage)])
                yield one

    @contextmanager
    def _stepwise(self, line: Line) -> Iterator[None]:
        """Write a line when its answers end, however they end."""
        try:
            yield
        except ModelError as error:
            line |= {"error": "died" if isinstance(error, ModelDiedError) else "failed", "why": str(error)}
            raise
        finally:
            self._write(line)

    @property
    def _scorer(self) -> Scorer:
        assert isinstance(self._model, Scorer)
        return self._model


def recorded(lines: Iterable[Line], *, in_order: bool = False) -> Model:
    """Return a model that answers from recorded calls.

    Parameters
    ----------
    in_order
        Answer a prompt that was not recorded with the next reply of its kind. For tests of the pipeline by
        recordings of real models, which must outlive a change of a prompt's wording.
    """
    kept = list(lines)
    head = next((line for line in kept if line["call"] == "model"), None)
    if head is None:
        raise NotRecordedError("The recording names no model; run the task again.")
    return (RecordedScorer if head["scores"] else Recorded)(head, kept, in_order)


class Recorded:
    """Answers from recorded calls; without a process, without weights."""

    def __init__(self, head: Line, lines: Iterable[Line], in_order: bool) -> None:
        self.info = ModelInfo(**head["info"])
        self._answers = Answers(lines, in_order)

    def count(self, text: str) -> int:
        """Return the recorded number of tokens."""
        return int(self._answers.take("count", digest(text))["reply"])

    def chat(
        self,
        messages: Sequence[Message],
        *,
        on_text: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
        **options: Any,
    ) -> Reply:
        """Return the recorded reply."""
        _stop(cancel)
        line = _told(self._answers.take("chat", digest(messages, options)))
        if on_text is not None:
            on_text(line["reply"])
        return Reply(line["reply"], line["finish"], Usage(*line["usage"]))


class RecordedScorer(Recorded):
    """The same for a model that also scored and branched."""

    def score(
        self, messages: Sequence[Message], text: str, *, cancel: threading.Event | None = None, **options: Any
    ) -> tuple[list[TokenScore], Usage]:
        """Return the recorded scores."""
        _stop(cancel)
        line = _told(self._answers.take("score", digest(messages, text, options)))
        return _scores(line["reply"]), Usage(*line["usage"])

    def branch(
        self,
        messages: Sequence[Message],
        text: str,
        branches: Sequence[Branch],
        *,
        cancel: threading.Event | None = None,
        **options: Any,
    ) -> Iterator[Continuation]:
        """Yield the recorded continuations."""
        _stop(cancel)
        prompt = digest(messages, text, [[b.index, b.token] for b in branches], options)
        line = self._answers.take("branch", prompt)
        yield from map(_continuation, line["reply"])
        _told(line)

    def sample(
        self,
        messages: Sequence[Message],
        temperatures: Sequence[float],
        *,
        cancel: threading.Event | None = None,
        **options: Any,
    ) -> Iterator[Reply]:
        """Yield the recorded replies."""
        _stop(cancel)
        line = self._answers.take("sample", digest(messages, list(temperatures), options))
        for text, finish, usage in line["reply"]:
            yield Reply(text, finish, Usage(*usage))
        _told(line)

    def infill(
        self, gaps: Sequence[tuple[str, str]], *, cancel: threading.Event | None = None, **options: Any
    ) -> Iterator[Reply]:
        """Yield the recorded replies."""
        _stop(cancel)
        line = self._answers.take("infill", digest(gaps, options))
        for text, finish, usage in line["reply"]:
            yield Reply(text, finish, Usage(*usage))
        _told(line)


class Answers:
    """Recorded calls by what was asked; each is given once, a repeated question gets its next answer."""

    def __init__(self, lines: Iterable[Line], in_order: bool = False) -> None:
        self._in_order = in_order
        self._left: dict[str, deque[Line]] = defaultdict(deque)
        for line in lines:
            self._left[line["call"]].append(line)

    def take(self, call: str, prompt: str) -> Line:
        """Return the answer to a question.

        Raises
        ------
        NotRecordedError
            If it was not asked in the recorded run.
        """
        left = self._left[call]
        for line in left:
            if line["prompt"] == prompt:
                left.remove(line)
                return line
        if self._in_order and left:
            return left.popleft()
        raise NotRecordedError(
            f"The replay came to a {call} that the recorded run did not make: Loom or the run's files are not "
            "what they were; run the task again."
        )


def _stop(cancel: threading.Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise Cancelled


def _told(line: Line) -> Line:
    if "error" in line:
        text = str(line.get("why", line["reply"]))
        raise ModelDiedError(text) if line["error"] == "died" else ModelError(text)
    return line


def _info(info: ModelInfo) -> Mapping[str, Any]:
    return {name: getattr(info, name) for name in ("name", "n_ctx", "device", "memory", "available")}


def _usage(usage: Usage) -> list[float]:
    return [
        usage.prompt_tokens,
        usage.reused_tokens,
        usage.completion_tokens,
        round(usage.prefill_seconds, DECIMALS),
        round(usage.decode_seconds, DECIMALS),
    ]


def _continuation(kept: Sequence[Any]) -> Continuation:
    index, token, text, logprob, finish, usage = kept
    return Continuation(Branch(index, token), text, logprob, finish, Usage(*usage))


def _score_line(scores: Sequence[TokenScore]) -> Line:
    """Keep each token's text once: the same alternatives stand at many positions."""
    words = {other.token: other.text for score in scores for other in score.alternatives}
    rows = [
        [
            score.index,
            score.start,
            score.text,
            round(score.logprob, DECIMALS),
            [part for other in score.alternatives for part in (other.token, round(other.logprob, DECIMALS))],
        ]
        for score in scores
    ]
    return {"words": {str(token): text for token, text in words.items()}, "rows": rows}


def _scores(kept: Line) -> list[TokenScore]:
    words = {int(token): text for token, text in kept["words"].items()}
    return [
        TokenScore(
            index,
            start,
            text,
            logprob,
            tuple(
                Alternative(token, words[token], margin)
                for token, margin in zip(others[::2], others[1::2], strict=True)
            ),
        )
        for index, start, text, logprob, others in kept["rows"]
    ]
