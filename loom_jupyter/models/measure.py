"""The bytes of a window: asked of llama.cpp in a dry run, or computed from the file's header."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loom_jupyter.models import estimate
from loom_jupyter.models.child import Child
from loom_jupyter.models.estimate import Shape
from loom_jupyter.models.gguf import Header

SMALLEST = 2048  # a window below this serves no task
OUTPUTS = 32  # positions whose logits the worker may ask for at once
PREFIXES = 128 << 20  # copies of KV prefixes, in the computer's memory
PROCESS = 100 << 20  # Python, numpy and llama.cpp itself


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes on the device for one window and one type of KV cache.

    Attributes
    ----------
    spread
        Bytes on each GPU, where there are several.
    split
        Layers on each of them.
    """

    weights: int
    kv: int
    compute: int
    output: int
    overhead: int
    spread: tuple[int, ...] = ()
    split: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """Their sum."""
        return self.weights + self.kv + self.compute + self.output + self.overhead


Measure = Callable[[int, str], Sizes]


class DryRunMeasure:
    """Sizes as llama.cpp says them, asked of the worker once a candidate.

    Parameters
    ----------
    child
        The worker.
    params
        Arguments for `llama_cpp.Llama`.
    sequences
        Sequences that share the cache.
    unified
        Whether what stays with the CPU counts too.
    """

    def __init__(
        self,
        child: Child,
        params: Mapping[str, Any],
        sequences: int,
        *,
        unified: bool = False,
        cancel: threading.Event | None = None,
    ) -> None:
        self._child, self._params, self._sequences, self._cancel = child, params, sequences, cancel
        self._unified = unified
        self._known: dict[tuple[int, str], Sizes] = {}
        self._split: tuple[int, ...] = ()
        self._vocabulary = 0

    def open(self, split: Sequence[int] = ()) -> bool:
        """Begin a dry run, with the layers split so among the GPUs; False where figures cannot be read."""
        request = {
            "op": "dry",
            "path": self._params["model_path"],
            "n_seq": self._sequences,
            "placement": {
                "n_gpu_layers": self._params["n_gpu_layers"],
                "split_mode": self._params.get("split_mode", 1),
                "main_gpu": self._params.get("main_gpu", 0),
                "tensor_split": list(split),
            },
        }
        facts = self._child.get(request, self._cancel)
        if facts is None:
            return False
        self._vocabulary, self._split = facts["n_vocab"], tuple(split)
        self._known.clear()
        return True

    def __call__(self, n_ctx: int, kv: str) -> Sizes:
        """Return the bytes on the device; on a GPU what stays in the host's memory is left out."""
        known = self._known.get((n_ctx, kv))
        if known is None:
            known = self._known[n_ctx, kv] = self._sizes(self.rows(n_ctx, kv), n_ctx, kv)
        return known

    def rows(self, n_ctx: int, kv: str) -> list[dict[str, Any]]:
        """Return the bytes in each kind of memory."""
        request = {"op": "measure", "params": {**self._params, "n_ctx": n_ctx}, "kv": kv}
        found: list[dict[str, Any]] = self._child.get(request, self._cancel)
        return found

    def split_sizes(self, split: Sequence[int], ids: Sequence[str], n_ctx: int, kv: str) -> Sizes:
        """Return the bytes with the layers split so among the GPUs of these short names."""
        if self._split != tuple(split):
            self.open(split)
        rows = self.rows(n_ctx, kv)
        found = self._sizes(rows, n_ctx, kv)
        spread = tuple(
            sum(r["weights"] + r["kv"] + r["compute"] for r in rows if r["device"] == identifier)
            for identifier in ids
        )
        return Sizes(found.weights, found.kv, found.compute, found.output, found.overhead, spread, tuple(split))

    def _sizes(self, rows: list[dict[str, Any]], n_ctx: int, kv: str) -> Sizes:
        on_gpu = [] if self._unified else [r for r in rows if r["device"] != "CPU"]
        weights, cache, compute = (sum(r[k] for r in on_gpu or rows) for k in ("weights", "kv", "compute"))
        output = 0 if on_gpu else estimate.output_bytes(self._vocabulary, Shape(n_ctx, kv, self._sequences))
        return Sizes(
            weights, cache, compute, output, 0 if on_gpu else _overhead(self._vocabulary, self._sequences)
        )


def closed_form(header: Header, sequences: int, batch: int = 512) -> Measure:
    """Return sizes from the header alone."""

    def measure(n_ctx: int, kv: str) -> Sizes:
        shape = Shape(n_ctx, kv, sequences, batch)
        vocabulary = estimate.vocabulary(header)
        return Sizes(
            estimate.weight_bytes(header),
            estimate.kv_bytes(header, shape),
            estimate.compute_bytes(header, vocabulary, shape, OUTPUTS),
            estimate.output_bytes(vocabulary, shape),
            _overhead(vocabulary, sequences),
        )

    return measure


def _overhead(vocabulary: int, sequences: int) -> int:
    """Bytes of the process itself, of kept prefixes, and of the logits that scoring a text will need."""
    return PROCESS + PREFIXES + max(0, OUTPUTS - sequences) * vocabulary * 4
