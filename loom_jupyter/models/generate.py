"""What the worker does with an engine: reply, score a text, continue from branches, draw samples."""

from __future__ import annotations

import ctypes
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from loom_jupyter.models.allocation import OUTPUTS
from loom_jupyter.models.engine import Engine, Floats
from loom_jupyter.models.protocol import (
    Alternative,
    Branch,
    Continuation,
    Finish,
    ModelError,
    Reply,
    TokenScore,
    Usage,
)
from loom_jupyter.models.stream import TextStream

# Choosing the next token: greedy or with a temperature, free or held to a grammar.
#
# Every choice is "the allowed token with the best key". With a temperature the keys are the logits plus Gumbel
# noise, whose best is a sample of the softmax; so a grammar never has to look at the whole vocabulary unless
# the
# best few tokens are all refused, and the outcome is the same as if it had.

MIN_P = 0.05  # tokens less likely than this share of the likeliest are never sampled
FEW = (64, 2048, 16384)  # of the best tokens are shown to the grammar before all of them are

Logits = npt.NDArray[np.float32]
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)], align=True)


class Sampler:
    """Picks tokens for one reply.

    Parameters
    ----------
    vocab
        llama.cpp's vocabulary, needed by the grammar.
    temperature
        0 is greedy.
    seed
        For the noise; None takes a new one.
    schema
        JSON Schema that the reply must follow.
    """

    def __init__(
        self,
        vocab: Any,
        *,
        temperature: float = 0.0,
        seed: int | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        self._temperature = temperature
        self._noise = np.random.default_rng(seed)
        self._grammar = _grammar(vocab, schema) if schema is not None else None

    def pick(self, logits: Logits) -> int:
        """Return the next token and advance the grammar past it."""
        keys = self._keys(logits)
        token = int(keys.argmax())
        check(keys[token])
        if self._grammar is None:
            return token
        if not len(self._allowed(np.array([token], np.int32))):
            token = self._best_allowed(keys, logits)
        lib.llama_sampler_accept(self._grammar, token)
        return token

    def close(self) -> None:
        """Free the grammar."""
        if self._grammar is not None:
            lib.llama_sampler_free(self._grammar)
            self._grammar = None

    def _keys(self, logits: Logits) -> Logits:
        if self._temperature <= 0:
            return logits
        floor = logits.max() + math.log(MIN_P)
        (likely,) = np.nonzero(logits >= floor)
        keys = np.full_like(logits, -np.inf)
        noise = self._noise.gumbel(size=len(likely))
        keys[likely] = logits[likely] / self._temperature + noise.astype(np.float32)
        return keys

    def _best_allowed(self, keys: Logits, logits: Logits) -> int:
        for few in FEW:
            if few < len(keys):
                best = np.argpartition(keys, -few)[-few:].astype(np.int32)
                allowed = self._allowed(best[keys[best] > -np.inf])
                if len(allowed):
                    return int(allowed[keys[allowed].argmax()])
        allowed = self._allowed(np.arange(len(keys), dtype=np.int32))
        if not len(allowed):
            raise ModelError("No token of the model's vocabulary fits the schema here; simplify the schema.")
        by = keys if keys[allowed].max() > -np.inf else logits
        return int(allowed[by[allowed].argmax()])

    def _allowed(self, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Return those of `tokens` that the grammar accepts next."""
        if not len(tokens):
            return tokens
        data = np.zeros(len(tokens), _CANDIDATE)
        data["id"] = tokens
        array = lib.llama_token_data_array(
            data=data.ctypes.data_as(lib.llama_token_data_p), size=len(tokens), selected=-1, sorted=False
        )
        lib.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return tokens[data["logit"] > -np.inf]


def check(logit: float) -> None:
    """Raise if the best logit is NaN: the weights are corrupt, or of another architecture."""
    if math.isnan(logit):
        raise ModelError("The model produced NaN logits; the file may be corrupt: download it again.")


def _grammar(vocab: Any, schema: Mapping[str, Any]) -> Any:
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        text = json_schema_to_gbnf(json.dumps(schema))
    except Exception as error:
        raise ModelError(f"The reply's schema cannot be made into a grammar ({error}).") from error
    grammar = lib.llama_sampler_init_grammar(vocab, text.encode(), b"root")
    if not grammar:
        raise ModelError("llama.cpp refused the grammar of the reply's schema; see the model's log.")
    return grammar


# Of the longest of those samples that ended first, more than half: a sample so much longer is given up.
LONGER = 1.5


def reply(
    engine: Engine,
    prompt: Sequence[int],
    *,
    max_tokens: int,
    sampler: Sampler,
    stop: Sequence[str],
    on_text: Callable[[str], None],
) -> Reply:
    """Generate until an end token, a stop string, `max_tokens` or the end of the window."""
    began = time.perf_counter()
    reused = engine.prefill(prompt)
    prefilled = time.perf_counter()
    stream = TextStream(stop)
    finish: Finish = "length"
    n = 0
    for n in range(1, min(max_tokens, engine.n_ctx - len(prompt)) + 1):
        token = sampler.pick(engine.logits())
        if engine.ends(token):
            finish = "stop"
            break
        if piece := stream.feed(engine.piece(token)):
            on_text(piece)
        if stream.stopped:
            finish = "stop"
            break
        if n < max_tokens and len(engine.cached) < engine.n_ctx:
            engine.extend([token])
    if piece := stream.close():
        on_text(piece)
    ended = time.perf_counter()
    usage = Usage(len(prompt), reused, n, prefilled - began, ended - prefilled)
    return Reply(stream.text, finish, usage)


def score(engine: Engine, prompt: Sequence[int], text: Sequence[int], top: int) -> tuple[list[TokenScore], Usage]:
    """Force-decode the tokens of a text after a prompt."""
    began = time.perf_counter()
    reused = engine.prefill(prompt)
    prefilled = time.perf_counter()
    rows = [_row(engine.logits(), text[0], top)] if text else []
    for start in range(0, len(text), OUTPUTS):
        chunk = text[start : start + OUTPUTS]
        following = text[start + 1 : start + OUTPUTS + 1]
        engine.extend(chunk, outputs=len(chunk))
        rows += [_row(engine.logits(i), token, top) for i, token in enumerate(following)]
    scores = [
        TokenScore(i, at, _text(engine, token), logprob, _alternatives(engine, others))
        for i, (at, token, (logprob, others)) in enumerate(zip(_starts(engine, text), text, rows, strict=True))
    ]
    usage = Usage(len(prompt) + len(text), reused, 0, prefilled - began, time.perf_counter() - prefilled)
    return scores, usage


def branch(
    engine: Engine,
    prompt: Sequence[int],
    text: Sequence[int],
    branches: Sequence[Branch],
    *,
    stop: Sequence[str],
    max_tokens: int,
) -> Iterator[Continuation]:
    """Continue greedily from each branch, the last position first, several at a time if the engine is set to."""
    waiting = [_Path(b, len(prompt), TextStream(stop)) for b in sorted(branches, key=lambda b: b.index)]
    began = time.perf_counter()
    reused = engine.prefill([*prompt, *text])
    first = Usage(len(prompt) + len(text), reused, 0, time.perf_counter() - began)
    for found in _continued(engine, prompt, text, waiting, max_tokens):
        yield replace(found, usage=first + found.usage)
        first = Usage()


def sample(
    engine: Engine,
    prompt: Sequence[int],
    samplers: Sequence[Sampler],
    *,
    stop: Sequence[str],
    max_tokens: int,
) -> Iterator[Reply]:
    """Generate a reply with each sampler, several at a time if the engine is set to."""
    began = time.perf_counter()
    reused = engine.prefill(prompt)
    first = Usage(len(prompt), reused, 0, time.perf_counter() - began)
    logits = engine.logits().copy()
    waiting = [
        _Path(Branch(0, s.pick(logits)), len(prompt), TextStream(stop), sampler=s) for s in reversed(samplers)
    ]
    began = time.perf_counter()
    for found in _continued(engine, prompt, (), waiting, max_tokens, tail=False):
        now = time.perf_counter()
        yield Reply(found.text, found.finish, replace(first + found.usage, decode_seconds=now - began))
        first, began = Usage(), now


def infill(
    engine: Engine, gaps: Sequence[Sequence[str]], *, stop: Sequence[str], max_tokens: int
) -> Iterator[Reply]:
    """Write greedily what stands between each pair of texts; nothing for a model that was not taught to."""
    if engine.gap is None:
        return
    first, second, last = engine.gap
    for before, behind in gaps:
        began = time.perf_counter()
        prompt = [first, *engine.tokenize(before), second, *engine.tokenize(behind), last]
        if len(prompt) + max_tokens >= engine.n_ctx:
            yield Reply("", "length", Usage())
            continue
        # Only the first one pushes out what is worth keeping.
        reused = engine.prefill(prompt, passing=engine.cached[:1] == [first])
        prefilled = time.perf_counter()
        path = _Path(Branch(0, int(engine.logits().argmax())), len(prompt), TextStream(stop))
        path.take(engine, path.branch.token, 0.0, max_tokens)
        path.run(engine, max_tokens)
        done = path.result()
        usage = Usage(len(prompt), reused, path.taken, prefilled - began, time.perf_counter() - prefilled)
        yield Reply(done.text, done.finish, usage)


def _continued(
    engine: Engine,
    prompt: Sequence[int],
    text: Sequence[int],
    waiting: list[_Path],
    max_tokens: int,
    *,
    tail: bool = True,
) -> Iterator[Continuation]:
    """Continue from each branch, once the main sequence holds prompt and text.

    Parameters
    ----------
    tail
        False to end what grows far longer than most side by side: the last few cost as much as all before them.
    """
    room = engine.n_ctx - len(engine.cached)
    limit = min(max_tokens, room)
    width = min(engine.n_seq - 1, room // limit)
    if width < 2 or not engine.reaches(len(prompt)):
        yield from _one_by_one(engine, [*prompt, *text], waiting, limit)
        return
    try:
        yield from _side_by_side(engine, waiting, limit, list(range(width, 0, -1)), tail=tail)
    finally:
        for seq in range(1, engine.n_seq):
            engine.drop(seq)


def _one_by_one(engine: Engine, tokens: Sequence[int], waiting: list[_Path], limit: int) -> Iterator[Continuation]:
    """Rewind the main sequence to each branch in turn."""
    while waiting:
        path = waiting.pop()
        path.take(engine, path.branch.token, 0.0, limit)
        if path.finish is None:
            engine.prefill([*tokens[: path.position], path.token], passing=True)
            path.advance(engine, engine.logits(), limit)
        path.run(engine, limit)
        yield path.result()


def _side_by_side(
    engine: Engine, waiting: list[_Path], limit: int, free: list[int], *, tail: bool
) -> Iterator[Continuation]:
    """Decode a token of several branches at a time; each is a sequence that shares the main one's cells."""
    active: list[_Path] = []
    half, ended = len(waiting) / 2, list[int]()
    while waiting or active:
        while waiting and free:
            path = waiting.pop()
            path.take(engine, path.branch.token, 0.0, limit)
            if path.finish is None:
                path.seq = free.pop()
                engine.fork(path.seq, path.position)
                active.append(path)
            else:
                yield path.result()
        if not active:
            continue
        engine.step([p.token for p in active], [p.position for p in active], [p.seq for p in active])
        for i, path in enumerate(active):
            path.advance(engine, engine.logits(i), limit)
        if not tail and len(ended) > half:
            for path in active:
                path.finish = path.finish or ("length" if path.taken >= LONGER * max(ended) else None)
        for path in [p for p in active if p.finish is not None]:
            ended.append(path.taken)
            active.remove(path)
            engine.drop(path.seq)
            free.append(path.seq)
            yield path.result()


@dataclass
class _Path:
    """One branch on its way."""

    branch: Branch
    base: int
    stream: TextStream
    seq: int = 0
    token: int = 0
    taken: int = 0
    logprob: float = 0.0
    finish: Finish | None = field(default=None)
    sampler: Sampler | None = None

    @property
    def position(self) -> int:
        """Where `token` stands in its sequence."""
        return self.base + self.branch.index + self.taken - 1

    def advance(self, engine: Engine, logits: Floats, max_tokens: int) -> None:
        if self.sampler is not None:
            token = self.sampler.pick(logits)
        else:
            token = int(logits.argmax())
            check(logits[token])
        self.take(engine, token, float(logits[token]) - _log_sum(logits), max_tokens)

    def run(self, engine: Engine, max_tokens: int) -> None:
        """Go on in the main sequence to the end."""
        while self.finish is None:
            engine.extend([self.token])
            self.advance(engine, engine.logits(), max_tokens)

    def take(self, engine: Engine, token: int, logprob: float, max_tokens: int) -> None:
        self.token = token
        self.taken += 1
        self.logprob += logprob
        if engine.ends(token):
            self.finish = "stop"
            return
        self.stream.feed(engine.piece(token))
        if self.stream.stopped:
            self.finish = "stop"
        elif self.taken >= max_tokens:
            self.finish = "length"

    def result(self) -> Continuation:
        self.stream.close()
        used = Usage(completion_tokens=self.taken)
        return Continuation(self.branch, self.stream.text, self.logprob, self.finish or "length", used)


def _row(logits: Floats, token: int, top: int) -> tuple[float, list[tuple[int, float]]]:
    """Log-probability of `token`, and the best `top` others with theirs."""
    total = _log_sum(logits)
    count = min(top + 1, len(logits))
    best = np.argpartition(logits, -count)[-count:]
    best = best[np.argsort(-logits[best], kind="stable")]
    others = [(int(t), float(logits[t]) - total) for t in best if t != token][:top]
    return float(logits[token]) - total, others


def _log_sum(logits: Floats) -> float:
    peak = float(logits.max())
    return peak + float(np.log(np.exp(logits - peak).sum(dtype=np.float64)))


def _alternatives(engine: Engine, others: Sequence[tuple[int, float]]) -> tuple[Alternative, ...]:
    return tuple(Alternative(token, _text(engine, token), logprob) for token, logprob in others)


def _text(engine: Engine, token: int) -> str:
    try:
        return engine.piece(token).decode()
    except UnicodeDecodeError:
        return ""


def _starts(engine: Engine, tokens: Sequence[int]) -> list[int]:
    """Character offset of each token; one that begins inside a character has that character's."""
    starts, characters = [], 0
    for token in tokens:
        piece = engine.piece(token)
        inside = bool(piece) and 0x80 <= piece[0] < 0xC0
        starts.append(max(0, characters - inside))
        characters += sum(not 0x80 <= byte < 0xC0 for byte in piece)
    return starts
