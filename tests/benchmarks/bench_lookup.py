"""Prompt-lookup decoding against plain decoding: ``python -m tests.benchmarks.bench_lookup [MODEL [WIDTH]]``.

Where the last few tokens stood before, those that followed are read in one batch with the one that is due; what
the model would have written itself is kept. Functions of the sample project and of Loom, each with a small change
asked for; both ways in one process, on one thread, in processor time, so that other load disturbs little.
"""

from __future__ import annotations

import ast
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from loom_jupyter.models import download, gguf
from loom_jupyter.models.device import find
from loom_jupyter.models.engine import ChatTemplate, Engine
from loom_jupyter.models.memory import _load_params
from loom_jupyter.models.protocol import Message
from loom_jupyter.models.stop import Stop

ROOT = Path(__file__).parents[2]
FILES = (
    "notebooks/parcels/parcels/tariff.py",
    "notebooks/parcels/parcels/label.py",
    "loom_jupyter/models/allocation.py",
)
CHANGES = ("Rename one local variable to a clearer name.", "Add a check that refuses negative numbers.")
FUNCTIONS, TOKENS = 6, 160
PATTERN = 3  # tokens that must have stood together before
ONE = {"n_ctx": 4096, "n_threads": 1, "n_threads_batch": 1, "verbose": False}


class Lookup:
    """The tokens so far, and where each `PATTERN` of them stood last."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._ends: dict[tuple[int, ...], int] = {}
        self.add(tokens)

    def add(self, tokens: Sequence[int]) -> None:
        """Append tokens. What ends with the last one is entered with the next, so that it never finds itself."""
        for token in tokens:
            n = len(self._tokens)
            if n >= PATTERN:
                self._ends[tuple(self._tokens[n - PATTERN : n])] = n
            self._tokens.append(token)

    def guess(self, width: int) -> list[int]:
        begin = self._ends.get(tuple(self._tokens[-PATTERN:]))
        return [] if begin is None else self._tokens[begin : begin + width]


def write(engine: Engine, prompt: Sequence[int], width: int) -> tuple[list[int], int]:
    """Return the greedy tokens after the prompt, and in how many batches they were read; width 0 guesses none."""
    lookup, written, batches = Lookup(prompt), [], 0
    token = int(engine.logits().argmax())
    while len(written) < TOKENS and not engine.ends(token):
        written.append(token)
        lookup.add([token])
        guessed = lookup.guess(width) if width else []
        engine.extend([token, *guessed], outputs=1 + len(guessed))
        batches += 1
        followed = [int(engine.logits(i).argmax()) for i in range(1 + len(guessed))]
        right = next((i for i, guess in enumerate(guessed) if guess != followed[i]), len(guessed))
        written += guessed[:right]
        lookup.add(guessed[:right])
        engine.keep(len(engine.cached) - len(guessed) + right)
        token = followed[right]
    return written[:TOKENS], batches


def functions() -> Iterator[str]:
    for name in FILES:
        source = (ROOT / name).read_text("utf-8")
        for node in ast.parse(source).body:
            text = ast.get_source_segment(source, node) or ""
            if isinstance(node, ast.FunctionDef) and 6 <= text.count("\n") <= 30:
                yield text


def main() -> None:
    path = download.locate(sys.argv[1] if len(sys.argv) > 1 else None)
    width = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    engine = Engine({**_load_params(gguf.read(path), find([], "CPU")), **ONE}, 1, Stop(), lambda _: True)
    template, ratios = ChatTemplate.of(engine), []
    for number, text in enumerate(list(functions())[:FUNCTIONS]):
        ask = f"{CHANGES[number % 2]}\n\n```python\n{text}\n```\n\nAnswer with the complete function in one block."
        messages: list[Message] = [{"role": "user", "content": ask}]
        pieces = template.render(messages, engine.has_control)
        prompt = [t for piece, control in pieces for t in engine.tokenize(piece, control=control)]
        prompt += engine.tokenize("```python\n")
        seconds, texts, batches = {}, {}, {}
        for way in (width, 0):
            engine.prefill(prompt)
            began = time.process_time()
            texts[way], batches[way] = write(engine, prompt, way)
            seconds[way] = time.process_time() - began
        ratios.append(seconds[0] / seconds[width])
        same = "the same text" if texts[width] == texts[0] else "another text"
        print(f"{ratios[-1]:.2f} times as fast, {same}, {len(texts[0])} tokens in {batches[width]}", flush=True)
    print(f"width {width}: median {statistics.median(ratios):.2f}, worst {min(ratios):.2f} of {len(ratios)}")


if __name__ == "__main__":
    main()
