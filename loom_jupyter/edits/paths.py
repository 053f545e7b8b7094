"""Which files may be written: regular ones inside the workspace, reached without a symbolic link."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from loom_jupyter.edits.errors import ForbiddenPathError


def resolve(root: Path, path: str) -> Path:
    """Turn a map's path into a file that may be written, or refuse.

    Parameters
    ----------
    root
        Workspace, or its staged copy.
    path
        POSIX path relative to it. The file need not exist.

    Raises
    ------
    ForbiddenPathError
        The path is absolute, climbs out, passes through a link, lies in ``.git`` or is no regular file.
    """
    parts = PurePosixPath(path).parts
    if not parts or "\0" in path or path.startswith("/") or ".." in parts:
        raise ForbiddenPathError(f"{path!r} does not lie inside the workspace; name a file below {root}.")
    if any(part.lower() == ".git" for part in parts):
        raise ForbiddenPathError(f"{path} belongs to git's own files, which Loom never changes.")
    place = root
    for number, part in enumerate(parts, 1):
        place = place / part
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            break
        except NotADirectoryError as error:
            raise ForbiddenPathError(f"{path} lies below a file; name another folder.") from error
        _check_mode(path, mode, last=number == len(parts))
    return root.joinpath(*parts)


def _check_mode(path: str, mode: int, *, last: bool) -> None:
    if stat.S_ISLNK(mode):
        raise ForbiddenPathError(f"{path} is reached through a symbolic link; name the file it points to.")
    if last and stat.S_ISDIR(mode):
        raise ForbiddenPathError(f"{path} is a folder; name a file.")
    if last and not stat.S_ISREG(mode):
        raise ForbiddenPathError(f"{path} is not a regular file and cannot be edited.")
