"""Ways of holding a reply to a JSON Schema: ``python tests/benchmarks/bench_constrained.py [MODEL]``.

Compares, for the same prompts, the processor time a token of: no grammar; Loom's order (the greedy token alone,
then the best few, then more, then all); llama.cpp's grammar over the whole vocabulary at every token, as
llama-cpp-python applies it; llguidance's mask (needs ``pip install llguidance``, left out where it is missing).
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import jsonschema
import numpy as np

from loom_jupyter.models import download, gguf
from loom_jupyter.models.device import find
from loom_jupyter.models.engine import ChatTemplate, Engine
from loom_jupyter.models.generate import Sampler
from loom_jupyter.models.memory import _load_params
from loom_jupyter.models.stop import Stop

TASK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "intent": {"enum": ["change", "create", "explain"]},
        "goal": {"type": "string", "maxLength": 160},
        "acceptance": {"type": "array", "items": {"type": "string", "maxLength": 120}, "maxItems": 3},
        "terms": {"type": "array", "items": {"type": "string", "maxLength": 30}, "maxItems": 6},
    },
    "required": ["intent", "goal", "acceptance", "terms"],
    "additionalProperties": False,
}
CHOICE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "targets": {"type": "array", "items": {"enum": [f"T{i}" for i in range(1, 13)]}, "maxItems": 3},
        "reason": {"type": "string", "maxLength": 100},
    },
    "required": ["targets", "reason"],
    "additionalProperties": False,
}
PROMPTS = [
    "parcel_price(weight=2.0) charges the 2-5 kg tariff; up to and including 2 kg should cost the small one",
    "The CSV export writes the header twice when the table is empty. Give your answer as JSON.",
    "Where is the timeout of the HTTP client set?",
]


class Whole(Sampler):
    """llama.cpp's grammar on every token of the vocabulary."""

    def pick(self, logits: Any) -> int:
        token = self._best_of_all(logits)
        import llama_cpp.llama_cpp as lib

        lib.llama_sampler_accept(self._grammar, token)
        return token

    def _best_of_all(self, logits: Any) -> int:
        allowed = self._allowed(np.arange(len(logits), dtype=np.int32))
        return int(allowed[logits[allowed].argmax()])


class Guided:
    """llguidance's bit mask."""

    def __init__(self, tokenizer: Any, schema: dict[str, Any], n_vocab: int) -> None:
        import llguidance.numpy as bits
        from llguidance import LLMatcher

        self._bits = bits
        self._matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(json.dumps(schema)))
        self._mask = bits.allocate_token_bitmask(1, n_vocab)

    def pick(self, logits: Any) -> int:
        self._bits.fill_next_token_bitmask(self._matcher, self._mask, 0)
        allowed = np.unpackbits(self._mask[0].view(np.uint8), bitorder="little")[: len(logits)].astype(bool)
        token = int(np.where(allowed, logits, -np.inf).argmax())
        self._matcher.consume_token(token)
        return token

    def close(self) -> None:
        """Nothing to free."""


def main() -> None:
    header = gguf.read(download.locate(sys.argv[1] if len(sys.argv) > 1 else None))
    params = {
        **_load_params(header, find([], "CPU")),
        "n_ctx": 2048,
        "n_threads": 1,
        "n_threads_batch": 1,
        "verbose": False,
    }
    engine = Engine(params, 1, Stop(), lambda _: True)
    template = ChatTemplate.of(engine)
    ways = {
        "no grammar": lambda schema: Sampler(engine.vocab),
        "Loom": lambda schema: Sampler(engine.vocab, schema=schema),
        "whole vocabulary": lambda schema: Whole(engine.vocab, schema=schema),
    }
    try:
        from llguidance.llamacpp import lltokenizer_from_vocab
    except ImportError:
        print("llguidance is not installed")
    else:
        began = time.perf_counter()
        tokenizer = lltokenizer_from_vocab(engine.vocab)
        print(f"llguidance: tokenizer made in {time.perf_counter() - began:.2f} s")
        ways["llguidance"] = lambda schema: Guided(tokenizer, schema, engine.n_vocab)
    for name, make in ways.items():
        times, decodes, setups, valid, total = [], [], [], 0, 0
        for schema in (TASK, CHOICE):
            for prompt in PROMPTS:
                (text, control), *_ = template.render([{"role": "user", "content": prompt}], engine.has_control)
                began = time.thread_time()
                sampler = make(schema)
                setups.append(time.thread_time() - began)
                engine.prefill(engine.tokenize(text, control=control))
                reply = b""
                for _ in range(160):
                    began = time.thread_time()
                    token = sampler.pick(engine.logits())
                    times.append(time.thread_time() - began)
                    if engine.ends(token):
                        break
                    reply += engine.piece(token)
                    began = time.thread_time()
                    engine.extend([token])
                    decodes.append(time.thread_time() - began)
                sampler.close()
                total += 1
                valid += _valid(reply, schema)
        print(
            f"{name:17} choose {1e3 * statistics.mean(times):7.3f} ms a token "
            f"(median {1e3 * statistics.median(times):6.3f}, worst {1e3 * max(times):6.1f}), "
            f"decode {1e3 * statistics.mean(decodes):5.1f} ms, set up {1e3 * statistics.mean(setups):6.1f} ms, "
            f"valid {valid} of {total}"
        )


def _valid(reply: bytes, schema: dict[str, Any]) -> bool:
    try:
        jsonschema.validate(json.loads(reply), schema)
    except (ValueError, jsonschema.ValidationError):
        return False
    return True


if __name__ == "__main__":
    main()
