"""The largest window that fits, decided before anything is loaded, and what it will take."""

from __future__ import annotations

import tempfile
import threading
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from loom_jupyter.models import allocation
from loom_jupyter.models.allocation import SMALLEST, DryRunMeasure, Measure, Shape, Sizes, closed_form
from loom_jupyter.models.catalog import entries
from loom_jupyter.models.device import Device, find, unused_gpu, usable_cores
from loom_jupyter.models.device import find as find_device
from loom_jupyter.models.gguf import Header, read
from loom_jupyter.models.process import Child
from loom_jupyter.models.protocol import ModelError

# A model's layers shared out among several GPUs, as llama.cpp does it: in order, the output layer last.
#
# llama.cpp gives GPU ``i`` the layers whose number, as a share of all, lies below the sum of the first ``i``
# entries of `tensor_split`; without one it goes by the GPUs' free memory. The input layer stays with the CPU.


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
        self._weights = allocation.layer_weights(header)
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
        cache = [*allocation.layer_kv(self._header, shape), 0]
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


# What to do when a model does not fit, with figures.

GIB = 1 << 30
MIB = 1 << 20


def advice(
    name: str, device: Device, measure: Callable[[int, str], Sizes], window: int, reserve: int, *, narrows: bool
) -> str:
    """Return a sentence: what the window needs, what there is, and the choices.

    Parameters
    ----------
    window
        The window asked for, or the smallest that is of use.
    reserve
        Bytes that stay free (on each GPU).
    narrows
        Whether the KV cache can be quantized.
    """
    least = measure(window, "f16")
    kept = reserve * max(1, len(device.gpus))
    room = max(0, device.free - kept)
    lacking, besides = max(0, least.total - room), least.total - least.weights
    choices = [f"close programs that hold {_size(lacking)}" if lacking else "name one GPU with device="]
    if narrows and (quantized := measure(window, "q8_0").total) <= room < least.total:
        choices.append(f'quantize its cache (kv="q8_0": {_size(quantized)})')
    if window > SMALLEST and (smaller := measure(SMALLEST, "f16").total) <= room:
        choices.append(f"take a smaller window ({SMALLEST:,} tokens: {_size(smaller)})")
    if room > besides:
        choices.append(f"take a smaller quantization (weights of at most {_size(room - besides)})")
    choices.append(_another(room, besides))
    if device.gpu:
        choices.append(_on_cpu(least))
    return (
        f"{name} needs {_size(least.total)} with a window of {window:,} tokens, and of the {_size(device.free)} "
        f"free on {device.name} {_size(kept)} stay free: {', or '.join(filter(None, choices))}."
    )


def _another(room: int, besides: int) -> str:
    """Name the largest model of the catalog that fits, if any."""
    fitting = [entry for entry in entries().values() if entry.size + besides <= room]
    return f"take {fitting[-1].name} ({_size(fitting[-1].size)})" if fitting else "take a smaller model"


def _on_cpu(least: Sizes) -> str:
    cpu = find_device([], "CPU")
    enough = least.total <= cpu.free - cpu.reserve
    return f'load it on the CPU ({_size(cpu.free)} free; device = "CPU" in [tool.loom])' if enough else ""


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB // 10 else f"{size / MIB:.0f} MiB"


USEFUL = 8192  # the KV cache is quantized only to reach this
CPU_CAP = 16384  # a larger prompt would be read for minutes
BATCH = 512
# The main one and 16 more. A GPU decodes them in the time of one; two CPU cores in 0.4 of the time that they
# take one after the other (bench_branch), as long as each costs no state or window of its own.
SEQUENCES = 17
SPLIT_NONE = 0  # llama.cpp's name for a model that one GPU holds


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A window and the bytes that it takes on the device.

    Attributes
    ----------
    n_ctx
        Window in tokens.
    weights, kv, compute, output, overhead, total
        Bytes of each part, and their sum.
    available
        Bytes free on the device before loading.
    device
        ``"CPU"`` or the GPU's name.
    layers
        Layers of the model, all of them on the device.
    fits
        Whether `total` and the reserve fit `available`.
    advice
        What to do if it does not; empty otherwise.
    load_params
        Arguments for `llama_cpp.Llama`.
    sequences
        Sequences that share the KV cache.
    kv_type
        Type of the KV cache.
    measured
        Whether llama.cpp itself gave the figures, in a dry run; otherwise they are the closed form's.
    doubt
        Where the dry run and the closed form disagree; empty if they agree.
    hint
        How to use a GPU that is there and that this build of llama.cpp cannot use; empty otherwise.
    capacity
        Bytes of the device in all.
    spread
        Where several GPUs share the model: name, bytes taken, bytes free and bytes in all of each.
    """

    n_ctx: int
    weights: int
    kv: int
    compute: int
    output: int
    overhead: int
    total: int
    available: int
    device: str
    layers: int
    fits: bool
    advice: str
    load_params: Mapping[str, Any]
    sequences: int = 1
    kv_type: str = "f16"
    measured: bool = True
    doubt: str = ""
    hint: str = ""
    capacity: int = 0
    spread: tuple[tuple[str, int, int, int], ...] = ()


def plan_memory(
    model: str | Path,
    *,
    device: str | None = None,
    n_ctx: int | None = None,
    kv: str = "auto",
    reserve: int | None = None,
) -> MemoryPlan:
    """Choose the largest window that fits entirely on the device, and say what it takes.

    Parameters
    ----------
    model
        Path of a GGUF file, or a catalog name whose file is there.
    device
        ``"CPU"``, a GPU's name (``"CUDA1"`` too), or None for the GPUs that llama.cpp can use, if any.
    n_ctx
        A window to keep to, in tokens, instead of the largest.
    kv
        Type of the KV cache: ``"f16"``, ``"q8_0"``, ``"q4_0"``; ``"auto"`` is f16 unless only q8_0 reaches a
        useful window.
    reserve
        Bytes to leave free on the device (on each, of several).

    Raises
    ------
    ModelError
        If there is no such model, or llama.cpp cannot load it.
    """
    from loom_jupyter.models.download import cached

    path = cached(str(model))
    if path is None:
        raise ModelError(
            f"{model} is not on this machine; fetch it with: python -m loom_jupyter.models.download {model}"
        )
    header = read(path)
    with tempfile.TemporaryDirectory() as folder:
        child = Child(Path(folder) / "plan.log")
        try:
            return plan_with(child, header, device=device, n_ctx=n_ctx, kv=kv, reserve=reserve)
        finally:
            child.close()


def plan_with(
    child: Child,
    header: Header,
    *,
    device: str | Device | None = None,
    n_ctx: int | None = None,
    kv: str = "auto",
    reserve: int | None = None,
    sequences: int | None = None,
    cancel: threading.Event | None = None,
    dry_run: bool = True,
) -> MemoryPlan:
    """Plan as `plan_memory` does, with a worker that runs already; a dry run needs the file itself."""
    if kv != "auto" and kv not in allocation.KV_BYTES:
        raise ModelError(f"There is no KV cache type {kv!r}; take one of auto, {', '.join(allocation.KV_BYTES)}.")
    target = device if isinstance(device, Device) else find(child.get({"op": "devices"}, cancel), device)
    task = _Task(child, header, n_ctx, kv, reserve, sequences, cancel, dry_run)
    if len(target.gpus) > 1:
        # What one GPU holds whole needs no traffic between two.
        alone = task.plan(target.alone(max(target.gpus, key=lambda gpu: gpu.free)))
        if alone.fits and alone.n_ctx >= task.ceiling(target) and alone.kv_type in (kv, "f16"):
            return alone
    return task.plan(target)


def sequences(header: Header, *, gpu: bool) -> int:
    """Return how many sequences share the cache where nobody says."""
    return SEQUENCES if gpu or allocation.plain(header) else 1


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be planned; the device comes last, since several may be tried."""

    child: Child
    header: Header
    n_ctx: int | None
    kv: str
    reserve: int | None
    sequences: int | None
    cancel: threading.Event | None
    dry_run: bool

    def ceiling(self, target: Device) -> int:
        """Largest window that makes sense there."""
        trained = self.header.context_length
        return allocation.padded(min(self.n_ctx or (trained if target.gpu else CPU_CAP), trained))

    def plan(self, target: Device) -> MemoryPlan:
        header = self.header
        many = self.sequences or sequences(header, gpu=target.gpu)
        keep = target.reserve if self.reserve is None else self.reserve
        params = _load_params(header, target)
        dry = DryRunMeasure(self.child, params, many, unified=target.unified, cancel=self.cancel)
        dry_run = dry if self.dry_run and dry.open() else None
        measure: Measure = dry_run or closed_form(header, many, BATCH)
        fits: Callable[[Sizes], bool] = lambda sizes: sizes.total <= target.free - keep  # noqa: E731
        if len(target.gpus) > 1:
            measure = split = _split(header, many, target, keep, measure, dry_run)
            fits = split.fits
        narrows = allocation.quantizable(header)
        kinds = self.kv if narrows or self.kv != "auto" else "f16"
        window, kv = choose(measure, fits, self.ceiling(target), fixed=self.n_ctx is not None, kv=kinds)
        sizes = measure(window, kv)
        return MemoryPlan(
            n_ctx=window,
            weights=sizes.weights,
            kv=sizes.kv,
            compute=sizes.compute,
            output=sizes.output,
            overhead=sizes.overhead,
            total=sizes.total,
            available=target.free,
            device=target.name,
            layers=header.layers,
            fits=fits(sizes),
            advice="" if fits(sizes) else advice(header.name, target, measure, window, keep, narrows=narrows),
            load_params=_with_window(params, window, kv, sizes.split),
            sequences=many,
            kv_type=kv,
            measured=dry_run is not None,
            doubt=_doubt(header, sizes, Shape(window, kv, many)) if dry_run else "",
            hint="" if target.gpu else unused_gpu(),
            capacity=target.total,
            spread=tuple((g.name, n, g.free, g.total) for g, n in zip(target.gpus, sizes.spread, strict=False)),
        )


def choose(
    measure: Measure, fits: Callable[[Sizes], bool], ceiling: int, *, fixed: bool, kv: str
) -> tuple[int, str]:
    """Return the window and the type of KV cache: the largest that fits, or the smallest if none does."""
    ceiling = allocation.padded(ceiling)
    first = "f16" if kv == "auto" else kv
    if fixed:
        narrow = kv == "auto" and not fits(measure(ceiling, first)) and fits(measure(ceiling, "q8_0"))
        return ceiling, "q8_0" if narrow else first
    window = _largest(lambda n: fits(measure(n, first)), min(SMALLEST, ceiling), ceiling)
    if kv == "auto" and window < min(USEFUL, ceiling):
        longer = _largest(lambda n: fits(measure(n, "q8_0")), min(SMALLEST, ceiling), ceiling)
        if longer > window:
            return longer, "q8_0"
    return window, first


def _largest(fits: Callable[[int], bool], low: int, high: int) -> int:
    """Largest window between two that fits, by halving; the lowest if none does."""
    if fits(high):
        return high
    low, high = low // allocation.PAD, high // allocation.PAD
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * allocation.PAD) else (low, middle)
    return low * allocation.PAD


def _split(
    header: Header, many: int, target: Device, keep: int, whole: Measure, dry: DryRunMeasure | None
) -> SplitMeasure:
    free = [gpu.free for gpu in target.gpus]
    room = [size - keep for size in free]
    return SplitMeasure(header, many, free, room, whole, dry, [gpu.id for gpu in target.gpus])


def _load_params(header: Header, target: Device) -> dict[str, Any]:
    threads = usable_cores()
    alone = {"split_mode": SPLIT_NONE, "main_gpu": target.gpus[0].index} if target.only else {}
    return {
        "model_path": str(header.path.absolute()),
        "n_ctx": 0,
        "n_batch": BATCH,
        "n_ubatch": BATCH,
        "n_gpu_layers": -1 if target.gpu else 0,
        "flash_attn": True,
        "swa_full": False,
        "n_threads": threads,
        "n_threads_batch": threads,
        "use_mmap": False,  # a file that is cut while it is mapped ends the process
        "verbose": True,
        **alone,
    }


def _with_window(params: dict[str, Any], n_ctx: int, kv: str, split: Sequence[int]) -> dict[str, Any]:
    number = allocation.GGML_TYPES[kv]
    kind = {} if kv == "f16" else {"type_k": number, "type_v": number}
    shares = {"tensor_split": [float(n) for n in split]} if split else {}
    return {**params, "n_ctx": n_ctx, **kind, **shares}


def _doubt(header: Header, sizes: Sizes, shape: Shape) -> str:
    expected = allocation.kv_bytes(header, shape)
    if expected == sizes.kv:
        return ""
    return (
        f"llama.cpp's KV cache of {header.architecture} takes {sizes.kv:,} bytes, the closed form says "
        f"{expected:,}; the plan goes by llama.cpp."
    )
