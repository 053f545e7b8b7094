"""One git process, whose output is read while it runs; it ends when it hangs, takes too long or says too much."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

from loom_jupyter.context.repository import NoGitError

LARGEST_ANSWER = 512 << 20
_STEP = 0.25


class Done(NamedTuple):
    """How a process ended.

    Attributes
    ----------
    late
        Whether it was ended because it took too long or said too much.
    """

    code: int
    answer: bytes
    error: str
    seconds: float
    late: bool


class Process:
    """A process in a session of its own.

    Parameters
    ----------
    memory
        Bytes that it may use, where the system can limit that; 0 for no limit.

    Raises
    ------
    NoGitError
        It cannot be started.
    """

    def __init__(
        self, command: list[str], cwd: str, env: Mapping[str, str], stdin: bytes = b"", memory: int = 0
    ) -> None:
        self._begun = time.monotonic()
        try:
            self._process = _started(command, cwd, env, stdin)
        except OSError as error:
            raise NoGitError(f"git cannot be started ({error.strerror})") from error
        if memory and sys.platform == "linux":
            import resource

            with suppress(OSError):
                resource.prlimit(self._process.pid, resource.RLIMIT_DATA, (memory, memory))
        self._full = threading.Event()
        self._answer: list[bytes] = []
        self._error: list[bytes] = []
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=given, daemon=True)
            for given in ((self._process.stdout, self._answer), (self._process.stderr, self._error))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[bytes], parts: list[bytes]) -> None:
        size = 0
        while part := os.read(stream.fileno(), 1 << 16):
            parts.append(part)
            size += len(part)
            if size > LARGEST_ANSWER:
                self._full.set()
                self._kill()
                return

    def finish(self, limit: float, quiet: float, busy: float = math.inf) -> Done:
        """Wait until it ends, or kill it.

        Parameters
        ----------
        limit
            Seconds that it may take.
        quiet
            Seconds in which it may do nothing.
        busy
            Seconds of the processor that it may use.
        """
        late, used, since = False, 0.0, time.monotonic()
        for reader in self._readers:
            while reader.is_alive() and not late:
                reader.join(_STEP)
                now = time.monotonic()
                spent, working = _use(self._process.pid)
                if working or spent != used:
                    used, since = spent, now
                late = reader.is_alive() and (now > self._begun + limit or now > since + quiet or spent > busy)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if late else quiet)
        code = self._process.poll()
        self.end()
        seconds = time.monotonic() - self._begun
        answer, error = b"".join(self._answer), b"".join(self._error).decode("utf-8", "replace")
        return Done(code or 0, answer, error, seconds, late or code is None or self._full.is_set())

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it and all that it started."""
        # Who still holds its output is of its group, even where git itself has ended.
        if self._process.poll() is None or any(reader.is_alive() for reader in self._readers):
            self._kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(1)
        if not any(reader.is_alive() for reader in self._readers):
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()


def _started(command: list[str], cwd: str, env: Mapping[str, str], stdin: bytes) -> subprocess.Popen[bytes]:
    if not stdin:
        return _popen(command, cwd, env, subprocess.DEVNULL)
    # A file, not a pipe: nobody has to feed it while the answer is read.
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        return _popen(command, cwd, env, given)


def _popen(
    command: list[str], cwd: str, env: Mapping[str, str], stdin: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=cwd, env=env, stdin=stdin, stdout=pipe, stderr=pipe, start_new_session=True
    )


def _use(pid: int) -> tuple[float, bool]:
    """Return the seconds of the processor that a process used, and whether it works or waits for the disk now."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return 0.0, True  # no Linux, or it has just ended
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), fields[0] in "RD"
