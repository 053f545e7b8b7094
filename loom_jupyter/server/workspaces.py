"""The runs that a server may show: those whose workspace lies under its root folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loom_jupyter.events import Control
from loom_jupyter.runs import format, store
from loom_jupyter.runs.asking import Asking
from loom_jupyter.runs.compose import state_word
from loom_jupyter.runs.document import as_data
from loom_jupyter.runs.store import Stored
from loom_jupyter.trust import Trust, look

PAGE = 100
TASK_SHOWN = 2_000
"""Characters of a task that a list carries."""


@dataclass(frozen=True)
class Workspaces:
    """All workspaces under a server's root folder."""

    root: Path

    def runs(self, words: str = "", before: str = "", limit: int = PAGE) -> list[dict[str, Any]]:
        """Sum up the newest runs.

        Parameters
        ----------
        words
            Only runs whose task holds all of them, in any case.
        before
            Only runs older than the one of this id.
        """
        wanted = words.lower().split()
        found = (
            run
            for run in self._stored()
            if (not before or run.id < before) and all(word in run.request.task.lower() for word in wanted)
        )
        return [self._summed(run) for run, _ in zip(found, range(min(limit, PAGE)), strict=False)]

    def find(self, run_id: str) -> Stored | None:
        """Return the run of that id, or None if there is none here."""
        return next((run for run in store.find(run_id) if self._place(run) is not None), None)

    def index(self) -> list[dict[str, Any]]:
        """Say of each workspace how its index stood at its newest run."""
        seen: dict[str, dict[str, Any]] = {}
        for run in self._stored():
            place = self._place(run) or ""
            entry = seen.setdefault(place, {"workspace": place, "runs": 0, "files": None, "indexed": None})
            entry["runs"] += 1
            if entry["files"] is None and entry["runs"] <= 3 and (event := store.indexed(run)) is not None:
                entry.update(files=event.files, indexed=event.ts)
        return list(seen.values())

    def trust(self, place: str) -> Trust | None:
        """Return what the settings of a workspace would run or send; None if it is not under the root."""
        try:
            folder = (self.root / place).resolve()
            there = folder.is_relative_to(self.root) and folder.is_dir()
        except (OSError, RuntimeError, ValueError):  # too long, a circle of links, a zero byte
            return None
        return look(folder) if there else None

    def _stored(self) -> Iterator[Stored]:
        return (run for run in store.stored() if self._place(run) is not None)

    def _place(self, run: Stored) -> str | None:
        """Return the workspace as the Contents API names it, or None if it is not under the root."""
        workspace = Path(run.request.root).resolve()
        return workspace.relative_to(self.root).as_posix() if workspace.is_relative_to(self.root) else None

    def _summed(self, run: Stored) -> dict[str, Any]:
        told, request = store.summary(run), run.request
        return {
            "id": run.id,
            "task": request.task[:TASK_SHOWN],
            "title": format.line(request.task, 200),
            "word": as_data(state_word(told.state)),
            "names": [format.path(path, 60) for path in told.files],
            "workspace": self._place(run),
            "created": request.created,
            "touched": told.touched,
            "state": told.state.value,
            "reason": told.reason,
            "alive": told.alive,
            "files": list(told.files),
            "passed": told.passed,
            "check": request.check,
            "model": request.model,
        }


def ask(run: Stored, body: dict[str, Any]) -> Asking:
    """Ask the process that owns the run, or take its place; look at what is returned until it was answered.

    Raises
    ------
    ValueError
        If `body` is no request.
    LoomError
        If the run cannot be reached.
    """
    request = Control.model_validate({"id": "x", **body})
    asked = request.model_dump(include={"paths", "hunks", "merged", "text"})
    return store.handle(run).ask(request.action, task=request.task, **asked)
