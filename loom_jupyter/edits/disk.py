"""The few writes that Accept and Undo are made of, each on disk before the next begins."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRIVATE, USUAL = 0o600, 0o666
"""Modes of a new file, before the system takes away what the user's umask forbids."""
# A file that is there already, or a link, is never written through. (Windows knows no such flag.)
_ANEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def _call(function: Callable[..., Any], *args: Any) -> Any:
    """Make one system call; the fault tests fail it."""
    return function(*args)


def write(file: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Write a file that is not there yet, and wait until it is on disk."""
    handle = _call(os.open, file, _ANEW, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[_call(os.write, handle, view) :]
        _call(os.fsync, handle)
    finally:
        os.close(handle)


def store(file: Path, data: bytes) -> None:
    """Write a file of Loom's own, in a folder of its own, where an earlier attempt may have left one."""
    remove(file)
    write(file, data)


def replace(temporary: Path, file: Path) -> None:
    """Put a written file in another's place, in one step."""
    _call(os.replace, temporary, file)
    sync(file.parent)


def remove(file: Path) -> None:
    """Remove a file if it is there."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        _call(os.unlink, file)
        sync(file.parent)


def sync(folder: Path) -> None:
    """Wait until a folder's entries are on disk."""
    if os.name != "posix":
        return
    handle = _call(os.open, folder, os.O_RDONLY)
    try:
        _call(os.fsync, handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make one folder, unless it is there."""
    with contextlib.suppress(FileExistsError):
        _call(os.mkdir, folder, mode)
        sync(folder.parent)


def make_folders(folder: Path, mode: int) -> None:
    """Make a folder and those above it, unless they are there."""
    for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        make_folder(missing, mode)


def remove_folder(folder: Path) -> None:
    """Remove a folder if it is empty."""
    with contextlib.suppress(OSError):
        _call(os.rmdir, folder)
        sync(folder.parent)


def dress(temporary: Path, like: Path) -> None:
    """Give a new file the permissions, attributes and owner of the one that it replaces, if there is one."""
    if like.exists():
        _call(shutil.copystat, like, temporary)
        found = like.stat()
        # Only root may give files away; others keep their own name on it.
        with contextlib.suppress(PermissionError, AttributeError):
            _call(os.chown, temporary, found.st_uid, found.st_gid)
        # Again, for a new owner costs a file its set-user bits.
        _call(os.chmod, temporary, stat.S_IMODE(found.st_mode))
    # Build tools must see that the content is new.
    _call(os.utime, temporary)
