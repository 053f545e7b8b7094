"""Where a model can be loaded, and what is free there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

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


# How many threads to compute with: as many as there are idle cores.
#
# llama.cpp's threads wait for each other after every operation of the graph, so one thread that has to share
# its
# core holds up all: on two busy cores two threads were ten times slower than one.

LOOKS, PAUSE = 5, 0.004  # looks at the run queue before a choice, and seconds between them
RUN_QUEUE = Path("/proc/loadavg")


def usable_cores() -> int:
    """Return the cores that this process may use: physical ones, within its affinity and its container's quota."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(allowed, physical, _quota() or allowed))


def free_threads() -> int:
    """Return the number of threads that can run undisturbed at this moment, at least one.

    It looks at who runs now, not at who ran of late: between two calls of the model a check may have kept a core
    busy that is idle again.
    """
    everything = psutil.cpu_count() or 1
    return max(1, min(usable_cores(), round(everything - _others())))


def _others() -> float:
    """Threads of the machine, other than this one, that are running or want to."""
    looks = []
    for _ in range(LOOKS):
        running = _running()
        if running is None:
            return psutil.cpu_percent(interval=0.1) / 100 * (psutil.cpu_count() or 1)
        looks.append(running - 1)
        time.sleep(PAUSE)
    return max(0.0, statistics.median(looks))


def _running() -> int | None:
    """Threads that are running or want to, as Linux counts them; None elsewhere."""
    try:
        return int(RUN_QUEUE.read_text("ascii").split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return None


def _quota() -> int | None:
    """Whole cores that a Linux container may use, or None if it has no limit."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        return None if limit == "max" else max(1, int(limit) // int(period))
    except (OSError, ValueError):
        return None
