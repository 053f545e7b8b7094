"""Which files may be written: regular ones inside the workspace, reached without a symbolic link."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PurePosixPath

from loom_jupyter.errors import ForbiddenPathError

LONGEST_NAME = 255
"""Bytes of one name; what common file systems take."""
# What file systems leave out or read as something else: macOS these signs, Windows a short name and the rest.
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_DRIVE = re.compile(r"[A-Za-z]:(/|$)")
_GIT = frozenset({".git", "git~1"})


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
        raise ForbiddenPathError(f"{path!r} is no valid text; rename the file.") from error
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
