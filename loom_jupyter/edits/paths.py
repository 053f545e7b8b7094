"""Which files may be written: regular ones inside the workspace, reached without a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_core import paths

from loom_jupyter.errors import ForbiddenPathError

LONGEST_NAME = 255
"""Bytes of one name; what common file systems take."""
# What file systems leave out or read as something else: macOS these signs, Windows a short name and the rest.
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_DRIVE = re.compile(r"[A-Za-z]:(/|$)")
_GIT = frozenset({".git", "git~1"})
# What is private of a folder of Jupyter's, IPython's or Loom's.
_KEPT_BY_JUPYTER = (
    *("loom", "runtime", "security", "serverconfig", "profile_default", "nbsignatures.db", "notebook_secret"),
    *("jupyter_server_config.json", "jupyter_server_config.py", "jupyter_notebook_config.json"),
    *("jupyter_notebook_config.py", "jupyter_cookie_secret"),
)


def resolve(root: Path, path: str) -> Path:
    """Turn a map's path into a file that may be written, or refuse.

    Parameters
    ----------
    root
        Workspace, or its staged copy.
    path
        POSIX path relative to it, in its only spelling (no ``./``, no ``//``). The file need not exist.

    Raises
    ------
    ForbiddenPathError
        The path is absolute, climbs out, passes through a link, lies in ``.git``, is no regular file or cannot
        be looked at.
    """
    parts = PurePosixPath(path).parts
    _check_name(root, path, parts)
    place = root
    for number, part in enumerate(parts, 1):
        place = place / part
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            break
        except NotADirectoryError as error:
            raise ForbiddenPathError(f"{path} lies below a file; name another folder.") from error
        except OSError as error:
            raise ForbiddenPathError(
                f"{path} cannot be reached ({error.strerror}); check the permissions of its folder."
            ) from error
        _check_mode(path, mode, last=number == len(parts))
    return root.joinpath(*parts)


def _check_name(root: Path, path: str, parts: tuple[str, ...]) -> None:
    """Refuse what any system could read as another place, whatever this one does."""
    climbs = any(not part.rstrip(" .") for part in parts)
    if not parts or climbs or path.startswith("/") or not {"\0", "\\"}.isdisjoint(path) or _DRIVE.match(path):
        raise ForbiddenPathError(f"{path!r} does not lie inside the workspace; name a file below {root}.")
    if any(_UNSEEN.sub("", part).partition(":")[0].rstrip(" .").lower() in _GIT for part in parts):
        raise ForbiddenPathError(f"{path!r} belongs to git's own files, which Loom never changes.")
    try:
        longest = max(len(part.encode()) for part in parts)
    except UnicodeEncodeError as error:
        raise ForbiddenPathError(f"{path!r} is not valid text; rename the file.") from error
    if longest > LONGEST_NAME:
        raise ForbiddenPathError(f"{path} has a name longer than {LONGEST_NAME} bytes; choose a shorter one.")
    if path != (normal := PurePosixPath(path).as_posix()):
        raise ForbiddenPathError(f"{path!r} is not the file's only spelling; write it as {normal}.")


def _check_mode(path: str, mode: int, *, last: bool) -> None:
    if stat.S_ISLNK(mode):
        raise ForbiddenPathError(f"{path} is reached through a symbolic link; name the file it points to.")
    if last and stat.S_ISDIR(mode):
        raise ForbiddenPathError(f"{path} is a folder; name a file.")
    if last and not stat.S_ISREG(mode):
        raise ForbiddenPathError(f"{path} is not a regular file and cannot be edited.")


def jupyter_places() -> list[str]:
    """List what Jupyter, IPython and Loom keep: tokens, connection files, settings, runs."""
    places = [
        *(paths.jupyter_data_dir(), paths.jupyter_runtime_dir(), paths.jupyter_config_dir()),
        *(os.environ.get("IPYTHONDIR") or "~/.ipython", "/etc/jupyter", f"{sys.prefix}/etc/jupyter"),
    ]
    found = [str(Path(place).expanduser().resolve()) for place in places]
    # By name too, for a place that holds the workspace cannot be hidden as a whole.
    return found + [f"{place}/{name}" for place in found for name in _KEPT_BY_JUPYTER]


# The few writes that Accept and Undo are made of, each on disk before the next begins.

PRIVATE, DEFAULT_MODE = 0o600, 0o666
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
