"""All runs of this user, whatever their workspace: find them, sum them up, delete them."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from loom_jupyter.edits.accept import recover
from loom_jupyter.errors import EditError, LoomError
from loom_jupyter.events import Indexed, ProposalMade, RunState, StateChanged
from loom_jupyter.runs.files import open_file, read
from loom_jupyter.runs.log import PROGRESS, parse
from loom_jupyter.runs.request import RUN, Request
from loom_jupyter.runs.review import RunError, interrupted
from loom_jupyter.runs.run import Run
from loom_jupyter.settings import data_dir

BLOCK = 64 * 1024
QUIET = 3.0
"""Seconds without an event after which it is worth asking whether the run's process still lives."""


@dataclass(frozen=True)
class Stored:
    """A run on disk."""

    folder: Path
    request: Request

    @property
    def id(self) -> str:
        """The run's id."""
        return self.request.id


@dataclass(frozen=True)
class Summary:
    """What the end of a run's log tells.

    Attributes
    ----------
    touched
        Time of the newest event (seconds since the epoch).
    files
        Paths that it proposes to change.
    alive
        False if it should be at work, but its process has ended.
    """

    state: RunState
    reason: str
    touched: float
    files: tuple[str, ...]
    passed: bool | None
    alive: bool = True


def stored() -> Iterator[Stored]:
    """Yield all runs, newest first; folders that hold none are left out."""
    files = sorted(data_dir().glob(f"*/runs/*/{RUN}"), key=lambda file: file.parent.name, reverse=True)
    for file in files:
        request = _request(file)
        if request is not None and request.id == file.parent.name:
            yield Stored(file.parent, request)


def find(run_id: str) -> Iterator[Stored]:
    """Yield the runs of that id; there is one, unless two workspaces began one in the same millisecond."""
    for file in data_dir().glob(f"*/runs/{run_id}/{RUN}"):
        request = _request(file)
        if request is not None and request.id == run_id:
            yield Stored(file.parent, request)


def summary(run: Stored) -> Summary:
    """Sum a run up from the end of its log."""
    try:
        found = (run.folder / PROGRESS).stat()
        told = _summary(run.folder / PROGRESS, found.st_size, found.st_mtime)
    except OSError:  # not there yet, or no log at all
        return Summary(RunState.QUEUED, "", run.request.created, (), None)
    if told.state.at_work and time.time() - found.st_mtime > QUIET and not _held(run.folder):
        return Summary(told.state, told.reason, told.touched, told.files, told.passed, alive=False)
    return told


def delete(run: Stored) -> None:
    """Delete a run's folder: its log, its ledger, and the journal that undo needs.

    An Accept or an Undo that a crash interrupted is finished or taken back first: only the journal can do that.

    Raises
    ------
    RunError
        If a process works on it or waits for its review, or what was interrupted cannot be finished.
    """
    lock = FileLock(str(run.folder / "owner.lock"))
    try:
        with lock.acquire(timeout=0):
            recover(run.folder / "journal", Path(run.request.root))
            shutil.rmtree(run.folder)
    except EditError as error:
        raise RunError(f"run {run.id} is not deleted, because its files are half written: {error}") from error
    except Timeout:
        raise RunError(f"run {run.id} is still open; stop or reject it first.") from None
    except OSError as error:
        raise RunError(
            f"run {run.id} cannot be deleted ({error.strerror or error}); correct the permissions of {run.folder}."
        ) from error


def handle(run: Stored) -> Run:
    """Return a handle on the run."""
    return Run(run.folder, run.request)


def _request(file: Path) -> Request | None:
    """Read a ``run.json`` unless it is known already; None where it is missing or damaged, now."""
    try:
        found = file.stat()
        return _parsed(file, found.st_mtime_ns, found.st_size, found.st_ino)
    except (OSError, ValidationError):
        return None


@lru_cache(maxsize=4096)
def _parsed(file: Path, _touched: int, _size: int, _number: int) -> Request:
    return Request.model_validate_json(read(file))


@lru_cache(maxsize=1024)
def _summary(file: Path, size: int, touched: float) -> Summary:
    """Read from the end to the last state, and to the proposal where one is on the way or just before it."""
    state, proposal = None, None
    for line in _backwards(file, size):
        if state is None and b'"type":"state"' in line and isinstance(event := parse(line), StateChanged):
            state = event
            if state.state.at_work or state.state in (RunState.FAILED, RunState.STOPPED):
                break
        elif b'"type":"proposal"' in line and isinstance(event := parse(line), ProposalMade):
            proposal = event
            if state is not None:
                break
    return Summary(
        state.state if state else RunState.QUEUED,
        state.reason if state else "",
        touched,
        tuple(part.path for part in proposal.files) if proposal else (),
        proposal.passed if proposal else None,
    )


def _backwards(file: Path, size: int) -> Iterator[bytes]:
    """Yield the complete lines of a file, last first."""
    with os.fdopen(open_file(file, os.O_RDONLY), "rb") as stream:
        rest = b""
        for start in range(max(0, (size - 1) // BLOCK) * BLOCK, -1, -BLOCK):
            stream.seek(start)
            first, *lines = (stream.read(min(BLOCK, size - start)) + rest).split(b"\n")
            yield from reversed(lines)
            rest = first
        yield rest


def _held(folder: Path) -> bool:
    """Whether a process owns the run."""
    try:
        FileLock(str(folder / "owner.lock")).acquire(timeout=0).lock.release()
    except Timeout:
        return True
    return False


def indexed(run: Stored) -> Indexed | None:
    """Return what the run said of the index, if it did so among its first events."""
    try:
        with os.fdopen(open_file(run.folder / PROGRESS, os.O_RDONLY), "rb") as stream:
            lines = stream.read(BLOCK).split(b"\n")
    except OSError:
        return None
    events = (parse(line) for line in lines if b'"type":"indexed"' in line)
    return next((event for event in events if isinstance(event, Indexed)), None)


# Old runs make room for new ones, so that a workspace's data folder does not grow for ever.
#
# Looked at when a run begins: a listing and the sizes of a few hundred folders, some milliseconds.

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
    stored = next((run for run in find(folder.name) if run.folder == folder), None)
    if stored is None or _needed(stored, old):
        return False
    try:
        delete(stored)
    except LoomError as error:  # somebody works on it, or the disk refuses: another time
        _logger.info("an old run stays: %s", error)
        return False
    _logger.info("run %s was deleted to make room", stored.id)
    return True


def _needed(run: Stored, old: bool) -> bool:
    state = summary(run).state
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
