"""Files of a workspace, read without following links: what a repository names is never a file outside it."""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple

LARGEST = 64 << 20
"""Bytes of a file that are read at most; the scan leaves out what is larger than a part of this."""
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Read(NamedTuple):
    """What a file held, with its size and time at that moment."""

    data: bytes
    size: int
    mtime_ns: int


def plain(path: str) -> bool:
    """Whether a path can only mean a place below the folder that it is relative to, and none of git's own."""
    parts = path.split("/")
    return not any(part in ("", ".", "..") or part.lower() == ".git" or "\0" in part for part in parts)


def read(root: str | os.PathLike[str], path: str, most: int = LARGEST) -> Read:
    """Return a regular file of at most so many bytes below `root`.

    Every folder on the way is opened without following links, so it does not matter who swaps them meanwhile.

    Raises
    ------
    OSError
        It is not there, leads elsewhere, is not a regular file, or is too large.
    """
    if not plain(path):
        raise OSError(errno.EPERM, "leads out of the workspace", path)
    *folders, name = path.split("/")
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, _FLAGS | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = inner
        handle = os.open(name, _FLAGS, dir_fd=at)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "symbolic link", path) from error
        raise
    finally:
        os.close(at)
    with os.fdopen(handle, "rb") as stream:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if info.st_size > most:
            raise OSError(errno.EFBIG, f"too large ({info.st_size:,} bytes)", path)
        return Read(stream.read(info.st_size), info.st_size, info.st_mtime_ns)


class Folders:
    """Folders of one scan: whether each is reached without a link; looked at once."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._real: dict[str, bool] = {"": True}

    def reach(self, path: str) -> bool:
        """Whether all folders above a path are real ones."""
        return self._is_real(path.rpartition("/")[0])

    def _is_real(self, folder: str) -> bool:
        known = self._real.get(folder)
        if known is None:
            outer, missing = folder, list[str]()
            while outer not in self._real:
                missing.append(outer)
                outer = outer.rpartition("/")[0]
            known = self._real[outer]
            for inner in reversed(missing):
                known = self._real[inner] = known and _is_real_folder(f"{self._root}/{inner}")
        return known


def _is_real_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return True  # whatever lies below cannot be read, and says so itself
