"""What git knows of a workspace: files that differ now, and the commits before."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

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


def changed(root: Path) -> dict[str, str]:
    """Return the files that differ from the last commit, with how; paths relative to `root`."""
    out: dict[str, str] = {}
    listing = git(root, "status", "--porcelain", "-z", "-uall", "--no-renames", "--ignore-submodules", ".")
    prefix = git(root, "rev-parse", "--show-prefix")
    if listing is None or prefix is None:
        return out
    head = os.fsdecode(prefix).rstrip("\n")
    for entry in listing.split(b"\0"):
        if len(entry) < 4:
            continue
        code, path = entry[:2].decode(), os.fsdecode(entry[3:])
        if path.startswith(head):
            out[path[len(head) :]] = "untracked" if code == "??" else STATES.get(code.strip()[:1], "changed")
    return out


def head(root: Path) -> str:
    """Return the id of the current commit; empty where there is none."""
    return (git(root, "rev-parse", "-q", "--verify", "HEAD") or b"").decode().strip()


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
        out.append(Commit(sha, int(when or 0), message.strip()[:LONGEST_MESSAGE], touched, renamed))
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
