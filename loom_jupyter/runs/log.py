"""The run's log: ``progress.jsonl``, one validated event a line."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loom_jupyter.errors import LoomError
from loom_jupyter.events import EVENT, Event
from loom_jupyter.runs.files import whole
from loom_jupyter.runs.lines import LineReader, LineWriter
from loom_jupyter.secrets import masked

PROGRESS = "progress.jsonl"


class LogError(LoomError):
    """The run's log cannot be written."""


class EventLog:
    """Appends events to a run's ``progress.jsonl``; its methods may be called from any thread.

    One process writes a run's log at a time (the run's owner).

    Parameters
    ----------
    folder
        The run's folder; made (0700) if missing. A log that is already there is continued.
    run_id
        Put into every event.

    Raises
    ------
    LogError
        If the file cannot be opened.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self.file = folder / PROGRESS
        self._run = run_id
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lines = LineWriter(self.file)
        except OSError as error:
            raise self._unwritable(error) from error
        self._seq = max((event.seq for event in read_events(self.file)), default=0)

    def emit(self, event: Event) -> Event:
        """Append `event` and return it as written: with its ``seq``, ``ts`` and ``run``.

        Raises
        ------
        LogError
            If the file cannot be written.
        """
        return self.write(cleaned(event))

    def write(self, told: Mapping[str, Any]) -> Event:
        """Append an event that was `cleaned` before, and return it as `emit` does: who holds a lock writes so.

        Raises
        ------
        LogError
            If the file cannot be written.
        """
        with self._lock:
            stamp = {"seq": self._seq + 1, "ts": round(time.time(), 4), "run": self._run}
            written = EVENT.validate_python({**told, **stamp})
            try:
                self._lines.write(EVENT.dump_json(written))
            except OSError as error:
                raise self._unwritable(error) from error
            self._seq += 1
        return written

    def close(self) -> None:
        """Close the file; the log stays readable."""
        with self._lock:
            self._lines.close()

    def _unwritable(self, error: OSError) -> LogError:
        return LogError(
            f"The run's log {self.file} cannot be written ({error.strerror or error}); "
            "free some space or mend the folder's permissions, then run again."
        )


def cleaned(event: Event) -> dict[str, Any]:
    """Return the data of an event without secrets and half characters; it takes time with the event's length."""
    told = event.model_dump()
    digests = {key: told[key] for key in ("digests",) if key in told}  # noise, but no secret
    return {**_masked(told), **whole(digests)}


def _masked(value: Any) -> Any:
    """Return plain data without secrets and half characters: what a check prints, what a diff shows."""
    if isinstance(value, dict):
        return {whole(key): _masked(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(part) for part in value]
    return masked(whole(value)) if type(value) is str else value


class LogReader:
    """Follows a ``progress.jsonl``: each call of `read` returns the events that are new."""

    def __init__(self, file: Path, offset: int = 0) -> None:
        self._lines = LineReader(file, offset)

    def read(self) -> list[Event]:
        """Return new events; lines of no known type, and lines that are no event at all, are left out."""
        return [event for line in self._lines.read() if (event := parse(line)) is not None]


def read_events(file: Path) -> list[Event]:
    """Return the events written so far; empty if there is no such file."""
    return LogReader(file).read()


def tail(file: Path, from_seq: int, stop: threading.Event, poll: float = 0.05) -> Iterator[Event]:
    """Yield events from number `from_seq` on, as they are written, until `stop` is set.

    Parameters
    ----------
    file
        May not exist yet.
    from_seq
        First event wanted; 0 means all.
    stop
        Ends the generator, after what is already written has been yielded.
    poll
        Seconds between looks at the file.
    """
    reader = LogReader(file)
    while True:
        last = stop.is_set()
        for event in reader.read():
            if event.seq >= from_seq:
                yield event
        if last:
            return
        stop.wait(poll)


def parse(line: bytes) -> Event | None:
    """Return the event of a line, or None if it is of no known type, or no event at all."""
    try:
        return EVENT.validate_json(line)
    except ValidationError:
        return None
