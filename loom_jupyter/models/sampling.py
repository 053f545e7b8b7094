"""Choosing the next token: greedy or with a temperature, free or held to a grammar.

Every choice is "the allowed token with the best key". With a temperature the keys are the logits plus Gumbel
noise, whose best is a sample of the softmax; so a grammar never has to look at the whole vocabulary unless the
best few tokens are all refused, and the outcome is the same as if it had.
"""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Mapping
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from loom_jupyter.models.protocol import ModelError

MIN_P = 0.05  # tokens less likely than this share of the likeliest are never sampled
FEW = (64, 2048, 16384)  # of the best tokens are shown to the grammar before all of them are

Floats = npt.NDArray[np.float32]
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

    def pick(self, logits: Floats) -> int:
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

    def _keys(self, logits: Floats) -> Floats:
        if self._temperature <= 0:
            return logits
        floor = logits.max() + math.log(MIN_P)
        (likely,) = np.nonzero(logits >= floor)
        keys = np.full_like(logits, -np.inf)
        noise = self._noise.gumbel(size=len(likely))
        keys[likely] = logits[likely] / self._temperature + noise.astype(np.float32)
        return keys

    def _best_allowed(self, keys: Floats, logits: Floats) -> int:
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
    """Raise if the best logit is no number: the weights are damaged, or not of this architecture."""
    if math.isnan(logit):
        raise ModelError("The model computes no numbers any more; its file may be damaged: download it again.")


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
