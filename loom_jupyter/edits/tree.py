"""Files below one open folder, reached without following a link, whatever somebody else did to the folder.

Every operation starts at an open descriptor of the folder and looks at each name on the way without following it,
so that a folder replaced by a link leads nowhere. Nothing above the folder is ever changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_O_PATH = getattr(os, "O_PATH", 0)
_FICLONE = 0x40049409


class Tree:
    """A folder of ours, held open.

    Parameters
    ----------
    root
        Its path; a real folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.fd = os.open(root, _FOLDER)
        found = os.fstat(self.fd)
        self._identity = found.st_dev, found.st_ino
        self._clones = True

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self.fd)

    @property
    def in_place(self) -> bool:
        """Whether its path still leads to it."""
        try:
            found = os.lstat(self.root)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    @contextlib.contextmanager
    def parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """Open the folder of a file; yield its descriptor and the file's name.

        Parameters
        ----------
        make
            Make folders that are missing, and put a folder in the place of anything else.

        Raises
        ------
        OSError
            If there is no such folder, or a link or file is in its place.
        """
        *folders, name = path.split("/")
        fd = os.dup(self.fd)
        try:
            for folder in folders:
                inner = _enter(fd, folder, make=make)
                os.close(fd)
                fd = inner
            yield fd, name
        finally:
            os.close(fd)

    def stat(self, path: str) -> os.stat_result | None:
        """Look at a file or link; None if it cannot be reached."""
        try:
            with self.parent(path) as (fd, name):
                return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            return None

    def remove(self, path: str) -> None:
        """Remove whatever is there, with all it holds; nothing happens where nothing can be reached."""
        try:
            with self.parent(path) as (fd, name):
                remove(fd, name)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise

    def remove_named(self, folder: str, beginning: str) -> None:
        """Remove what a folder holds under names that begin so; anything but a real folder is removed itself."""
        try:
            with self.parent(f"{folder}/x") as (fd, _):
                for name in os.listdir(fd):
                    if name.startswith(beginning):
                        remove(fd, name)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            self.remove(folder)

    def names(self) -> list[str]:
        """List what the folder holds."""
        return os.listdir(self.fd)

    def read(self, path: str, most: int) -> bytes:
        """Read a regular file's first bytes.

        Raises
        ------
        OSError
            If it cannot be read, or is not a regular file.
        """
        with self.parent(path) as (fd, name):
            # Without waiting, for it could be a FIFO.
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        with os.fdopen(file, "rb") as stream:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            return stream.read(most)

    def write(self, path: str, data: bytes, mode: int | None = None) -> None:
        """Put a new file there, in place of what is there."""
        with self.parent(path, make=True) as (fd, name):
            remove(fd, name)
            file = os.open(name, _NEW, 0o666, dir_fd=fd)
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
                if mode is not None:
                    os.fchmod(file, mode)

    def link(self, path: str, goal: str) -> None:
        """Put a symbolic link there."""
        with self.parent(path, make=True) as (fd, name):
            remove(fd, name)
            os.symlink(goal, name, dir_fd=fd)

    def copy(self, source: Path, path: str, *, now: bool = False) -> None:
        """Copy a regular file there with its permissions, sharing blocks where the file system can (reflink).

        Parameters
        ----------
        now
            Give the copy the present time, so that build tools see a change; else that of the file.

        Raises
        ------
        OSError
            If it cannot be read, or is not a regular file.
        """
        # Without waiting, for it could be a FIFO.
        old = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(old, "rb") as reading:
            info = os.fstat(old)
            if not stat.S_ISREG(info.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", str(source))
            with self.parent(path, make=True) as (fd, name):
                remove(fd, name)
                with os.fdopen(os.open(name, _NEW, 0o600, dir_fd=fd), "wb") as writing:
                    if not self._clone(old, writing.fileno()):
                        shutil.copyfileobj(reading, writing, 1 << 20)
                    writing.flush()
                    os.fchmod(writing.fileno(), stat.S_IMODE(info.st_mode))
                    if not now:
                        os.utime(writing.fileno(), ns=(info.st_atime_ns, info.st_mtime_ns))

    def _clone(self, old: int, new: int) -> bool:
        if self._clones and os.name == "posix":
            import fcntl

            try:
                fcntl.ioctl(new, _FICLONE, old)
            except OSError:
                self._clones = False
            return self._clones
        return False

    def clear(self) -> None:
        """Remove all that the folder holds."""
        os.fchmod(self.fd, 0o700)
        empty(self.fd)


def _enter(fd: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=fd)
    except PermissionError:
        chmod(fd, name, 0o700)
        return os.open(name, _FOLDER, dir_fd=fd)
    except OSError as error:
        if not make or error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        if error.errno != errno.ENOENT:
            os.unlink(name, dir_fd=fd)
        os.mkdir(name, dir_fd=fd)
        return os.open(name, _FOLDER, dir_fd=fd)


@contextlib.contextmanager
def open_folder(fd: int, name: str) -> Iterator[int]:
    """Open a folder of an open folder, never what a link leads to."""
    inner = os.open(name, _FOLDER, dir_fd=fd)
    try:
        yield inner
    finally:
        os.close(inner)


def chmod(fd: int, name: str, mode: int) -> None:
    """Change the permissions of a folder, never of what a link leads to."""
    if not _O_PATH:
        os.chmod(name, mode, dir_fd=fd, follow_symlinks=False)
        return
    held = os.open(name, _O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        if stat.S_ISDIR(os.fstat(held).st_mode):
            os.chmod(f"/proc/self/fd/{held}", mode)
    finally:
        os.close(held)


def remove(fd: int, name: str) -> None:
    """Remove a name of an open folder, with all below it; links are removed, not followed."""
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=fd)
            return
    except FileNotFoundError:
        return
    chmod(fd, name, 0o700)
    with open_folder(fd, name) as inner:
        empty(inner)
    os.rmdir(name, dir_fd=fd)


def empty(fd: int) -> None:
    """Remove all that an open folder holds, however deep: folders are moved up into it before they are emptied."""
    pending, number = _unlink_files(fd), 0
    while pending:
        name = pending.pop()
        with open_folder(fd, name) as inner:
            for folder in _unlink_files(inner):
                while _taken(fd, moved := f".loom-removed-{number}"):
                    number += 1
                os.rename(folder, moved, src_dir_fd=inner, dst_dir_fd=fd)
                pending.append(moved)
        os.rmdir(name, dir_fd=fd)


def _unlink_files(fd: int) -> list[str]:
    """Remove what is no folder; return the folders, now open to their owner."""
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, folder in found:
        if folder:
            chmod(fd, name, 0o700)
        else:
            os.unlink(name, dir_fd=fd)
    return [name for name, folder in found if folder]


def _taken(fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def erase(root: str) -> None:
    """Remove a folder by its path; what a link in its place leads to stays."""
    above, name = os.path.split(root)
    fd = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove(fd, name)
    finally:
        os.close(fd)
