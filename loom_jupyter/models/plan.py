"""How large a window to load a model with, and what it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loom_jupyter.models.gguf import Header, read
from loom_jupyter.models.protocol import ModelError
from loom_jupyter.models.threads import usable_cores

STEP = 256  # llama.cpp pads the window to multiples of this
SMALLEST = 2048
CPU_CAP = 16384
BATCH = 512
GPU_SEQUENCES = 17  # the main one and 16 branches: a GPU decodes them in the time of one, a CPU gains nothing


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A window that fits, with its bytes.

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
        Layers of the model.
    fits
        Whether `total` fits `available`.
    advice
        What to do if it does not; empty otherwise.
    load_params
        Arguments for `llama_cpp.Llama`.
    sequences
        Sequences that share the KV cache.
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


def plan_memory(
    model: str | Path,
    *,
    device: str | None = None,
    n_ctx: int | None = None,
    kv: str = "auto",  # noqa: ARG001
    reserve: int | None = None,
) -> MemoryPlan:
    """Choose the largest window that fits.

    Parameters
    ----------
    model
        Path of a GGUF file.
    device
        ``"CPU"``, or None for the best there is.
    n_ctx
        A window to keep to, instead of the largest.
    kv
        Type of the KV cache; ``"auto"`` is f16.
    reserve
        Bytes to leave free.

    Raises
    ------
    ModelError
        If the file is not a model that can be loaded.
    """
    import psutil

    header = read(Path(model))
    available = int(psutil.virtual_memory().available)
    keep = reserve if reserve is not None else max(512 << 20, available // 10)
    room = available - keep
    ceiling = min(n_ctx or CPU_CAP, header.context_length)
    window = _padded(ceiling)
    while n_ctx is None and window > SMALLEST and _total(header, window) > room:
        window -= STEP
    fits = _total(header, window) <= room
    advice = "" if fits else _advice(header, window, room)
    threads = usable_cores()
    return MemoryPlan(
        n_ctx=window,
        weights=header.size,
        kv=_kv(header, window),
        compute=_compute(header),
        output=_output(header),
        overhead=0,
        total=_total(header, window),
        available=available,
        device=device or "CPU",
        layers=header.layers,
        fits=fits,
        advice=advice,
        load_params={
            "model_path": str(header.path),
            "n_ctx": window,
            "n_batch": BATCH,
            "n_ubatch": BATCH,
            "n_gpu_layers": -1,
            "flash_attn": True,
            "swa_full": False,
            "n_threads": threads,
            "n_threads_batch": threads,
            "verbose": True,
        },
    )


def _padded(n: int) -> int:
    return max(STEP, (n + STEP - 1) // STEP * STEP)


def _kv(header: Header, n_ctx: int) -> int:
    """Bytes of an f16 KV cache over all layers."""
    heads = header.per_layer("attention.head_count", 1)
    kv_heads = header.per_layer("attention.head_count_kv", heads[0] if heads else 1)
    width = header.number("embedding_length") // max(1, max(heads, default=1))
    k, v = header.number("attention.key_length", width), header.number("attention.value_length", width)
    return sum(n_ctx * n * (k + v) * 2 for n in kv_heads)


def _compute(header: Header) -> int:
    return BATCH * 4 * 8 * max(header.number("embedding_length"), header.number("feed_forward_length") // 2)


def _output(header: Header) -> int:
    return header.number("vocab_size", 152_000) * 4


def _total(header: Header, n_ctx: int) -> int:
    return header.size + _kv(header, n_ctx) + _compute(header) + _output(header)


def _advice(header: Header, window: int, room: int) -> str:
    gib = 1 << 30
    return (
        f"{header.name} needs {_total(header, window) / gib:.1f} GiB with a window of {window:,} and "
        f"{max(0, room) / gib:.1f} GiB are free; close other programs or take a smaller model."
    )


def check(plan: MemoryPlan) -> None:
    """Raise `ModelError` with the plan's advice if it does not fit."""
    if not plan.fits:
        raise ModelError(plan.advice)
