"""What git knows of a workspace: files that differ now, and the commits before."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from loom_jupyter.context import git
from loom_jupyter.context.repository import Repository
from loom_jupyter.secrets import masked

WINDOW = 2000
LONGEST_MESSAGE = 4000
STATES = {
    "M": "modified", "A": "added", "D": "deleted", "R": "renamed", "C": "copied", "U": "in conflict",
    "T": "type changed",
}  # fmt: skip
# A message may hold the signs that divide the answer, so a commit begins where its id follows.
_BEGINS = re.compile(rb"\x01(?=[0-9a-f]{40,64}\x02)")


class Commit(NamedTuple):
    """A commit that is no merge.

    Attributes
    ----------
    time
        Author's time in seconds since the epoch.
    touched
        Paths relative to the workspace, as the commit named them.
    renamed
        Old and new path of each file that it only moved.
    """

    sha: str
    time: int
    message: str
    touched: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()


class Working(NamedTuple):
    """How a git work tree differs from the last commit.

    Attributes
    ----------
    changed
        Files that differ, with how.
    untracked
        Those of them that git does not track but would; a nested repository is one name.
    head
        Id of the current commit; empty where there is none.
    """

    changed: dict[str, str]
    untracked: list[str]
    head: str


class Tracked:
    """The files below a workspace that git tracks; listed again only when git's own index was written."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.repository: Repository | None = None
        self._stamp: object = None
        self._names: list[str] = []

    @property
    def prefix(self) -> str:
        """The workspace's folder within its repository, with a slash; empty at the top."""
        top = self.repository.top if self.repository is not None else self.root
        return f"{os.path.relpath(self.root, top)}/" if top != self.root else ""

    def look(self) -> Repository | None:
        """Return the workspace's repository as it is now; None without one.

        Raises
        ------
        NoGitError
            There is one that git cannot or may not be asked about.
        """
        self.repository = git.find(self.root)
        return self.repository

    def names(self) -> list[str]:
        """Return their names, each once.

        Raises
        ------
        NoGitError
            Git does not answer.
        """
        at = self.repository
        if at is None:
            return []
        stamp = _stamp(at)
        if stamp is None or stamp != self._stamp:
            self._names = list(dict.fromkeys(_split(git.ask(at, "ls-files", "-z", cwd=self.root))))
            self._stamp = stamp
        return self._names


def _stamp(at: Repository) -> object:
    """Return what changes when git's index is written, or another repository takes over."""
    try:
        info = Path(at.folder, "index").stat()
    except OSError:
        return None
    return at.folder, info.st_mtime_ns, info.st_size, info.st_ino


class Status:
    """A running ``git status``, which takes most of a refresh; other work can be done meanwhile."""

    def __init__(self, at: Repository, root: str) -> None:
        flags = ["--porcelain=v2", "--branch", "-z", "-uall", "--no-renames", "--ignore-submodules=all"]
        self._call = git.Call(at, "status", *flags, "--", ".", cwd=root)

    def finish(self, prefix: str) -> Working:
        """Wait for the answer.

        Parameters
        ----------
        prefix
            The workspace's folder within its repository, with a slash; empty at the top.

        Raises
        ------
        NoGitError
            Git refuses or does not answer.
        """
        changed, untracked, head = dict[str, str](), list[str](), ""
        for entry in _split(self._call.finish()):
            kind, _, rest = entry.partition(" ")
            if kind == "#" and rest.startswith("branch.oid "):
                head = rest.removeprefix("branch.oid ").replace("(initial)", "")
            elif kind in ("1", "u", "?"):
                path = rest.split(" ", {"1": 7, "u": 9, "?": 0}[kind])[-1].removeprefix(prefix)
                changed[path] = "untracked" if kind == "?" else STATES.get(rest[:2].strip(".")[:1], "changed")
                if kind == "?":
                    untracked.append(path)
        return Working(changed, untracked, head)

    def stop(self) -> None:
        """End git if it is still at it."""
        self._call.stop()


def _split(answer: bytes) -> list[str]:
    return [os.fsdecode(part) for part in answer.split(b"\0") if part]


def commits(at: Repository, root: Path, known: Mapping[str, Commit]) -> list[Commit]:
    """Return the last commits that touch the workspace, newest first; those in `known` are not read again.

    Raises
    ------
    NoGitError
        Git cannot read them.
    """
    listing = git.ask(at, "rev-list", "--no-merges", "-n", str(WINDOW), "HEAD", "--", ".", cwd=os.fspath(root))
    shas = listing.decode().split()
    missing = [sha for sha in shas if sha not in known]
    found = dict(known)
    if missing:
        found |= {c.sha: c for c in _details(at, root, missing)}
    return [found[sha] for sha in shas if sha in found]


def _details(at: Repository, root: Path, shas: Iterable[str]) -> list[Commit]:
    output = git.ask(
        at, "log", "--no-walk=unsorted", "--stdin", "-z", "--name-status", "-M100%", "--relative",
        "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-mailmap", "--encoding=UTF-8",
        "--format=%x01%H%x02%at%x02%B%x03", cwd=os.fspath(root), stdin="\n".join(shas).encode(),
    )  # fmt: skip
    return list(_commits(output))


def _commits(output: bytes) -> Iterator[Commit]:
    """Read what ``git log`` says; a message may hold any bytes, and so may a name."""
    for part in _BEGINS.split(output)[1:]:
        # Nothing that comes before can hold a zero byte.
        text, _, names = part.partition(b"\x03\0")
        sha, _, rest = text.decode("utf-8", "replace").partition("\x02")
        when, _, message = rest.partition("\x02")
        touched, renamed = _names([os.fsdecode(name) for name in names.strip(b"\0\n").split(b"\0") if name])
        yield Commit(sha, _seconds(when), masked(message.strip())[:LONGEST_MESSAGE], touched, renamed)


def _seconds(when: str) -> int:
    # A crafted commit can hold any number; the store takes 64 bits.
    return int(when) if when.isdigit() and len(when) <= 15 else 0


def _names(parts: list[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Read the list of status and names; names that are not UTF-8 are left out, for no indexed file has one."""
    touched: list[str] = []
    renamed: list[tuple[str, str]] = []
    rest = iter(parts)
    for status in rest:
        name = next(rest, "")
        if status.lstrip("\n")[:1] in "RC":
            renamed.append((name, next(rest, "")))
        elif name:
            touched.append(name)
    return tuple(filter(is_utf8, touched)), tuple(pair for pair in renamed if all(map(is_utf8, pair)))


def is_utf8(name: str) -> bool:
    """Whether a name of a file is valid UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
