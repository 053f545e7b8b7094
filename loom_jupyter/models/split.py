"""A model's layers shared out among several GPUs, as llama.cpp does it: in order, the output layer last.

llama.cpp gives GPU ``i`` the layers whose number, as a share of all, lies below the sum of the first ``i``
entries of `tensor_split`; without one it goes by the GPUs' free memory. The input layer stays with the CPU.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from loom_jupyter.models import estimate
from loom_jupyter.models.estimate import Shape
from loom_jupyter.models.gguf import Header
from loom_jupyter.models.measure import DryRunMeasure, Measure, Sizes


def by_memory(free: Sequence[int], count: int) -> tuple[int, ...]:
    """Return how many of `count` layers llama.cpp itself would put on each GPU."""
    ends = [part / (sum(free) or 1) for part in accumulate(free)]
    placed = [min(bisect_right(ends, layer / count), len(free) - 1) for layer in range(count)]
    return tuple(placed.count(i) for i in range(len(free)))


def by_room(room: Sequence[int], layers: Sequence[int], compute: int) -> tuple[int, ...] | None:
    """Return how many layers fit on each GPU, the first filled first; None if they do not fit in all.

    Parameters
    ----------
    room
        Bytes of each GPU.
    layers
        Bytes of each layer.
    compute
        Bytes that each GPU needs besides, if it has any layer.
    """
    waiting, counts = list(layers), []
    for size in room:
        left, n = size - compute, 0
        while waiting and waiting[0] <= left:
            left -= waiting.pop(0)
            n += 1
        counts.append(n)
    return None if waiting else tuple(counts)


class SplitMeasure:
    """Sizes on several GPUs.

    Parameters
    ----------
    header
        The model.
    sequences
        Sequences that share the cache.
    free, room
        Bytes free on each GPU, and bytes that may be used there.
    whole
        Sizes on all together.
    dry, ids
        A dry run that confirms each split, and the GPUs' short names; None where only the closed form serves.
    """

    def __init__(
        self,
        header: Header,
        sequences: int,
        free: Sequence[int],
        room: Sequence[int],
        whole: Measure,
        dry: DryRunMeasure | None = None,
        ids: Sequence[str] = (),
    ) -> None:
        self._header, self._sequences = header, sequences
        self._free, self._room, self._whole = free, room, whole
        self._dry, self._ids = dry, ids
        self._weights = estimate.layer_weights(header)
        self._known: dict[tuple[int, str], Sizes] = {}

    def __call__(self, n_ctx: int, kv: str) -> Sizes:
        """Return the bytes with the best split: llama.cpp's own if it fits, or else one that does."""
        known = self._known.get((n_ctx, kv))
        if known is None:
            known = self._known[n_ctx, kv] = self._best(n_ctx, kv)
        return known

    def fits(self, sizes: Sizes) -> bool:
        """Whether each GPU has room for its part."""
        return all(size <= room for size, room in zip(sizes.spread, self._room, strict=True))

    def _best(self, n_ctx: int, kv: str) -> Sizes:
        shape = Shape(n_ctx, kv, self._sequences)
        cache = [*estimate.layer_kv(self._header, shape), 0]
        layers = [a + b for a, b in zip(self._weights, cache, strict=True)]
        compute = self._compute(n_ctx, kv)
        own = self._sizes(by_memory(self._free, len(layers)), layers, compute, n_ctx, kv)
        if self.fits(own):
            return own
        split = by_room(self._room, layers, compute)
        return own if split is None else self._sizes(split, layers, compute, n_ctx, kv)

    def _compute(self, n_ctx: int, kv: str) -> int:
        """Bytes of computation on one GPU: each needs about what one alone would."""
        if self._dry is None:
            return self._whole(n_ctx, kv).compute
        rows = self._dry.rows(n_ctx, kv)
        return max((sum(r["compute"] for r in rows if r["device"] == i) for i in self._ids), default=0)

    def _sizes(self, split: tuple[int, ...], layers: Sequence[int], compute: int, n_ctx: int, kv: str) -> Sizes:
        if self._dry is not None:
            return self._dry.split_sizes(split, self._ids, n_ctx, kv)
        ends = list(accumulate(split))
        spread = tuple(
            sum(layers[end - n : end]) + (compute if n else 0) for n, end in zip(split, ends, strict=True)
        )
        whole = self._whole(n_ctx, kv)
        used = sum(1 for n in split if n)
        return replace(
            whole,
            weights=sum(self._weights),
            compute=compute * used,
            output=0,
            overhead=0,
            spread=spread,
            split=split,
        )
