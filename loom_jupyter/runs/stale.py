"""Accept meets a file that changed since it was read: what the user is shown, and what can still be accepted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from loom_jupyter.context.context_map import Rewrite
from loom_jupyter.context.secrets import masked
from loom_jupyter.edits.apply import FileChange, apply, digest
from loom_jupyter.edits.conflict import ThreeWay, three_way
from loom_jupyter.edits.diff import unified_diff
from loom_jupyter.edits.errors import EditError, StaleFileError

READ = "read"
CONTEXT = 3
MOST_LINES = 120


def keep(folder: Path, changes: Iterable[FileChange]) -> None:
    """Keep the files of a proposal as they were read, to compare with what they will be."""
    for change in changes:
        if change.before is not None:
            (folder / READ).mkdir(mode=0o700, exist_ok=True)
            handle = os.open(folder / READ / digest(change.before), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(change.before)


def told(folder: Path, root: Path, rewrites: Sequence[Rewrite], error: StaleFileError) -> str:
    """Return a sentence, and below it the three versions of each file that changed; nothing is written.

    Parameters
    ----------
    rewrites
        All that was to be accepted.
    """
    by_path: dict[str, list[Rewrite]] = {}
    for rewrite in rewrites:
        by_path.setdefault(rewrite.target.path, []).append(rewrite)
    stale = [path for path, group in by_path.items() if _stale(root, group)] or [error.path]
    others = [path for path in by_path if path not in stale]
    advice = f"accept the other files by name ({', '.join(others)})" if others else "run the task again"
    changed = " and ".join(stale)
    head = f"{changed} changed since Loom read it, so nothing was written; compare below, or {advice}."
    views = [_view(folder, root, path, by_path[path]) for path in stale if path in by_path]
    return "\n\n".join([head, *filter(None, views)])


def _stale(root: Path, group: Sequence[Rewrite]) -> bool:
    try:
        apply(group, root)
    except StaleFileError:
        return True
    except EditError:
        return False
    return False


def _view(folder: Path, root: Path, path: str, group: Sequence[Rewrite]) -> str:
    """Return one file's three versions where they disagree; empty where they cannot be told."""
    try:
        present = (root / path).read_bytes()
    except OSError:
        present = None
    try:
        found = three_way(_change(folder, path, group), present)
    except (EditError, OSError) as error:
        return f"{path} cannot be compared ({error})."
    return masked(_text(found, present))


def _change(folder: Path, path: str, group: Sequence[Rewrite]) -> FileChange:
    """Make the proposal's change again, from the file as it was read."""
    sha256 = group[0].target.sha256
    with tempfile.TemporaryDirectory(prefix="loom-read-") as copy:
        file = Path(copy, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if sha256 is not None:
            file.write_bytes((folder / READ / sha256).read_bytes())
        return apply(group, Path(copy))[0]


def _text(found: ThreeWay, present: bytes | None) -> str:
    if present is None:
        return f"{found.path} was removed."
    if found.merged is not None:
        diff = "".join(d.text for d in unified_diff([found.merged]))
        return (
            f"{found.path}: your changes and the proposal do not touch. On your file it would be\n{diff.rstrip()}"
        )
    places = f"{found.conflicts} place{'s' * (found.conflicts != 1)}"
    return f"{found.path}: yours and the proposal disagree in {places}\n" + _around(found.text)


def _around(text: str) -> str:
    """Leave out what lies far from any mark."""
    lines = text.splitlines()
    near: set[int] = set()
    inside = False
    for n, line in enumerate(lines):
        inside = inside or line.startswith("<<<<<<< ")
        if inside:
            near.update(range(max(0, n - CONTEXT), n + CONTEXT + 1))
        inside = inside and not line.startswith(">>>>>>> ")
    out: list[str] = []
    for n, line in enumerate(lines):
        if n in near:
            out.append(line)
        elif out and out[-1] != "…":
            out.append("…")
    if len(out) > MOST_LINES:
        out = [*out[:MOST_LINES], f"… {len(out) - MOST_LINES} more lines"]
    return "\n".join(out)
