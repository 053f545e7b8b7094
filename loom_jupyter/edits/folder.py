"""Folders of the workspace, held open: what is done in one stays in it, wherever links are put meanwhile.

Every system call looks a path up again, so that a folder swapped for a link between two of them leads out of
the workspace. A folder that is open is the same one for every call. (Windows cannot work in an open folder; there
paths are used, and links need a privilege.)
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import stat
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from loom_jupyter.edits import paths
from loom_jupyter.errors import EditError, ForbiddenPathError

_BY_HANDLE = os.open in os.supports_dir_fd
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_ENTER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
# A FIFO would be waited for without O_NONBLOCK.
_READ = os.O_RDONLY | _NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CHUNK = 2**30
_EXCHANGE, _NO_REPLACE = (2, 4) if sys.platform == "darwin" else (2, 1)
# What systems and file systems answer that do not know a call, or hard links.
_UNKNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK})


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file that was read.

    Attributes
    ----------
    written
        Whether a program has it open for writing, where the system tells.
    """

    data: bytes
    info: os.stat_result
    written: bool


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder.

    Attributes
    ----------
    path
        How it was reached.
    handle
        Its descriptor; None where the system knows none.
    """

    path: Path
    handle: int | None

    @classmethod
    def open(cls, path: Path) -> Folder:
        """Open the folder a path leads to, through links or not."""
        return cls(path, os.open(path, _ENTER & ~_NO_LINK) if _BY_HANDLE else None)

    def close(self) -> None:
        """Let go of it."""
        if self.handle is not None:
            os.close(self.handle)

    def enter(self, name: str) -> Folder:
        """Open a folder in this one, unless it is a link."""
        path = self.path / name
        if self.handle is not None:
            return Folder(path, os.open(name, _ENTER, dir_fd=self.handle))
        if not stat.S_ISDIR(self.look(name).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        return Folder(path, None)

    def look(self, name: str) -> os.stat_result:
        """Look at what stands under a name; a link is not followed."""
        return os.stat(self.at(name), dir_fd=self.handle, follow_symlinks=False)

    def at(self, name: str) -> str:
        """Return what system calls take for a name in this folder."""
        return name if self.handle is not None else str(self.path / name)

    def open_file(self, name: str, path: str) -> int:
        """Open a regular file for reading, without waiting for a FIFO; errors call it by its path."""
        try:
            handle = os.open(self.at(name), _READ, dir_fd=self.handle)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise _not_regular(path) from error
            raise
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise _not_regular(path)
        return handle

    def read(self, name: str, path: str) -> Found | None:
        """Read a regular file; None where there is none of that name.

        Raises
        ------
        ForbiddenPathError
            It is a link, a folder, a FIFO or a device.
        """
        try:
            handle = self.open_file(name, path)
        except FileNotFoundError:
            return None
        try:
            # Asked first: who opens it later finds it under its name, not here.
            written = _written(handle)
            info = os.fstat(handle)
            # One call reads most files whole: one byte more than there are says whether that is all.
            chunk = min(info.st_size + 1, _CHUNK)
            parts = list(iter(lambda: os.read(handle, chunk), b""))
            return Found(parts[0] if len(parts) == 1 else b"".join(parts), info, written)
        finally:
            os.close(handle)

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        with contextlib.suppress(FileNotFoundError):
            paths._call(_unlink, self.at(name), self.handle)

    def move(self, name: str, to: str) -> None:
        """Give a file another name, which must be free."""
        paths._call(_rename, self.at(name), self.at(to), self.handle)

    def place(self, name: str, to: str) -> None:
        """Give a file another name in one step, or raise FileExistsError if that is taken."""
        if self._rename(name, to, _NO_REPLACE):
            return
        try:
            paths._call(_link, self.at(name), self.at(to), self.handle)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
        else:
            self.remove(name)
            return
        # Neither is known (FAT on old systems): a look and then the rename is the best there is.
        with contextlib.suppress(FileNotFoundError):
            self.look(to)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), to)
        self.move(name, to)

    def exchange(self, name: str, other: str) -> bool:
        """Let two files change places in one step; False, and nothing done, where that is not known."""
        return self._rename(name, other, _EXCHANGE)

    def _rename(self, name: str, to: str, how: int) -> bool:
        return self.handle is not None and bool(paths._call(rename_how, self.handle, name, to, how))

    def make(self, name: str) -> None:
        """Make a folder in this one, unless something is there."""
        with contextlib.suppress(FileExistsError):
            paths._call(_mkdir, self.at(name), self.handle)
            self.sync()

    def drop(self, name: str) -> None:
        """Remove a folder in this one if it is empty."""
        with contextlib.suppress(OSError):
            paths._call(_rmdir, self.at(name), self.handle)
            self.sync()

    def sync(self) -> None:
        """Wait until the folder's entries are on disk."""
        if self.handle is not None:
            paths._call(os.fsync, self.handle)


@contextlib.contextmanager
def holding(root: Folder, path: str, make: Collection[str] = ()) -> Iterator[Folder]:
    """Hold the folder of a file open, reached from the workspace step by step, never through a link.

    Parameters
    ----------
    path
        Of the file, relative to the workspace.
    make
        Those of its folders that are made if they are missing.

    Raises
    ------
    FileNotFoundError
        A folder is missing.
    ForbiddenPathError
        One is a link or no folder, or may not be entered.
    """
    *parents, _ = PurePosixPath(path).parts
    here, reached = root, PurePosixPath()
    try:
        for part in parents:
            reached = reached / part
            if reached.as_posix() in make:
                here.make(part)
            above, here = here, _enter(here, part, path)
            if above is not root:
                above.close()
        yield here
    finally:
        if here is not root:
            here.close()


def _enter(folder: Folder, name: str, path: str) -> Folder:
    try:
        return folder.enter(name)
    except FileNotFoundError:
        raise
    except OSError as error:
        why = f"cannot be reached ({error.strerror}); check the permissions of its folder."
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            why = "lies below a file; name another folder."
            with contextlib.suppress(OSError):
                if stat.S_ISLNK(folder.look(name).st_mode):
                    why = "is reached through a symbolic link; name the file it points to."
        raise ForbiddenPathError(f"{path} {why}") from error


def read(root: Path, path: str) -> Found | None:
    """Read a file of the workspace, never through a link; None where there is none.

    Raises
    ------
    ForbiddenPathError
        A link leads to it, or it is not a regular file.
    EditError
        It cannot be read.
    """
    try:
        folder = Folder.open(root)
    except OSError as error:
        raise EditError(f"{root} cannot be opened ({error.strerror}); check that it is still there.") from error
    try:
        return read_in(folder, path)
    finally:
        folder.close()


def read_in(root: Folder, path: str) -> Found | None:
    """Read a file as `read` does, in a workspace that is open."""
    try:
        with holding(root, path) as folder:
            return folder.read(PurePosixPath(path).name, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EditError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error


def _not_regular(path: str) -> ForbiddenPathError:
    return ForbiddenPathError(f"{path} is not a regular file and cannot be edited.")


def _written(handle: int) -> bool:
    """Whether a program has a file open for writing; False where the system does not tell.

    Linux grants a lease for reading only where nobody writes. It is given back at once, and the signal that would
    tell of its end is one that is ignored unless a program asks for it.
    """
    if not sys.platform.startswith("linux"):
        return False
    import fcntl
    import signal

    try:
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:  # a file of somebody else's, or a file system without leases
        return error.errno == errno.EAGAIN
    fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def rename_how(folder: int, name: str, to: str, how: int) -> bool:
    """Rename inside a folder without replacing, or exchange; False where the system does not know how."""
    function = _system_rename()
    if function is None:
        return False
    if function(folder, os.fsencode(name), folder, os.fsencode(to), how) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), name, None, to)


@functools.cache
def _system_rename() -> Callable[..., int] | None:
    """Return the C library's rename with flags: Linux's, or that of macOS; Python offers neither."""
    if not _BY_HANDLE:
        return None
    name = "renameatx_np" if sys.platform == "darwin" else "renameat2"
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return None
    text, number = ctypes.c_char_p, ctypes.c_int
    function.argtypes = (number, text, number, text, ctypes.c_uint)
    function.restype = number
    return function  # type: ignore[no-any-return]


def _unlink(name: str, folder: int | None) -> None:
    os.unlink(name, dir_fd=folder)


def _rename(name: str, to: str, folder: int | None) -> None:
    os.rename(name, to, src_dir_fd=folder, dst_dir_fd=folder)


def _link(name: str, to: str, folder: int | None) -> None:
    os.link(name, to, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)


def _mkdir(name: str, folder: int | None) -> None:
    os.mkdir(name, 0o777, dir_fd=folder)


def _rmdir(name: str, folder: int | None) -> None:
    os.rmdir(name, dir_fd=folder)
