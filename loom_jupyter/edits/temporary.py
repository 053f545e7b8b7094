"""Temporary folders that do not outlive their process: named by it, removed when it ends, however it ends.

A process that is killed cannot clean up. A shell that waits for its end does (`Janitor`), and what even that
leaves (a machine that lost power) the next process sweeps: a folder whose owner lives is locked.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from loom_jupyter.edits import tree

_NAME = re.compile(r"loom-\d+-\d+-[0-9a-f]{8}")
# It waits without cost; only at the end does it become a Python, which removes the folder.
_WAIT = 'read done || exec "$@"'
_ERASE = "import sys; sys.path.append(sys.argv[1]); import tree; tree.erase(sys.argv[2])"

_log = logging.getLogger(__name__)


def new_place() -> Path:
    """Return a path for a folder of this process; nothing is made."""
    return Path(tempfile.gettempdir(), f"loom-{os.getpid()}-{_started(os.getpid())}-{secrets.token_hex(4)}")


@functools.cache
def _started(process: int) -> int:
    return int(psutil.Process(process).create_time())


def lock(fd: int) -> bool:
    """Mark an open folder as in use until it is closed or the process ends; False if another marked it."""
    try:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (OSError, ImportError):
        return False
    return True


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for a while; it goes even if this process is killed."""
    place = new_place()
    place.mkdir(mode=0o700)
    janitor, held = Janitor(place), tree.Tree(place)
    lock(held.fd)
    try:
        yield place
    finally:
        tree.erase(str(place))
        held.close()
        janitor.dismiss()


def sweep() -> None:
    """Remove what processes of this user left that ended without cleaning up."""
    if os.name != "posix":
        return
    base = tempfile.gettempdir()
    with os.scandir(base) as entries:
        found = [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
    for name in found:
        try:
            _sweep_one(Path(base, name))
        except OSError as error:
            _log.warning("%s was left by an earlier process and cannot be removed: %s", Path(base, name), error)


def _sweep_one(place: Path) -> None:
    info = place.lstat()
    if info.st_uid != os.getuid():
        return
    try:
        left = tree.Tree(place)
    except NotADirectoryError:
        return
    try:
        if lock(left.fd):
            tree.erase(str(place))
    finally:
        left.close()


class Janitor:
    """Removes a folder when this process ends; to be dismissed once the folder is gone."""

    def __init__(self, place: Path) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        if os.name == "posix":
            erase = [sys.executable, "-I", "-S", "-c", _ERASE, str(Path(__file__).parent), str(place)]
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _WAIT, "loom-janitor", *erase],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,  # what ends a kernel's process group must not end this
            )

    def dismiss(self) -> None:
        """Tell it that there is nothing to do."""
        if self._shell is not None and self._shell.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._shell.stdin.write(b"\n")
                self._shell.stdin.flush()
            self._shell.stdin.close()
            self._shell.wait()
