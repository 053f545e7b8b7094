"""The catalogue as seen from this machine: which model gets which window here, and where the memory goes."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loom_jupyter.models import plan
from loom_jupyter.models.catalogue import Entry, entries, standard
from loom_jupyter.models.child import Child
from loom_jupyter.models.fetch import cached
from loom_jupyter.models.gguf import Header, Tensor, read
from loom_jupyter.models.plan import USEFUL, MemoryPlan


@dataclass(frozen=True, slots=True)
class Row:
    """One model of the catalogue, here.

    Attributes
    ----------
    entry
        The model.
    path
        Its file, or None if it would have to be downloaded.
    plan
        The window that it would get and its bytes; from the closed form if the file is not here.
    """

    entry: Entry
    path: Path | None
    plan: MemoryPlan


def overview(device: str | None = None) -> list[Row]:
    """Return the catalogue's models with the window that each would get here, smallest first.

    Raises
    ------
    ModelError
        If llama-cpp-python is missing, or there is no such device.
    """
    with tempfile.TemporaryDirectory() as folder:
        child = Child(Path(folder) / "overview.log")
        try:
            return [_row(child, entry, device) for entry in entries().values()]
        finally:
            child.close()


def best(rows: list[Row]) -> str:
    """Return the model that serves best here.

    On a GPU that is the largest with a useful window; on a CPU a model larger than the default may fit, but is
    too slow to wait for.
    """
    serves = [row for row in rows if row.plan.fits and row.plan.n_ctx >= USEFUL]
    if any(row.plan.device == "CPU" for row in rows):
        serves = [row for row in serves if row.entry.size <= standard().size]
    return serves[-1].entry.name if serves else rows[0].entry.name


def bar(made: MemoryPlan, total: int) -> list[tuple[str, int]]:
    """Return the device's memory as segments ``(what, bytes)`` that add up to `total`.

    What others use comes first, then weights, KV cache and computation of the plan, then what stays free.
    """
    parts = [
        ("others", max(0, total - made.available)),
        ("weights", made.weights),
        ("KV", made.kv),
        ("compute", made.compute + made.output + made.overhead),
    ]
    return [*parts, ("free", max(0, total - sum(size for _, size in parts)))]


def _row(child: Child, entry: Entry, device: str | None) -> Row:
    path = cached(entry.name)
    header = read(path) if path else _from_shape(entry)
    return Row(entry, path, plan.plan_with(child, header, device=device, dry_run=path is not None))


def _from_shape(entry: Entry) -> Header:
    """Make a header from the catalogue's figures; its only tensor stands for all of them."""
    values: dict[str, Any] = {"general.architecture": entry.architecture, "general.name": entry.name}
    values |= {f"{entry.architecture}.{key}": value for key, value in entry.shape.items()}
    return Header(Path(entry.file), entry.size, values, {"output.weight": Tensor((), 0, entry.size)})
