"""The run's log: ``progress.jsonl``, one validated event a line."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loom_jupyter.errors import LoomError
from loom_jupyter.events import EVENT, Event
from loom_jupyter.runs.files import open_file, whole
from loom_jupyter.secrets import masked

# Append-only files of JSON lines: writers that never tear a line, readers that never reread one.

_logger = logging.getLogger(__name__)
MAX_LINE = 16 * 1024 * 1024
"""Bytes of one line; a longer one is skipped, so that a broken writer cannot fill a reader's memory."""


class LineWriter:
    """Appends lines to a file that only its owner can read, one write a line.

    Parameters
    ----------
    file
        Made (0600) if missing. A line that a crash left torn is ended first, so that it cannot swallow the next.

    Raises
    ------
    OSError
        If the file cannot be opened, or is not an ordinary file.
    """

    def __init__(self, file: Path) -> None:
        self._handle = open_file(file, os.O_RDWR | os.O_APPEND | os.O_CREAT)

    def write(self, line: bytes) -> None:
        """Append `line` and a line end."""
        size = os.fstat(self._handle).st_size
        torn = size > 0 and self._byte_at(size - 1) != b"\n"
        data = memoryview((b"\n" if torn else b"") + line + b"\n")
        while data:  # a full disk or a signal may cut a write short
            data = data[os.write(self._handle, data) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _byte_at(self, position: int) -> bytes:
        os.lseek(self._handle, position, os.SEEK_SET)
        return os.read(self._handle, 1)


class LineReader:
    """Follows a file of lines: each call of `read` returns the complete lines that are new.

    Parameters
    ----------
    file
        May not exist yet; what is not an ordinary file is read as if it were empty.
    offset
        Where to begin, in bytes: the start of a line.
    """

    def __init__(self, file: Path, offset: int = 0) -> None:
        self._file = file
        self._offset = offset
        self._rest = b""
        self._skipping = self._told = False

    def read(self, limit: int = -1) -> list[bytes]:
        """Return new complete lines without their ends; an unfinished last line waits for its rest.

        Parameters
        ----------
        limit
            Read until there is a line, about so many bytes at a time; below 0: all there is.
        """
        while True:
            size, lines = self._read(limit)
            if lines or not 0 < limit <= size:
                return lines

    def _read(self, limit: int) -> tuple[int, list[bytes]]:
        try:
            with os.fdopen(open_file(self._file, os.O_RDONLY), "rb") as stream:
                if stream.seek(0, os.SEEK_END) < self._offset:  # replaced by a shorter file
                    self._offset, self._rest = 0, b""
                stream.seek(self._offset)
                data = stream.read(limit)
        except FileNotFoundError:
            return 0, []
        except OSError as error:  # a reader of a damaged run goes on with what it has
            if not self._told:
                _logger.warning("%s cannot be read (%s)", self._file, error.strerror or error)
            self._told = True
            return 0, []
        self._offset += len(data)
        *lines, rest = (self._rest + data).split(b"\n")
        if self._skipping and lines:
            del lines[0]
            self._skipping = False
        self._rest = rest
        if len(rest) > MAX_LINE:
            self._rest, self._skipping = b"", True
        return len(data), [line for line in lines if line.strip() and len(line) <= MAX_LINE]


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
            "free some space or fix the folder's permissions, then run again."
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
