"""A loaded model and its KV cache, driven by llama.cpp's C interface. Runs in the worker process only.

The cache holds one main sequence (0), whose tokens are in `Engine.cached`; a new prompt keeps the longest prefix
that it shares with them. Sequences 1 … `n_seq` - 1 share cells with the main one while branches are explored.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.allocation import OUTPUTS, PREFIXES
from loom_jupyter.models.protocol import Message, ModelError
from loom_jupyter.models.stop import Stop

# Copies of what the KV cache held, so that a prompt which begins like an earlier one need not be read again.
#
# The nodes of a run take turns with different prompts, and a repair goes back to a target that others have
# pushed
# out of the cache. Copying a prefix costs milliseconds, reading it seconds.

WORTH = 64  # tokens: reading fewer costs no more than a copy


@dataclass(frozen=True, slots=True)
class CachedPrefix:
    """The tokens of a sequence, and its state as llama.cpp writes it."""

    tokens: list[int]
    state: bytes


class Prefixes:
    """Sequences that were in the cache, the latest used last.

    Parameters
    ----------
    room
        Bytes that they may take together.
    whole
        Whether a sequence is of use only as a whole, since its state cannot be cut.
    """

    def __init__(self, room: int, *, whole: bool = False) -> None:
        self._room = room
        self._whole = whole
        self._kept: list[CachedPrefix] = []

    def __len__(self) -> int:
        return len(self._kept)

    def fits(self, size: int) -> bool:
        """Whether a state of so many bytes can be kept at all."""
        return size <= self._room

    def put(self, tokens: Sequence[int], state: bytes) -> None:
        """Keep a sequence; those it begins with go, and the least used ones if room is short."""
        self._kept = [k for k in self._kept if self._whole or shared(k.tokens, tokens) < len(k.tokens)]
        self._kept.append(CachedPrefix(list(tokens), state))
        while sum(len(k.state) for k in self._kept) > self._room:
            del self._kept[0]

    def best(self, tokens: Sequence[int], least: int) -> CachedPrefix | None:
        """Return the sequence that shares most tokens with these, if more than `least`."""
        found, longest = None, least
        for kept in self._kept:
            n = shared(kept.tokens, tokens)
            if n > longest and (not self._whole or n == len(kept.tokens)):
                found, longest = kept, n
        if found is not None:
            self._kept.remove(found)
            self._kept.append(found)
        return found


def shared(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    n = min(len(a), len(b))
    differ = np.nonzero(np.asarray(a[:n]) != np.asarray(b[:n]))[0]
    return int(differ[0]) if len(differ) else n


Floats = npt.NDArray[np.float32]


class Batch:
    """Input of one `llama_decode`, as numpy arrays over memory that is allocated once."""

    def __init__(self, size: int) -> None:
        self.token = np.zeros(size, np.int32)
        self.pos = np.zeros(size, np.int32)
        self.seq = np.zeros(size, np.int32)
        self.output = np.zeros(size, np.int8)
        self._ones = np.ones(size, np.int32)
        self._seqs = (self.seq.ctypes.data + 4 * np.arange(size)).astype(np.uintp)

    def view(self, n: int) -> Any:
        """Return the first `n` entries as llama.cpp's struct."""
        return lib.llama_batch(
            n_tokens=n,
            token=_pointer(self.token, ctypes.c_int32),
            embd=None,
            pos=_pointer(self.pos, ctypes.c_int32),
            n_seq_id=_pointer(self._ones, ctypes.c_int32),
            seq_id=_pointer(self._seqs, ctypes.POINTER(ctypes.c_int32)),
            logits=_pointer(self.output, ctypes.c_int8),
        )


class Engine:
    """A loaded model.

    Parameters
    ----------
    load_params
        Arguments of `llama_cpp.Llama`, from the memory plan.
    n_seq
        Sequences that may share the cache.
    stop
        The flag that ends a decode.
    on_progress
        Told the share that is loaded; returns False to stop loading.
    extra_buffers
        Whether weights may be repacked for faster kernels (llama.cpp's extra buffer types, AMX among them).
    """

    def __init__(
        self,
        load_params: Mapping[str, Any],
        n_seq: int,
        stop: Stop,
        on_progress: Callable[[float], bool],
        *,
        extra_buffers: bool = True,
    ) -> None:
        self.stop = stop
        self._llama = _load(load_params, n_seq, on_progress, extra_buffers)
        self.model = self._llama._model.model
        self.vocab = self._llama._model.vocab
        self.ctx = self._llama._ctx.ctx
        self.memory = lib.llama_get_memory(self.ctx)
        self.metadata: dict[str, str] = self._llama.metadata
        self.n_ctx = int(lib.llama_n_ctx(self.ctx))
        self.n_batch = int(lib.llama_n_batch(self.ctx))
        self.n_vocab = int(lib.llama_vocab_n_tokens(self.vocab))
        self.n_swa = int(lib.llama_model_n_swa(self.model))
        self.stateful = bool(lib.llama_model_is_recurrent(self.model) or lib.llama_model_is_hybrid(self.model))
        self.n_seq = 1 if self.stateful else int(lib.llama_n_seq_max(self.ctx))
        self.cached: list[int] = []
        self.prefixes = Prefixes(PREFIXES, whole=self.stateful)
        self._batch = Batch(self.n_batch)
        self._pieces: dict[int, bytes] = {}
        lib.llama_set_abort_callback(self.ctx, ctypes.cast(stop.function, lib.ggml_abort_callback), stop.data)

    def close(self) -> None:
        """Free the model and its cache."""
        self._llama.close()

    def set_threads(self, n: int) -> None:
        """Compute with `n` threads from now on."""
        lib.llama_set_n_threads(self.ctx, n, n)

    # Text

    def tokenize(self, text: str, *, control: bool = False, begin: bool = False) -> list[int]:
        """Return the tokens of `text`; with `control`, names of control tokens in it become those tokens."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (ctypes.c_int32 * room)()
        n = lib.llama_tokenize(self.vocab, data, len(data), tokens, room, begin, control)
        if n < 0:
            raise ModelError("llama.cpp could not tokenize the text.")
        return list(tokens[:n])

    def tokenize_more(self, text: str) -> list[int]:
        """Return the tokens of text that continues other text: exactly its bytes, no space put before it."""
        data = text.encode("utf-8", "replace")
        tokens = self.tokenize(text)
        if b"".join(map(self.piece, tokens)) == data:
            return tokens
        anchor = self.tokenize("\n")
        tokens = self.tokenize("\n" + text)[len(anchor) :]
        if b"".join(map(self.piece, tokens)) != data:
            raise ModelError("The model's tokenizer does not reproduce this text, so it cannot be scored.")
        return tokens

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token; none for control tokens."""
        known = self._pieces.get(token)
        if known is None:
            size = 64
            buffer = ctypes.create_string_buffer(size)
            n = lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, False)
            if n < 0:
                buffer = ctypes.create_string_buffer(-n)
                n = lib.llama_token_to_piece(self.vocab, token, buffer, -n, 0, False)
            known = self._pieces[token] = buffer.raw[:n]
        return known

    @property
    def bos(self) -> str:
        """Text of the token that begins a text."""
        return self._name(lib.llama_vocab_bos(self.vocab))

    @property
    def eos(self) -> str:
        """Text of the token that ends a text."""
        return self._name(lib.llama_vocab_eos(self.vocab))

    def _name(self, token: int) -> str:
        return lib.llama_vocab_get_text(self.vocab, token).decode() if token >= 0 else ""

    def has_control(self, text: str) -> bool:
        """Whether `text` spells one of the model's control tokens."""
        return any(lib.llama_vocab_is_control(self.vocab, t) for t in self.tokenize(text, control=True))

    @property
    def gap(self) -> tuple[int, int, int] | None:
        """The tokens that begin the text before a gap, that behind it, and what fills it; None without them."""
        found = (
            lib.llama_vocab_fim_pre(self.vocab),
            lib.llama_vocab_fim_suf(self.vocab),
            lib.llama_vocab_fim_mid(self.vocab),
        )
        return found if min(found) >= 0 else None

    def ends(self, token: int) -> bool:
        """Whether `token` ends a reply."""
        return bool(lib.llama_vocab_is_eog(self.vocab, token))

    # Cache

    def prefill(self, tokens: Sequence[int], *, passing: bool = False) -> int:
        """Bring the main sequence to `tokens`, logits at the last; return how many need not be read again.

        What is pushed out of the cache is kept for a later prompt that begins like it, unless it was `passing`.
        """
        if not tokens or len(tokens) > self.n_ctx - 1:
            raise ModelError(
                f"The prompt has {len(tokens):,} tokens and the model's window {self.n_ctx:,}; tag fewer files, "
                "take smaller pieces or load the model with a larger window."
            )
        if not passing:
            self._turn_to(tokens)
        reused = self.keep(min(shared(self.cached, tokens), len(tokens) - 1))
        for start in range(reused, len(tokens), self.n_batch):
            chunk = tokens[start : start + self.n_batch]
            self.extend(chunk, outputs=int(start + len(chunk) == len(tokens)))
        return reused

    def _turn_to(self, tokens: Sequence[int]) -> None:
        """Exchange the main sequence for a kept one that has more in common with `tokens`."""
        common = shared(self.cached, tokens)
        if len(self.cached) - common >= WORTH:
            self._save()
        kept = self.prefixes.best(tokens, common + WORTH)
        if kept is None:
            return
        self.keep(0)
        state = (ctypes.c_uint8 * len(kept.state)).from_buffer_copy(kept.state)
        if lib.llama_state_seq_set_data(self.ctx, state, len(kept.state), 0):
            self.cached = list(kept.tokens)
        else:
            self.keep(0)

    def _save(self) -> None:
        size = lib.llama_state_seq_get_size(self.ctx, 0)
        if not self.prefixes.fits(size):
            return
        state = (ctypes.c_uint8 * size)()
        written = lib.llama_state_seq_get_data(self.ctx, state, size, 0)
        if written:
            self.prefixes.put(self.cached, bytes(memoryview(state)[:written]))

    def extend(self, tokens: Sequence[int], outputs: int = 1) -> None:
        """Append `tokens` to the main sequence, with logits for the last `outputs` of them."""
        n = len(tokens)
        batch = self._batch
        batch.token[:n] = tokens
        batch.pos[:n] = np.arange(len(self.cached), len(self.cached) + n)
        batch.seq[:n] = 0
        batch.output[:n] = 0
        batch.output[n - outputs : n] = 1
        try:
            self._decode(n)
        except (Cancelled, ModelError):
            self.keep(len(self.cached))
            raise
        self.cached.extend(tokens)

    def step(self, tokens: Sequence[int], positions: Sequence[int], seqs: Sequence[int]) -> None:
        """Decode one token in each of several sequences, with logits for all."""
        n = len(tokens)
        batch = self._batch
        batch.token[:n] = tokens
        batch.pos[:n] = positions
        batch.seq[:n] = seqs
        batch.output[:n] = 1
        self._decode(n)

    def fork(self, seq: int, n: int) -> None:
        """Make sequence `seq` share the main one's first `n` tokens."""
        self.drop(seq)
        lib.llama_memory_seq_cp(self.memory, 0, seq, 0, n)

    def drop(self, seq: int) -> None:
        """Forget a sequence other than the main one."""
        lib.llama_memory_seq_rm(self.memory, seq, -1, -1)

    def reaches(self, n: int) -> bool:
        """Whether the cache still holds all that a token at position `n` looks at."""
        if self.stateful:
            return n == len(self.cached)
        return self.n_swa == 0 or bool(lib.llama_memory_seq_pos_min(self.memory, 0) <= max(0, n - self.n_swa))

    def keep(self, n: int) -> int:
        """Cut the main sequence to `n` tokens, or to none where the cache cannot go back; return what is left."""
        if not self._cut(n):
            # A recurrent state that is left in its buffer can spoil the next one: a NaN times zero stays a NaN.
            lib.llama_memory_clear(self.memory, self.stateful)
            n = 0
        del self.cached[n:]
        return n

    def _cut(self, n: int) -> bool:
        whole = n == len(self.cached)
        return n > 0 and (whole or self.reaches(n)) and bool(lib.llama_memory_seq_rm(self.memory, 0, n, -1))

    def logits(self, i: int = -1) -> Floats:
        """Return the logits at entry `i` of the last batch; valid until the next decode."""
        pointer = lib.llama_get_logits_ith(self.ctx, i)
        return np.ctypeslib.as_array(pointer, shape=(self.n_vocab,))

    def _decode(self, n: int) -> None:
        self.stop.check()
        status = lib.llama_decode(self.ctx, self._batch.view(n))
        if status == 2:
            raise Cancelled
        if status == 1:
            raise ModelError(f"The model's window of {self.n_ctx:,} tokens is full; load it with a larger window.")
        if status != 0:
            raise ModelError(f"llama.cpp failed to evaluate the prompt (status {status}); see the model's log.")


def context_defaults(n_seq: int) -> Any:
    """Return context parameters with what `llama_cpp.Llama` has no arguments for."""
    made = lib.llama_context_default_params()
    made.n_seq_max = n_seq
    made.kv_unified = True
    made.n_outputs_max = max(n_seq, OUTPUTS)
    return made


def takes_extra_buffers() -> bool:
    """Whether this version can be told not to repack weights."""
    return any(name == "use_extra_bufts" for name, *_ in lib.llama_model_params._fields_)


def _load(params: Mapping[str, Any], n_seq: int, on_progress: Callable[[float], bool], extra_buffers: bool) -> Any:
    """Call `llama_cpp.Llama` with what its arguments do not reach put into the structs' defaults."""
    if not extra_buffers and not takes_extra_buffers():
        raise ModelError("This version of llama-cpp-python always repacks weights; update it to 0.3.17 or newer.")
    tell = lib.llama_progress_callback(lambda share, _: on_progress(share))
    model_function, context_function = lib.llama_model_default_params, lib.llama_context_default_params

    def model_params() -> Any:
        made = model_function()
        made.progress_callback = tell
        if not extra_buffers:
            made.use_extra_bufts = False
        return made

    context = context_defaults(n_seq)
    lib.llama_model_default_params, lib.llama_context_default_params = model_params, lambda: context
    try:
        return llama_cpp.Llama(**params)
    finally:
        lib.llama_model_default_params, lib.llama_context_default_params = model_function, context_function


def _pointer(array: npt.NDArray[Any], kind: Any) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))


# Chat messages to prompt text, by the template that the model's file carries.

# moved


class ChatTemplate:
    """The chat template of one model.

    Parameters
    ----------
    source
        Jinja2 source from the GGUF file.
    bos, eos
        Texts of the begin and end tokens.
    """

    def __init__(self, source: str | None, bos: str, eos: str) -> None:
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        if not source:
            raise ModelError(
                "The model has no chat template, so it cannot be asked; take an 'Instruct' or 'Chat' model."
            )
        self.bos = bos
        self._format: Any = Jinja2ChatFormatter(template=source, eos_token=eos, bos_token=bos)

    @classmethod
    def of(cls, engine: Engine) -> ChatTemplate:
        """Return the template that a loaded model's file carries."""
        return cls(engine.metadata.get("tokenizer.chat_template"), engine.bos, engine.eos)

    def render(self, messages: Sequence[Message], has_control: Callable[[str], bool]) -> list[tuple[str, bool]]:
        """Return the prompt as pieces ``(text, control)``; only pieces with `control` may hold control tokens.

        A file that happens to contain ``<|im_end|>`` must not end the message that quotes it: such text comes as a
        piece of its own.
        """
        if not any(has_control(m["content"]) for m in messages):
            return [(self._render(messages), True)]
        marks = {f"loom-{secrets.token_hex(8)}-{i}": m["content"] for i, m in enumerate(messages)}
        marked: list[Message] = [
            {"role": m["role"], "content": mark} for mark, m in zip(marks, messages, strict=True)
        ]
        rest, pieces = self._render(marked), []
        for mark, content in marks.items():
            before, found, rest = rest.partition(mark)
            if not found:
                raise ModelError("The text contains the model's own control tokens; remove them and run again.")
            pieces += [(before, True), (content, False)]
        return [*pieces, (rest, True)]

    def _render(self, messages: Sequence[Message]) -> str:
        try:
            return str(self._format(messages=list(messages)).prompt)
        except Exception as error:
            merged = _without_system(messages)
            if merged is None:
                raise ModelError(f"The model's chat template failed ({error}); take another model.") from error
            return self._render(merged)


def _without_system(messages: Sequence[Message]) -> list[Message] | None:
    """Put the system message at the head of the first user message: some templates know no system role."""
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return None
    first: Message = {"role": "user", "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]
