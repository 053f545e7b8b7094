"""The few writes that Accept and Undo are made of, each on disk before the next begins."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _call(function: Callable[..., Any], *args: Any) -> Any:
    """Make one system call; the fault tests fail it."""
    return function(*args)


def write(file: Path, data: bytes) -> None:
    """Write a file that no one reads yet, and wait until it is on disk."""
    handle = _call(os.open, file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[_call(os.write, handle, view) :]
        _call(os.fsync, handle)
    finally:
        os.close(handle)


def replace(temporary: Path, file: Path) -> None:
    """Put a written file in another's place, in one step."""
    _call(os.replace, temporary, file)
    sync(file.parent)


def remove(file: Path) -> None:
    """Remove a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        _call(os.unlink, file)
        sync(file.parent)


def sync(folder: Path) -> None:
    """Wait until a folder's entries are on disk."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        _call(os.fsync, handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make one folder, unless it is there."""
    with contextlib.suppress(FileExistsError):
        _call(os.mkdir, folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder if it is empty."""
    with contextlib.suppress(OSError):
        _call(os.rmdir, folder)


def dress(temporary: Path, like: Path | None, mode: int | None) -> None:
    """Give a new file the permissions, attributes and owner of the one that it replaces."""
    if like is not None and like.exists():
        shutil.copystat(like, temporary)
        found = like.stat()
        # Only root may give files away; others keep their own name on it.
        with contextlib.suppress(PermissionError, AttributeError):
            os.chown(temporary, found.st_uid, found.st_gid)
    if mode is None:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    temporary.chmod(mode)
    # Build tools must see that the content is new.
    os.utime(temporary)
