"""Append-only files of JSON lines: writers that never tear a line, readers that never reread one."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from loom_jupyter.runs.files import open_file

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
