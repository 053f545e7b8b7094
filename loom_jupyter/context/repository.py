"""Repository: where git keeps a workspace's history, found and checked without running anything.

A repository may come from anybody. Which folders belong to it is decided here, by looking at names, owners and
links only; a folder that merely looks like a repository (an embedded bare one) is never taken for one, and a
``.git`` that leads out of the workspace counts only if it leads back.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

LARGEST_POINTER = 4096
"""Bytes of the small files that name a folder or a branch."""
LARGEST_INDEX = 2 << 30
LARGEST_LIST = 256 << 20
_HEAD = re.compile(r"(?:ref: (refs/[^\0\s]+)|[0-9a-f]{40}|[0-9a-f]{64})\s*")
# The files of git's folder that a call may need, with the most bytes each may have.
COMMON = {
    "packed-refs": LARGEST_LIST,
    "shallow": LARGEST_LIST,
    "info/exclude": 1 << 20,
    "info/attributes": 1 << 20,
    "info/sparse-checkout": 1 << 24,
}


class NoGitError(Exception):
    """Git cannot be asked about this folder; the message says why, in a few words."""


class Repository(NamedTuple):
    """A work tree and where its repository lies.

    Attributes
    ----------
    top
        The work tree: the folder that holds ``.git``.
    folder
        Git's own folder of this work tree, with HEAD and the index.
    common
        The one with objects and references; the same unless the work tree is a linked one.
    head
        What HEAD holds.
    """

    top: str
    folder: str
    common: str
    head: str


def find(base: str) -> Repository | None:
    """Return the repository of the innermost folder around `base` that holds a ``.git``; None without one.

    Raises
    ------
    NoGitError
        There is one that cannot be used.
    """
    place, device = base, os.lstat(base).st_dev
    while True:
        found = at(place)
        if found is not None:
            return found
        outer = os.fspath(Path(place).parent)
        if outer == place or os.lstat(outer).st_dev != device:
            return None
        place = outer


def at(top: str) -> Repository | None:
    """Return the repository whose ``.git`` lies in `top`.

    Raises
    ------
    NoGitError
        There is one that cannot be used.
    """
    own = f"{top}/.git"
    try:
        mode = Path(own).stat().st_mode
    except OSError:
        return None
    if stat.S_ISDIR(mode):
        folder = os.path.realpath(own)
        if not _is_repository(folder):
            return None
    else:
        folder = _named(own, top, "gitdir:")
        if not _is_repository(folder):
            raise NoGitError(f"{own} names {folder}, which is not a git repository")
    common = _common(folder)
    head = _text(f"{folder}/HEAD")
    found = _HEAD.fullmatch(head)
    if found is None:
        raise NoGitError(f"{folder}/HEAD is damaged")
    _check_links(folder, common, found[1])
    return Repository(top, folder, common, head)


def leads_back(repository: Repository, settings: Mapping[str, str]) -> bool:
    """Whether git's folder lies within the work tree or names it, so that nobody is lent another's history.

    Parameters
    ----------
    settings
        The repository's own.
    """
    top, folder = repository.top, repository.folder
    around, name, _ = f"{folder}/".rpartition("/.git/")
    while name:
        # Of this work tree, or of one around it: a submodule's.
        if f"{top}/".startswith(f"{around}/"):
            return True
        around, name, _ = around.rpartition("/.git/") if "/.git/" in around else ("", "", "")
    try:
        back = _text(f"{folder}/gitdir").strip()
    except NoGitError:
        back = ""
    if back and os.path.realpath(Path(folder, back)) == os.path.realpath(f"{top}/.git"):
        return True
    tree = settings.get("core.worktree", "")
    return bool(tree) and os.path.realpath(Path(repository.common, tree)) == top


def trusted(repository: Repository, safe: Collection[str]) -> bool:
    """Whether git would work here for this user: all is theirs, or they declared the folder safe.

    Parameters
    ----------
    safe
        The user's ``safe.directory``.
    """
    top = repository.top
    if all(map(_own, (f"{top}/.git", top, repository.folder))):
        return True
    return any(
        name == "*" or name.rstrip("/") == top or (name.endswith("/*") and f"{top}/".startswith(name[:-1]))
        for name in safe
    )


def checked(folder: str, names: Mapping[str, int]) -> dict[str, str]:
    """Return those of the files that are there, by name; a pipe, a device or too much is refused.

    Raises
    ------
    NoGitError
        One of them cannot be read.
    """
    found = {}
    for name, most in names.items():
        file = f"{folder}/{name}"
        try:
            info = Path(file).stat()
        except OSError:
            continue
        if not stat.S_ISREG(info.st_mode) or not os.path.realpath(file).startswith(f"{folder}/"):
            raise NoGitError(f"{file} is not a regular file")
        if info.st_size > most:
            raise NoGitError(f"{file} is too large ({info.st_size:,} bytes)")
        found[name] = file
    return found


def _own(path: str) -> bool:
    # Git's own switch for trying this out.
    if os.environ.get("GIT_TEST_ASSUME_DIFFERENT_OWNER", "0").lower() not in ("", "0", "false", "no", "off"):
        return False
    user = os.geteuid()
    owner = os.lstat(path).st_uid
    return owner == user or (user == 0 and os.environ.get("SUDO_UID", "") == str(owner))


def _is_repository(folder: str) -> bool:
    return os.path.lexists(f"{folder}/HEAD") and Path(_common(folder, ask=True), "objects").is_dir()


def _common(folder: str, *, ask: bool = False) -> str:
    """Return the folder with objects and references; of a linked work tree it is two above."""
    if not os.path.lexists(f"{folder}/commondir"):
        return folder
    common = _named(f"{folder}/commondir", folder)
    if ask or os.fspath(Path(folder).parent) == f"{common}/worktrees":
        return common
    raise NoGitError(f"{folder}/commondir leads to another repository")


def _named(file: str, base: str, before: str = "") -> str:
    """Return the folder that a small file names."""
    text = _text(file)
    if not text.startswith(before):
        raise NoGitError(f"{file} is damaged")
    return os.path.realpath(Path(base, text.removeprefix(before).strip()))


def _text(file: str) -> str:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise NoGitError(f"{file} is not a regular file")
            text = stream.read(LARGEST_POINTER + 1)
    except OSError as error:
        raise NoGitError(f"{file} cannot be read ({error.strerror})") from error
    if len(text) > LARGEST_POINTER or b"\0" in text:
        raise NoGitError(f"{file} is damaged")
    return os.fsdecode(text)


def _check_links(folder: str, common: str, branch: str | None) -> None:
    """Refuse links that lead out of git's folders, to somebody else's history."""
    for place in (f"{common}/objects", f"{common}/refs", f"{common}/{branch or 'refs'}", f"{folder}/HEAD"):
        real = os.path.realpath(place)
        if not real.startswith((f"{common}/", f"{folder}/")):
            raise NoGitError(f"{place} is a link that leads out of the repository")
        if place.endswith(f"/{branch}") and Path(real).exists() and not Path(real).is_file():
            raise NoGitError(f"{place} is not a regular file")
