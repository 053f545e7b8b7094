"""What git knows of a workspace: files that differ now, and the commits before."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from loom_jupyter.context.secrets import masked

WINDOW = 2000
LONGEST_MESSAGE = 4000
STATES = {
    "M": "modified", "A": "added", "D": "deleted", "R": "renamed", "C": "copied", "U": "in conflict",
    "T": "type changed",
}  # fmt: skip


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


def git(root: Path, *arguments: str, stdin: bytes | None = None) -> bytes | None:
    """Run git in `root`; None where there is no git, no repository, or git refuses."""
    command = ["git", "--no-optional-locks", "-C", os.fspath(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, input=stdin)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


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
        self.prefix = ""
        self._file = ""
        self._stamp: object = None
        self._names: list[str] | None = None

    def names(self) -> list[str] | None:
        """Return their names, each once; None where there is no work tree that can be used."""
        stamp = self._look()
        if stamp is None or stamp != self._stamp:
            where = git(Path(self.root), "rev-parse", "--show-prefix", "--git-path", "index")
            prefix, _, file = os.fsdecode(where or b"").removesuffix("\n").rpartition("\n")
            self.prefix, self._file = prefix, f"{self.root}/{file}" if not file.startswith("/") else file
            self._stamp = self._look()
            listed = git(Path(self.root), "ls-files", "-z") if where else None
            self._names = list(dict.fromkeys(_split(listed))) if listed is not None else None
        return self._names

    def _look(self) -> object:
        """Return what changes when git's index is written, or another repository takes over."""
        try:
            info = Path(self._file).stat()
            own = os.lstat(f"{self.root}/.git").st_ino if os.path.lexists(f"{self.root}/.git") else 0
        except OSError:
            return None
        return info.st_mtime_ns, info.st_size, info.st_ino, own


class Status:
    """A running ``git status``, which takes most of a refresh; other work can be done beside it."""

    def __init__(self, root: str) -> None:
        flags = ["--porcelain=v2", "--branch", "-z", "-uall", "--no-renames", "--ignore-submodules=all"]
        command = ["git", "--no-optional-locks", "-C", root, "status", *flags, "--", "."]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def finish(self, prefix: str) -> Working | None:
        """Wait for the answer; None where git refuses.

        Parameters
        ----------
        prefix
            The workspace's folder within its repository, with a slash; empty at the top.
        """
        answer, _ = self._process.communicate()
        if self._process.returncode:
            return None
        changed, untracked, head = dict[str, str](), list[str](), ""
        for entry in _split(answer):
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
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _split(answer: bytes) -> list[str]:
    return [os.fsdecode(part) for part in answer.split(b"\0") if part]


def commits(root: Path, known: Mapping[str, Commit]) -> list[Commit]:
    """Return the last commits that touch the workspace, newest first; those in `known` are not read again."""
    listing = git(root, "rev-list", "--no-merges", "-n", str(WINDOW), "HEAD", "--", ".")
    shas = listing.decode().split() if listing else []
    missing = [sha for sha in shas if sha not in known]
    found = dict(known)
    if missing:
        found |= {c.sha: c for c in _details(root, missing)}
    return [found[sha] for sha in shas if sha in found]


def _details(root: Path, shas: Iterable[str]) -> list[Commit]:
    output = git(
        root, "log", "--no-walk=unsorted", "--stdin", "-z", "--name-status", "-M100%", "--relative",
        "--format=%x01%H%x02%at%x02%B%x03", stdin="\n".join(shas).encode(),
    )  # fmt: skip
    out = []
    for part in (output or b"").split(b"\x01")[1:]:
        text, _, names = part.partition(b"\x03")
        sha, when, message = text.decode("utf-8", "replace").split("\x02", 2)
        touched, renamed = _names(
            [n for n in names.decode("utf-8", "surrogateescape").strip("\0\n").split("\0") if n]
        )
        out.append(Commit(sha, int(when or 0), masked(message.strip())[:LONGEST_MESSAGE], touched, renamed))
    return out


def _names(parts: list[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Read the list of status and names."""
    touched: list[str] = []
    renamed: list[tuple[str, str]] = []
    rest = iter(parts)
    for status in rest:
        name = next(rest, "")
        if status.lstrip("\n")[:1] in "RC":
            renamed.append((name, next(rest, "")))
        elif name:
            touched.append(name)
    return tuple(touched), tuple(renamed)
