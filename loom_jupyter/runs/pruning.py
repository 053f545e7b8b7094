"""Old runs make room for new ones, so that a workspace's data folder does not grow for ever.

Looked at when a run begins: a listing and the sizes of a few hundred folders, some milliseconds.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from loom_jupyter.errors import LoomError
from loom_jupyter.events import RunState
from loom_jupyter.runs import shelf
from loom_jupyter.runs.log import PROGRESS
from loom_jupyter.runs.request import RUN
from loom_jupyter.runs.review import interrupted

KEPT = 200
"""Runs of a workspace that are kept, the newest."""
DAYS = 90
"""For how long."""
BYTES = 1024**3
"""What they may take together."""
_logger = logging.getLogger(__name__)


def prune(runs: Path, but: str = "") -> list[str]:
    """Delete what is too old or too much of a workspace's runs.

    Whatever its age, a run stays that a process works on, that waits for its review, or of which an interrupted
    write is still to be finished; one that was accepted can be undone for `DAYS` days, however many there are.

    Parameters
    ----------
    runs
        The workspace's folder of runs.
    but
        Id of a run that stays.

    Returns
    -------
    list of str
        Ids of the runs that were deleted.
    """
    gone, size = [], 0
    now = time.time()
    for number, folder in enumerate(_newest_first(runs)):
        own = _size(folder)
        size += own
        old = now - _touched(folder) > DAYS * 24 * 3600
        if folder.name != but and (old or number >= KEPT or size > BYTES) and _delete(folder, old):
            gone.append(folder.name)
            size -= own
    return gone


def _newest_first(runs: Path) -> list[Path]:
    try:
        found = [Path(entry.path) for entry in os.scandir(runs) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return sorted((folder for folder in found if (folder / RUN).is_file()), reverse=True)


def _delete(folder: Path, old: bool) -> bool:
    """Delete a run unless it is still needed; False if it stays."""
    stored = next((run for run in shelf.find(folder.name) if run.folder == folder), None)
    if stored is None or _needed(stored, old):
        return False
    try:
        shelf.delete(stored)
    except LoomError as error:  # somebody works on it, or the disk refuses: another time
        _logger.info("an old run stays: %s", error)
        return False
    _logger.info("run %s was deleted to make room", stored.id)
    return True


def _needed(run: shelf.Stored, old: bool) -> bool:
    state = shelf.summary(run).state
    undoable = state is RunState.ACCEPTED and (run.folder / "journal").exists()
    return state is RunState.REVIEW or (undoable and not old) or interrupted(run.folder)


def _touched(folder: Path) -> float:
    for name in (PROGRESS, RUN):
        try:
            return (folder / name).stat().st_mtime
        except OSError:
            continue
    return time.time()


def _size(folder: Path) -> int:
    """Return the bytes below a folder; what vanishes meanwhile counts as nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - thousands of times
            except OSError:
                continue
    return total
