"""What git knows of a workspace: changed files now, commits before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

STATES = {
    "M": "modified",
    "A": "added",
    "D": "deleted",
    "R": "renamed",
    "C": "copied",
    "U": "in conflict",
    "T": "type changed",
}


def git(root: Path, *arguments: str, stdin: bytes | None = None) -> bytes | None:
    """Run git in `root`; None where there is no git, no repository, or git refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", os.fspath(root), *arguments], capture_output=True, check=False, input=stdin
        )
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
