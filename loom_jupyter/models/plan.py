"""The largest window that fits, decided before anything is loaded, and what it will take."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loom_jupyter.models import estimate
from loom_jupyter.models.advice import advice
from loom_jupyter.models.child import Child
from loom_jupyter.models.device import Device, find, unused_gpu
from loom_jupyter.models.estimate import Shape
from loom_jupyter.models.gguf import Header, read
from loom_jupyter.models.measure import SMALLEST, DryRunMeasure, Measure, Sizes, closed_form
from loom_jupyter.models.protocol import ModelError
from loom_jupyter.models.split import SplitMeasure
from loom_jupyter.models.threads import usable_cores

USEFUL = 8192  # the KV cache is quantized only to reach this
CPU_CAP = 16384  # a larger prompt would be read for minutes
BATCH = 512
# The main one and 16 beside it. A GPU decodes them in the time of one; two CPU cores in 0.4 of the time that they
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
        Path of a GGUF file, or a catalogue name whose file is there.
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
    from loom_jupyter.models.fetch import cached

    path = cached(str(model))
    if path is None:
        raise ModelError(
            f"{model} is not on this machine; fetch it with: python -m loom_jupyter.models.fetch {model}"
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
    if kv != "auto" and kv not in estimate.KV_BYTES:
        raise ModelError(f"There is no KV cache type {kv!r}; take one of auto, {', '.join(estimate.KV_BYTES)}.")
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
    return SEQUENCES if gpu or estimate.plain(header) else 1


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
        return estimate.padded(min(self.n_ctx or (trained if target.gpu else CPU_CAP), trained))

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
        narrows = estimate.quantizable(header)
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
    ceiling = estimate.padded(ceiling)
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
    low, high = low // estimate.PAD, high // estimate.PAD
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * estimate.PAD) else (low, middle)
    return low * estimate.PAD


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
    number = estimate.GGML_TYPES[kv]
    kind = {} if kv == "f16" else {"type_k": number, "type_v": number}
    shares = {"tensor_split": [float(n) for n in split]} if split else {}
    return {**params, "n_ctx": n_ctx, **kind, **shares}


def _doubt(header: Header, sizes: Sizes, shape: Shape) -> str:
    expected = estimate.kv_bytes(header, shape)
    if expected == sizes.kv:
        return ""
    return (
        f"llama.cpp's KV cache of {header.architecture} takes {sizes.kv:,} bytes, the closed form says "
        f"{expected:,}; the plan goes by llama.cpp."
    )
