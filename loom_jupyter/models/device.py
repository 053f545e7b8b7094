"""Where a model can be loaded, and what is free there."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loom_jupyter.models.protocol import ModelError

CPU_RESERVE, GPU_RESERVE = 512 << 20, 256 << 20


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: llama.cpp's short name (``CUDA0``), its maker's, its place in llama.cpp's list, and its bytes."""

    id: str
    name: str
    index: int
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Device:
    """Where a model is to be loaded.

    Attributes
    ----------
    name
        ``"CPU"`` or the GPUs' names.
    free, total
        Bytes; of several GPUs together.
    gpus
        The GPUs; none for the CPU.
    unified
        Whether a GPU works in the computer's own memory, so that what stays with the CPU counts too.
    only
        Whether the user or the plan chose one of several GPUs.
    """

    name: str
    free: int
    total: int = 0
    gpus: tuple[Gpu, ...] = ()
    unified: bool = False
    only: bool = False

    @property
    def gpu(self) -> bool:
        """Whether it is one GPU or more."""
        return bool(self.gpus)

    @property
    def reserve(self) -> int:
        """Bytes to leave free (on each GPU)."""
        return GPU_RESERVE if self.gpu and not self.unified else max(CPU_RESERVE, self.free // 10)

    def alone(self, gpu: Gpu) -> Device:
        """Return the device that one of the GPUs is by itself."""
        return replace(
            self,
            name=gpu.name,
            free=min(gpu.free, self.free),
            total=gpu.total,
            gpus=(gpu,),
            only=len(self.gpus) > 1,
        )

    def regained(self, size: int) -> Device:
        """Return the device as it will be when `size` bytes that a loaded model holds come free."""
        share = size // max(1, len(self.gpus))
        gpus = tuple(replace(g, free=min(g.total, g.free + share)) for g in self.gpus)
        return replace(self, free=min(self.total, self.free + size), gpus=gpus)


def find(listed: Sequence[Mapping[str, Any]], wanted: str | None = None) -> Device:
    """Return the device that is meant, or what is best: the GPUs that llama.cpp can use, if any.

    Parameters
    ----------
    listed
        GPUs as `loom_jupyter.models.dryrun.devices` gives them.
    wanted
        ``"CPU"``, or the name or short name of a GPU.

    Raises
    ------
    ModelError
        If there is no such device.
    """
    gpus = tuple(Gpu(g["id"], g["name"], i, g["free"], g["total"]) for i, g in enumerate(listed))
    chosen = tuple(g for g in gpus if wanted in (None, g.id, g.name))
    if wanted != "CPU" and chosen:
        unified = any(g["unified"] for g in listed)
        free, total = sum(g.free for g in chosen), sum(g.total for g in chosen)
        found = Device(
            " + ".join(g.name for g in chosen), free, total, chosen, unified, only=len(chosen) < len(gpus)
        )
        return replace(found, free=min(free, _ram()[0])) if unified else found
    if wanted not in (None, "CPU"):
        names = f"CPU, {', '.join(g.name for g in gpus)}" if gpus else "the CPU only"
        raise ModelError(f"There is no device {wanted!r}; this build of llama.cpp can use {names}.")
    return Device("CPU", *_ram())


def shares_memory(kind: int, identifier: str) -> bool:
    """Whether a GPU of this ggml type and short name works in the computer's own memory."""
    return kind == 2 or identifier.startswith(("Metal", "MTL")) or sys.platform == "darwin"


def unused_gpu() -> str:
    """Return how to use an NVIDIA GPU that is here and that this build cannot use; empty if all is well."""
    spec = importlib.util.find_spec("llama_cpp")
    if shutil.which("nvidia-smi") is None or spec is None or spec.origin is None:
        return ""
    if any(Path(spec.origin).parent.glob("lib/*cuda*")):
        return ""
    return (
        "An NVIDIA GPU is here that this build of llama-cpp-python cannot use; rebuild it with: "
        'CMAKE_ARGS="-DGGML_CUDA=on" pip install --force-reinstall --no-cache-dir llama-cpp-python'
    )


def _ram() -> tuple[int, int]:
    """Bytes of memory that can be had now, and all there are, within the limits of a container."""
    import psutil

    memory = psutil.virtual_memory()
    free, total = _container()
    return min(int(memory.available), free), min(int(memory.total), total)


def _container() -> tuple[int, int]:
    """Bytes that a Linux container may still use and may use in all, or very large numbers without a limit."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text("ascii"))
        return max(0, limit - int((group / "memory.current").read_text("ascii"))), limit
    except (OSError, ValueError):
        return 1 << 62, 1 << 62
