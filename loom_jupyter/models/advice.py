"""What to do when a model does not fit, with figures."""

from __future__ import annotations

from collections.abc import Callable

from loom_jupyter.models.catalogue import entries
from loom_jupyter.models.device import Device
from loom_jupyter.models.device import find as find_device
from loom_jupyter.models.measure import SMALLEST, Sizes

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
    """Name the largest model of the catalogue that fits, if any."""
    fitting = [entry for entry in entries().values() if entry.size + besides <= room]
    return f"take {fitting[-1].name} ({_size(fitting[-1].size)})" if fitting else "take a smaller model"


def _on_cpu(least: Sizes) -> str:
    cpu = find_device([], "CPU")
    enough = least.total <= cpu.free - cpu.reserve
    return f'load it on the CPU ({_size(cpu.free)} free; device = "CPU" in [tool.loom])' if enough else ""


def _size(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB // 10 else f"{size / MIB:.0f} MiB"
