"""A server that tells the log-probabilities of a prompt, as vLLM does: it serves the Coder's search too.

A text is scored by sending it as the beginning of the assistant's message: the server continues that message by
one token and says how likely each token of it was. A branch is the same message cut at a token, with another
token's text in its place, continued greedily. A server that refuses or ignores these fields is a plain `Server`.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, TypeVar

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.protocol import (
    Alternative,
    Branch,
    Continuation,
    Finish,
    Message,
    ModelError,
    Reply,
    TokenScore,
    Usage,
)
from loom_jupyter.models.servers.openai import REFUSALS, Server, plain
from loom_jupyter.models.servers.transport import POLL, CutOffError, StatusError
from loom_jupyter.models.stream import TextStream, whole

T = TypeVar("T")
Entry = Mapping[str, Mapping[str, Any]]

MAX_ALTERNATIVES = (
    20  # alternatives a token that such servers give unless they are told otherwise (vLLM: --max-logprobs)
)
WIDTH = 16  # requests at a time; the server computes them in one batch
# Go on after the assistant's last message. What the model's maker sets may punish repetition: that spoils code.
GO_ON = {"add_generation_prompt": False, "continue_final_message": True, "repetition_penalty": 1.0}
# A token that ends a message or the like; its text does not stand for itself: it would become the token again.
CONTROL = re.compile(r"</?[|｜]?[^\s<>|｜]+[|｜]?>")
BROKEN = "\ufffd"
# The space tells whether tokens that are decoded alone join to a text again.
PROBE: list[Message] = [{"role": "user", "content": "Count to two."}]
PROBED = "one two"

_log = logging.getLogger(__name__)


class ScoringServer(Server):
    """A model that a server runs, and lets be looked into; implements `Scorer`. See `Server`."""

    _goes_on = GO_ON

    # What was scored last, which is mostly what branches are asked of next.
    _last: tuple[tuple[list[Message], str, str], list[TokenScore]] = ([], "", ""), []

    def works(self, cancel: threading.Event | None = None) -> bool:
        """Whether this server gives scores: one request for a token finds out."""
        try:
            scores, _ = self.score(PROBE, PROBED, top=MAX_ALTERNATIVES, cancel=cancel)
        except ModelError as error:  # what is wrong is said when the model is asked something
            _log.info("the server could not be asked for scores (%s)", type(error).__name__)
            return False
        _log.info("the server %s prompt log-probabilities", "gives" if scores else "does not give")
        return bool(scores)

    def score(
        self,
        messages: Sequence[Message],
        text: str,
        *,
        prefix: str = "",
        top: int = 5,
        cancel: threading.Event | None = None,
    ) -> tuple[list[TokenScore], Usage]:
        """Force-decode `text` as if it were the reply; see `Scorer.score`.

        There are no scores where the server refuses, or its tokens do not join to the text. A token that belongs
        to the end of `prefix` in part is left out, and so is white space at the end that the chat template strips.
        """
        began = time.perf_counter()
        body = self._continuing(messages, prefix + text, 1, temperature=0.0)
        body |= {"prompt_logprobs": min(top, MAX_ALTERNATIVES), "return_token_ids": True}
        answer = self._answer(body, cancel)
        scores = _scores(answer, prefix, text, top) if answer is not None else []
        self._last = (list(messages), prefix, text), scores
        read = _count(answer, "prompt_tokens")
        return scores, Usage(prompt_tokens=read, prefill_seconds=time.perf_counter() - began)

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
    ) -> Iterator[Continuation]:
        """Continue greedily from each branch, several side by side; see `Scorer.branch`.

        The `logprob` of a continuation is the sum over the tokens after the branch's own. Branches to tokens that
        are no text of their own, and those that the server refuses, are left out. The prompt's tokens are counted
        where it is scored: the server keeps them.
        """
        first = Usage()
        if self._last[0] != (list(messages), prefix, text):
            _, first = self.score(messages, text, prefix=prefix, top=MAX_ALTERNATIVES, cancel=cancel)
        others = {(s.index, a.token): (s.start, a.text) for s in self._last[1] for a in s.alternatives if a.text}

        def follow(place: Branch, leave: threading.Event) -> Continuation | None:
            start, other = others[place.index, place.token]
            begun = prefix + text[:start]
            return self._continued(messages, begun, place, other, stop, max_tokens, leave)

        known = [b for b in branches if (b.index, b.token) in others]
        for found in _side_by_side(follow, known, cancel):
            if found is not None:
                yield replace(found, usage=first + found.usage)
                first = Usage()

    def sample(
        self,
        messages: Sequence[Message],
        temperatures: Sequence[float],
        *,
        max_tokens: int,
        prefix: str = "",
        stop: Sequence[str] = (),
        cancel: threading.Event | None = None,
    ) -> Iterator[Reply]:
        """Generate a reply for each temperature, several side by side; see `Scorer.sample`."""

        def draw(temperature: float, leave: threading.Event) -> Reply:
            return self.chat(
                messages, max_tokens=max_tokens, temperature=temperature, prefix=prefix, stop=stop, cancel=leave
            )

        return _side_by_side(draw, temperatures, cancel)

    def _continued(
        self,
        messages: Sequence[Message],
        begun: str,
        place: Branch,
        other: str,
        stop: Sequence[str],
        max_tokens: int,
        cancel: threading.Event,
    ) -> Continuation | None:
        stream = TextStream(stop)
        stream.feed(other.encode())
        if stream.stopped:
            return Continuation(place, stream.text, 0.0, "stop")
        options = {"temperature": 0.0, "logprobs": True, "stop": list(stop)}
        answer = self._answer(self._continuing(messages, begun + other, max(1, max_tokens - 1), **options), cancel)
        if answer is None:
            return None
        try:
            choice = answer["choices"][0]
            stream.feed(whole(choice["message"]["content"]).encode())
            stream.close()
            logprob = sum(float(t["logprob"]) for t in (choice.get("logprobs") or {}).get("content") or ())
        except (LookupError, TypeError, AttributeError, ValueError):
            return None  # no text: thoughts, or a call of a tool
        finish: Finish = "length" if choice.get("finish_reason") == "length" and not stream.stopped else "stop"
        usage = Usage(completion_tokens=_count(answer, "completion_tokens"))
        return Continuation(place, stream.text, logprob, finish, usage)

    def _continuing(
        self, messages: Sequence[Message], begun: str, max_tokens: int, **options: Any
    ) -> dict[str, Any]:
        told = [*messages, Message(role="assistant", content=begun)]
        return plain(self._body(told, max_tokens, {**options, **GO_ON}))

    def _answer(self, body: Mapping[str, Any], cancel: threading.Event | None) -> Any:
        """Return the answer to a request, or None if the server refuses it."""
        try:
            return self._http.post("/chat/completions", body, cancel)
        except StatusError as error:
            if error.status in REFUSALS:
                _log.info("the server refused a request (status %d)", error.status)
                return None
            raise self._explained(error) from error
        except CutOffError as error:
            raise ModelError(f"The server's answer broke off ({error}); run again, or see its log.") from error


def _scores(answer: Any, prefix: str, text: str, top: int) -> list[TokenScore]:
    """Return the scores of the tokens at the prompt's end that make up `text`; none if they do not."""
    try:
        rows = _actual(answer)
        found = _tail(rows, prefix, text) or _tail(rows, prefix, text.rstrip())
        return [
            TokenScore(i, start, *_token(entry, token), _others(entry, token, top))
            for i, (start, entry, token) in enumerate(found)
        ]
    except (LookupError, TypeError, AttributeError, ValueError):
        return []


def _actual(answer: Any) -> list[tuple[Entry | None, str]]:
    """Return each prompt token's entry, and which of its tokens stands there: the first unless it is told."""
    entries = answer["prompt_logprobs"]
    ids = answer.get("prompt_token_ids") or ()
    told = len(ids) == len(entries)
    return [
        (entry, str(ids[i]) if told else next(iter(entry))) if entry else (None, "")
        for i, entry in enumerate(entries)
    ]


def _tail(rows: Sequence[tuple[Entry | None, str]], prefix: str, text: str) -> list[tuple[int, Entry, str]]:
    """Walk from the end of the prompt to the beginning of `text`; return its tokens with their offsets."""
    whole, at = prefix + text, len(prefix) + len(text)
    found = []
    for entry, token in reversed(rows):
        if at <= len(prefix):
            break
        if entry is None:
            return []
        piece = str(entry[token]["decoded_token"])
        if not whole.endswith(piece, 0, at):
            return []
        at -= len(piece)
        found.append((at - len(prefix), entry, token))
    if at > len(prefix):
        return []
    return [row for row in reversed(found) if row[0] >= 0]


def _token(entry: Entry, token: str) -> tuple[str, float]:
    return str(entry[token]["decoded_token"]), float(entry[token]["logprob"])


def _others(entry: Entry, token: str, top: int) -> tuple[Alternative, ...]:
    found = [
        Alternative(int(t), _text(o["decoded_token"]), float(o["logprob"])) for t, o in entry.items() if t != token
    ]
    return tuple(sorted(found, key=lambda other: -other.logprob)[:top])


def _text(decoded: str | None) -> str:
    """Return a token's text; empty where it has none."""
    return "" if not decoded or BROKEN in whole(decoded) or CONTROL.fullmatch(decoded) else decoded


def _count(answer: Any, kind: str) -> int:
    usage = answer.get("usage") if isinstance(answer, dict) else None
    return int(usage.get(kind) or 0) if isinstance(usage, dict) else 0


def _side_by_side(
    call: Callable[[Any, threading.Event], T], given: Sequence[Any], cancel: threading.Event | None
) -> Iterator[T]:
    """Yield what `call` makes of each, as it comes; who stops listening ends what is under way."""
    leave = threading.Event()
    pool = ThreadPoolExecutor(WIDTH, "loom-side-by-side")
    try:
        waiting = {pool.submit(call, one, leave) for one in given}
        while waiting:
            done, waiting = wait(waiting, POLL, FIRST_COMPLETED)
            if cancel is not None and cancel.is_set():
                raise Cancelled
            for one in done:
                yield one.result()
    finally:
        leave.set()
        pool.shutdown(cancel_futures=True)
