"""The catalog as seen from this machine: which model gets which window here, and where the memory goes."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loom_jupyter.models import catalog, memory
from loom_jupyter.models.catalog import Entry, entries, standard
from loom_jupyter.models.device import Device, find
from loom_jupyter.models.download import cached
from loom_jupyter.models.gguf import Header, Tensor, read
from loom_jupyter.models.memory import USEFUL, MemoryPlan
from loom_jupyter.models.process import Child

Segment = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One model, here.

    Attributes
    ----------
    name
        Catalog name, or the file's.
    size
        Bytes of its file.
    path
        Its file, or None if it would have to be downloaded.
    trained
        Window that it was trained with, in tokens.
    plan
        The window that it would get and its bytes; from the closed form if the file is not here.
    chosen
        Whether the runs to come use it.
    """

    name: str
    size: int
    path: Path | None
    trained: int
    plan: MemoryPlan
    chosen: bool = False

    @property
    def here(self) -> bool:
        """Whether its file is on this machine."""
        return self.path is not None

    @property
    def window(self) -> int:
        """Tokens that it would get, or 0 if it does not fit."""
        return self.plan.n_ctx if self.plan.fits else 0

    @property
    def note(self) -> str:
        """What is unusual about its plan."""
        kind = "" if self.plan.kv_type == "f16" else f"cache in {self.plan.kv_type}"
        return kind if self.plan.measured else ", ".join(filter(None, [kind, "estimated"]))


@dataclass(frozen=True, slots=True)
class Overview:
    """What this machine can load.

    Attributes
    ----------
    rows
        The catalog's models, smallest first, and the chosen one if it is a file of the user's own.
    title
        One line: the chosen model, its window, and whether it is loaded.
    """

    rows: list[Row]
    title: str

    @property
    def best(self) -> str:
        """The model that serves best here."""
        return best(self.rows)

    @property
    def bars(self) -> list[tuple[str, int, list[Segment]]]:
        """A bar for each device, with the chosen model's memory; none if a server is chosen."""
        return [bar for row in self.rows if row.chosen for bar in bars(row.plan)]

    @property
    def notes(self) -> list[str]:
        """What the user should know about the chosen model's plan."""
        plans = [row.plan for row in self.rows if row.chosen]
        hints = [self.rows[0].plan.hint] if self.rows else []
        return [text for text in (*(t for p in plans for t in (p.advice, p.doubt)), *hints) if text]


def overview(
    chosen: str | None = None,
    *,
    device: str | None = None,
    loaded: MemoryPlan | None = None,
    held: int = 0,
    cancel: threading.Event | None = None,
) -> Overview:
    """Plan the catalog's models, and the chosen one, for this machine.

    Parameters
    ----------
    chosen
        The model in use: a catalog name or a path; ``"auto"`` is the best.
    device
        As in `loom_jupyter.models.plan_memory`.
    loaded
        How the chosen model was loaded, if it is in memory now.
    held
        Bytes that the loaded model, whichever it is, would give back.
    cancel
        Set by another thread to stop.

    Raises
    ------
    ModelError
        If llama-cpp-python is missing, or there is no such device.
    Cancelled
        If `cancel` was set.
    """
    with tempfile.TemporaryDirectory() as folder:
        child = Child(Path(folder) / "overview.log")
        child.borrower = cancel
        try:
            target = find(child.get({"op": "devices"}), device).regained(held)
            rows = [_row(child, entry, target) for entry in entries().values()]
            name = best(rows) if chosen == catalog.AUTO else chosen
            if name is not None and catalog.is_path(name):
                rows.append(_file(child, Path(name).expanduser(), target))
                name = rows[-1].name
        finally:
            child.close()
    rows = [replace(row, chosen=row.name == name) for row in rows]
    if loaded is not None:
        plan_now = replace(loaded, available=target.free, capacity=target.total)
        rows = [replace(row, plan=plan_now) if row.chosen else row for row in rows]
    return Overview(rows, _title(name, rows, loaded is not None))


def _title(name: str | None, rows: Sequence[Row], loaded: bool) -> str:
    chosen = next((row for row in rows if row.chosen), None)
    if chosen is None:
        return f"{name or 'No model'}: its memory is its server's affair"
    if not chosen.plan.fits:
        return f"{chosen.name} does not fit on {chosen.plan.device}"
    state = "loaded" if loaded else "not loaded"
    return f"{chosen.name} · window {chosen.plan.n_ctx:,} of {chosen.trained:,} tokens · {state}"


def best(rows: Sequence[Row]) -> str:
    """Return the model that serves best here.

    On a GPU that is the largest with a useful window; on a CPU a model larger than the default may fit, but is
    too slow to wait for.
    """
    serves = [row for row in rows if row.plan.fits and row.plan.n_ctx >= USEFUL]
    if any(row.plan.device == "CPU" for row in rows):
        serves = [row for row in serves if row.size <= standard().size]
    return serves[-1].name if serves else rows[0].name


def bars(made: MemoryPlan) -> list[tuple[str, int, list[Segment]]]:
    """Return a bar for each device: name, bytes in all, and segments ``(what, bytes)`` that add up to them.

    What others use comes first, then weights, KV cache and computation of the plan, then what stays free. Where
    several GPUs share the model, each has its part whole.
    """
    if made.spread:
        return [_shared(*part, made) for part in made.spread]
    parts = [
        ("others", max(0, made.capacity - made.available)),
        ("weights", made.weights),
        ("KV", made.kv),
        ("compute", made.compute + made.output + made.overhead),
    ]
    return [(made.device, made.capacity, _filled(parts, made.capacity))]


def _shared(name: str, size: int, free: int, capacity: int, made: MemoryPlan) -> tuple[str, int, list[Segment]]:
    """One GPU's bar; the plan's proportions stand for each part's."""
    whole = max(1, made.weights + made.kv + made.compute)
    weights, cache = size * made.weights // whole, size * made.kv // whole
    parts = [("others", capacity - free), ("weights", weights), ("KV", cache), ("compute", size - weights - cache)]
    return name, capacity, _filled(parts, capacity)


def _filled(parts: list[Segment], capacity: int) -> list[Segment]:
    return [*parts, ("free", max(0, capacity - sum(size for _, size in parts)))]


def _row(child: Child, entry: Entry, target: Device) -> Row:
    path = cached(entry.name)
    header = read(path) if path else _from_shape(entry)
    made = memory.plan_with(child, header, device=target, dry_run=path is not None)
    return Row(entry.name, entry.size, path, header.context_length, made)


def _file(child: Child, path: Path, target: Device) -> Row:
    header = read(path)
    made = memory.plan_with(child, header, device=target)
    return Row(path.stem, header.size, path, header.context_length, made)


def _from_shape(entry: Entry) -> Header:
    """Make a header from the catalog's figures; its only tensor stands for all of them."""
    values: dict[str, Any] = {"general.architecture": entry.architecture, "general.name": entry.name}
    values |= {f"{entry.architecture}.{key}": value for key, value in entry.shape.items()}
    return Header(Path(entry.file), entry.size, values, {"output.weight": Tensor((), 0, entry.size)})
