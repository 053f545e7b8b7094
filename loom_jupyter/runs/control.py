"""The run's mailbox: ``control.jsonl``, by which any process asks something of a run."""

from __future__ import annotations

import errno
import json
import logging
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loom_jupyter.errors import LoomError
from loom_jupyter.events import Action, Control
from loom_jupyter.pipeline.contracts import TaskSpec
from loom_jupyter.runs.files import json_bytes
from loom_jupyter.runs.log import LineReader, LineWriter

_logger = logging.getLogger(__name__)
CONTROL = "control.jsonl"
_TAKEN, _WITHDRAWN = "taken", "withdrawn"


class ControlError(LoomError):
    """A request could not be handed to a run."""


def requested(
    action: Action | str,
    paths: Sequence[str] | None = None,
    hunks: Mapping[str, Sequence[int]] | None = None,
    **more: Any,
) -> Control:
    """Return a request with an id of its own, as it would come out of the mailbox; see `send`."""
    made = Control(
        id=uuid.uuid4().hex[:12],
        action=Action(action),
        paths=None if paths is None else list(paths),
        hunks=None if hunks is None else {path: list(numbers) for path, numbers in hunks.items()},
        **more,
    )
    return Control.model_validate_json(json_bytes(made))


def send(
    folder: Path,
    action: Action | str,
    paths: Sequence[str] | None = None,
    hunks: Mapping[str, Sequence[int]] | None = None,
    *,
    merged: bool = False,
    text: str = "",
    task: TaskSpec | None = None,
    deadline: float | None = None,
) -> str:
    """Ask the run in `folder` for an action.

    Parameters
    ----------
    paths
        For accept and undo: only these files. None means all.
    hunks
        For accept: of these files only these hunks, by their position from 0.
    merged
        For accept: also on top of files that changed since, where the changes do not touch.
    text
        For answer: the user's words.
    task
        For approve: the task as the user wants it.
    deadline
        Until when an answer is waited for (seconds since the epoch); None: for ever.

    Returns
    -------
    str
        The request's id; the run's ``control`` event that answers it carries the same.

    Raises
    ------
    ControlError
        If the run's folder is gone or cannot be written.
    """
    request = requested(action, paths, hunks, merged=merged, text=text, task=task, deadline=deadline)
    try:
        _append(folder, json_bytes(request))
    except FileNotFoundError as error:
        raise ControlError(
            f"Run {folder.name} has no folder any more; `%loom runs` lists those there are."
        ) from error
    except OSError as error:
        raise ControlError(
            f"Run {folder.name} cannot be reached ({error.strerror or error}); "
            f"correct the permissions of {folder} and try again."
        ) from error
    return request.id


def take(folder: Path, request: Control) -> bool:
    """Begin to carry a request out, as the run's owner; False if it was withdrawn, or nobody waits for it.

    Raises
    ------
    OSError
        If the mailbox cannot be written.
    """
    if request.deadline is None:
        return True
    return time.time() <= request.deadline and _first(folder, request.id, _TAKEN) == _TAKEN


def withdraw(folder: Path, request_id: str) -> bool:
    """Take a request back, as who asked; False if the run's owner has begun with it."""
    try:
        return _first(folder, request_id, _WITHDRAWN) != _TAKEN
    except OSError:  # nobody can take it either
        return True


def _first(folder: Path, request_id: str, mark: str) -> str:
    """Mark a request, and return the mark that it bears: of two that are written at once the first counts."""
    _append(folder, json.dumps({mark: request_id}).encode())
    for line in LineReader(folder / CONTROL).read():
        for found in (_TAKEN, _WITHDRAWN):
            if line == json.dumps({found: request_id}).encode():
                return found
    raise OSError(errno.EIO, "the request's mark cannot be read back")


def _append(folder: Path, line: bytes) -> None:
    with closing(LineWriter(folder / CONTROL)) as file:
        file.write(line)


class ControlReader:
    """Reads requests as they come; each is returned once.

    Parameters
    ----------
    folder
        The run's folder.
    handled
        Ids that were answered before, by the run's ``control`` events; they are not returned again.
    """

    def __init__(self, folder: Path, handled: Iterable[str] = ()) -> None:
        self._lines = LineReader(folder / CONTROL)
        self._run = folder.name
        self._seen = set(handled)

    def poll(self) -> list[Control]:
        """Return requests not returned before; lines that are no request are skipped."""
        fresh = []
        for line in self._lines.read():
            try:
                request = Control.model_validate_json(line)
            except ValidationError:
                continue
            if request.id not in self._seen:
                self._seen.add(request.id)
                fresh.append(request)
                _logger.debug("run %s is asked to %s", self._run, request.action)
        return fresh
