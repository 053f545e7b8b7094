"""The largest window that fits, decided before anything is loaded, and what it will take."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loom_jupyter.models import estimate
from loom_jupyter.models.child import Child
from loom_jupyter.models.estimate import Shape
from loom_jupyter.models.gguf import Header, read
from loom_jupyter.models.protocol import ModelError
from loom_jupyter.models.threads import usable_cores

SMALLEST = 2048  # below this no task fits
USEFUL = 8192  # the KV cache is quantized only to reach this
CPU_CAP = 16384  # a larger prompt would be read for minutes
BATCH = 512
OUTPUTS = 32  # positions whose logits the worker may ask for at once
GPU_SEQUENCES = 17  # the main one and 16 branches: a GPU decodes them in the time of one, a CPU gains nothing
PROCESS = 100 << 20  # Python, numpy and llama.cpp itself
CPU_RESERVE, GPU_RESERVE = 512 << 20, 256 << 20
GIB = 1 << 30


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


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model is to be loaded, and the bytes free there; several GPUs count as one."""

    name: str
    free: int
    gpu: bool

    @property
    def reserve(self) -> int:
        """Bytes to leave free."""
        return GPU_RESERVE if self.gpu else max(CPU_RESERVE, self.free // 10)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes on the device for one window and one type of KV cache."""

    weights: int
    kv: int
    compute: int
    output: int
    overhead: int

    @property
    def total(self) -> int:
        """Their sum."""
        return self.weights + self.kv + self.compute + self.output + self.overhead


Measure = Callable[[int, str], Sizes]


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
        ``"CPU"``, or None for the GPUs that llama.cpp can use, if any.
    n_ctx
        A window to keep to, in tokens, instead of the largest.
    kv
        Type of the KV cache: ``"f16"``, ``"q8_0"``, ``"q4_0"``; ``"auto"`` is f16 unless only q8_0 reaches a
        useful window.
    reserve
        Bytes to leave free on the device.

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
    device: str | None = None,
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
    target = _device(child.get({"op": "devices"}, cancel), device)
    many = sequences or (GPU_SEQUENCES if target.gpu else 1)
    params = _load_params(header, target.gpu)
    asked = DryRunMeasure.of(child, header, params, many, cancel) if dry_run else None
    measure = asked or closed_form(header, many)
    keep = target.reserve if reserve is None else reserve
    window, kv_type = choose(
        measure,
        room=target.free - keep,
        ceiling=min(n_ctx or (header.context_length if target.gpu else CPU_CAP), header.context_length),
        fixed=n_ctx is not None,
        kv=kv,
    )
    sizes = measure(window, kv_type)
    fits = sizes.total <= target.free - keep
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
        fits=fits,
        advice="" if fits else _advice(header, target, sizes, window, keep),
        load_params=_with_window(params, window, kv_type),
        sequences=many,
        kv_type=kv_type,
        measured=asked is not None,
        doubt=_doubt(header, sizes, Shape(window, kv_type, many)) if asked else "",
        hint=_hint(target),
    )


def choose(measure: Measure, room: int, ceiling: int, *, fixed: bool, kv: str) -> tuple[int, str]:
    """Return the window and the type of KV cache: the largest that fits, or the smallest if none does."""
    ceiling = estimate.padded(ceiling)
    first = "f16" if kv == "auto" else kv
    if fixed:
        fits = measure(ceiling, first).total <= room
        return ceiling, "q8_0" if kv == "auto" and not fits and measure(ceiling, "q8_0").total <= room else first
    window = _largest(lambda n: measure(n, first).total <= room, min(SMALLEST, ceiling), ceiling)
    if kv == "auto" and window < min(USEFUL, ceiling):
        longer = _largest(lambda n: measure(n, "q8_0").total <= room, min(SMALLEST, ceiling), ceiling)
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


class DryRunMeasure:
    """Sizes as llama.cpp says them, asked of the worker once a candidate."""

    def __init__(
        self,
        child: Child,
        params: dict[str, Any],
        sequences: int,
        cancel: threading.Event | None,
        vocabulary: int,
    ) -> None:
        self._child, self._params, self._sequences, self._cancel = child, params, sequences, cancel
        self._known: dict[tuple[int, str], Sizes] = {}
        self._vocabulary = vocabulary

    @classmethod
    def of(
        cls,
        child: Child,
        header: Header,
        params: dict[str, Any],
        sequences: int,
        cancel: threading.Event | None,
    ) -> DryRunMeasure | None:
        """Begin a dry run; None where llama.cpp's figures cannot be read."""
        request = {"op": "dry", "path": str(header.path), "gpu_layers": params["n_gpu_layers"], "n_seq": sequences}
        facts = child.get(request, cancel)
        return None if facts is None else cls(child, params, sequences, cancel, facts["n_vocab"])

    def __call__(self, n_ctx: int, kv: str) -> Sizes:
        """Return the bytes on the device; on a GPU what stays in the host's memory is left out."""
        known = self._known.get((n_ctx, kv))
        if known is None:
            request = {"op": "measure", "params": {**self._params, "n_ctx": n_ctx}, "kv": kv}
            rows = self._child.get(request, self._cancel)
            on_gpu = [r for r in rows if r["device"] != "CPU"]
            weights, cache, compute = (sum(r[k] for r in on_gpu or rows) for k in ("weights", "kv", "compute"))
            output = 0 if on_gpu else estimate.output_bytes(self._vocabulary, Shape(n_ctx, kv, self._sequences))
            overhead = 0 if on_gpu else _overhead(self._vocabulary, self._sequences)
            known = self._known[n_ctx, kv] = Sizes(weights, cache, compute, output, overhead)
        return known


def closed_form(header: Header, sequences: int) -> Measure:
    """Return sizes from the header alone."""

    def measure(n_ctx: int, kv: str) -> Sizes:
        shape = Shape(n_ctx, kv, sequences, BATCH)
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
    """Bytes of the process itself, and of the logits that scoring a text will need."""
    return PROCESS + max(0, OUTPUTS - sequences) * vocabulary * 4


def _device(gpus: list[dict[str, Any]], wanted: str | None) -> Device:
    import psutil

    if gpus and (wanted is None or wanted != "CPU"):
        chosen = [g for g in gpus if wanted in (None, g["name"])]
        if not chosen:
            names = ", ".join(g["name"] for g in gpus)
            raise ModelError(f"There is no device {wanted!r}; llama.cpp can use CPU, {names}.")
        return Device(" + ".join(g["name"] for g in chosen), sum(g["free"] for g in chosen), gpu=True)
    if wanted not in (None, "CPU"):
        raise ModelError(f"There is no device {wanted!r}; this build of llama.cpp can use the CPU only.")
    return Device("CPU", min(int(psutil.virtual_memory().available), _container_free()), gpu=False)


def _container_free() -> int:
    """Bytes that a Linux container may still use, or a very large number if it has no limit."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text("ascii"))
        return max(0, limit - int((group / "memory.current").read_text("ascii")))
    except (OSError, ValueError):
        return 1 << 62


def _load_params(header: Header, gpu: bool) -> dict[str, Any]:
    threads = usable_cores()
    return {
        "model_path": str(header.path),
        "n_ctx": 0,
        "n_batch": BATCH,
        "n_ubatch": BATCH,
        "n_gpu_layers": -1 if gpu else 0,
        "flash_attn": True,
        "swa_full": False,
        "n_threads": threads,
        "n_threads_batch": threads,
        "verbose": True,
    }


def _with_window(params: dict[str, Any], n_ctx: int, kv: str) -> dict[str, Any]:
    number = estimate.GGML_TYPES[kv]
    kind = {} if kv == "f16" else {"type_k": number, "type_v": number}
    return {**params, "n_ctx": n_ctx, **kind}


def _doubt(header: Header, sizes: Sizes, shape: Shape) -> str:
    expected = estimate.kv_bytes(header, shape)
    if expected == sizes.kv:
        return ""
    return (
        f"llama.cpp's KV cache of {header.architecture} takes {sizes.kv:,} bytes, the closed form says "
        f"{expected:,}; the plan goes by llama.cpp."
    )


def _hint(device: Device) -> str:
    if device.gpu or shutil.which("nvidia-smi") is None:
        return ""
    return (
        "An NVIDIA GPU is here that this build of llama-cpp-python cannot use; build it anew with: "
        'CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall --no-cache-dir llama-cpp-python'
    )


def _advice(header: Header, device: Device, sizes: Sizes, window: int, reserve: int) -> str:
    choices = ["close other programs", "take a smaller model or quantization"]
    if device.gpu:
        choices.append('load it on the CPU (device="CPU")')
    return (
        f"{header.name} needs {sizes.total / GIB:.1f} GiB with a window of {window:,} tokens, and of the "
        f"{device.free / GIB:.1f} GiB free on {device.name} {reserve / GIB:.1f} stay free: "
        f"{', or '.join(choices)}."
    )


def check(plan: MemoryPlan) -> None:
    """Raise `ModelError` with the plan's advice if it does not fit."""
    if not plan.fits:
        raise ModelError(plan.advice)
