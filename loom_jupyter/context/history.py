"""What git knows of a workspace: files that differ now, and the commits before."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    """A git work tree as it is.

    Attributes
    ----------
    names
        Files that git tracks or would track below the workspace; a nested repository is one name.
    changed
        Files that differ from the last commit, with how.
    head
        Id of the current commit; empty where there is none.
    """

    names: list[str]
    changed: dict[str, str]
    head: str


def working(root: Path) -> Working | None:
    """Ask git for the state of the work tree; None where there is none that can be used."""
    flags = ["--porcelain=v2", "--branch", "-z", "-uall", "--no-renames", "--ignore-submodules=all"]
    prefix = _prefix(root)
    status, tracked = _both(root, ["status", *flags, "--", "."], ["ls-files", "-z"])
    if prefix is None or status is None or tracked is None:
        return None
    names = [os.fsdecode(n) for n in tracked.split(b"\0") if n]
    seen, sha = dict[str, str](), ""
    for entry in os.fsdecode(status).split("\0"):
        kind, _, rest = entry.partition(" ")
        if kind == "#" and rest.startswith("branch.oid "):
            sha = rest.removeprefix("branch.oid ").replace("(initial)", "")
        elif kind in ("1", "u", "?"):
            path = rest.split(" ", {"1": 7, "u": 9, "?": 0}[kind])[-1].removeprefix(prefix)
            seen[path] = "untracked" if kind == "?" else STATES.get(rest[:2].strip(".")[:1], "changed")
            if kind == "?":
                names.append(path)
    return Working(names, seen, sha)


def _prefix(root: Path) -> str | None:
    """Return the workspace's folder within its repository, with a slash; empty at the top."""
    answer = git(root, "rev-parse", "--show-prefix")
    return os.fsdecode(answer).removesuffix("\n") if answer is not None else None


def _both(root: Path, first: Sequence[str], second: Sequence[str]) -> tuple[bytes | None, bytes | None]:
    """Run two git commands at the same time."""
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(git, root, *second)
        return git(root, *first), other.result()


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
