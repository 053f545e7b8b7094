"""The few writes that Accept and Undo are made of, each on disk before the next begins."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

PRIVATE, USUAL = 0o600, 0o666
"""Modes of a new file, before the system takes away what the user's umask forbids."""
# A file that is there already, or a link, is never written through. (Windows knows no such flag.)
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
# Attributes that only the system, or root, may set.
_NOT_KEPT = frozenset({errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENODATA, errno.EINVAL})


def _call(function: Callable[..., Any], *args: Any) -> Any:
    """Make one system call; the fault tests fail it."""
    return function(*args)


def create(file: Path | str, mode: int, folder: int | None = None) -> int:
    """Open a file that is not there yet for writing, in the open folder if one is given."""
    handle: int = _call(_create, file, mode, folder)
    return handle


def _create(file: Path | str, mode: int, folder: int | None) -> int:
    return os.open(file, _CREATE, mode, dir_fd=folder)


def fill(handle: int, data: bytes) -> None:
    """Write all bytes to an open file."""
    view = memoryview(data)
    while view:
        view = view[_call(os.write, handle, view) :]


def write(file: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Write a file that is not there yet, and wait until it is on disk."""
    handle = create(file, mode)
    try:
        fill(handle, data)
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


def dress(new: int, old: int) -> None:
    """Give an open file the owner, attributes and permissions of the one that it replaces."""
    found = os.fstat(old)
    # Only root may give files away; others keep their own name on it.
    with contextlib.suppress(PermissionError):
        _call(os.chown, new, found.st_uid, found.st_gid)
    _copy_attributes(new, old)
    # Last, for a new owner costs a file its set-user bits.
    _call(os.chmod, new, stat.S_IMODE(found.st_mode))


def _copy_attributes(new: int, old: int) -> None:
    if not hasattr(os, "listxattr"):
        return
    try:
        names = os.listxattr(old)
    except OSError as error:
        if error.errno in _NOT_KEPT:
            return
        raise
    for name in names:
        try:
            _call(os.setxattr, new, name, os.getxattr(old, name))
        except OSError as error:
            if error.errno not in _NOT_KEPT:
                raise
