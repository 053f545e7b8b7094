"""Accept meets a file that changed since it was read: what the user is shown, and what can still be accepted."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loom_jupyter.context.context_map import Rewrite
from loom_jupyter.edits import paths
from loom_jupyter.edits.apply import FileChange, apply, digest
from loom_jupyter.edits.diff import select, unified_diff
from loom_jupyter.edits.folder import read
from loom_jupyter.edits.merge import ThreeWay, three_way
from loom_jupyter.edits.paths import resolve
from loom_jupyter.errors import EditError, LoomError, StaleFileError
from loom_jupyter.runs.cell_proposal import change_digest
from loom_jupyter.secrets import masked

READ = "read"
CONTEXT = 3
MOST_LINES = 120


class NotShownError(LoomError):
    """What would be written is not what was put up for review."""


def keep(folder: Path, changes: Iterable[FileChange]) -> None:
    """Keep the files of a proposal as they were read, to compare with what they will be."""
    for change in changes:
        if change.before is not None:
            paths.make_folder(folder / READ, 0o700)
            paths.store(folder / READ / digest(change.before), change.before)


@dataclass(frozen=True)
class ConflictReport:
    """What a refused Accept says, and whether every change fits on top of the files as they are now."""

    text: str
    mergeable: bool


def changes(
    folder: Path,
    root: Path,
    rewrites: Sequence[Rewrite],
    hunks: Mapping[str, Collection[int]],
    shown: Mapping[str, str],
    *,
    merged: bool = False,
) -> list[FileChange]:
    """Compute what is to be written into the files as they are now.

    A notebook whose changed cells are as they were read may have been run, saved or edited elsewhere since.

    Parameters
    ----------
    hunks
        Of these files only these hunks.
    shown
        Digests of the changes that were shown for review, by path.
    merged
        Also take files that changed, where the changes do not touch.

    Raises
    ------
    StaleFileError
        A file changed since it was read, and the change cannot be put on top of it, or was not asked to be.
    NotShownError
        A change is not the one that was shown.
    """
    return [
        _fitted(folder, root, group, hunks.get(path), shown.get(path), merged)
        for path, group in sorted(_by_path(rewrites).items())
    ]


def _fitted(
    folder: Path,
    root: Path,
    group: Sequence[Rewrite],
    hunks: Collection[int] | None,
    shown: str | None,
    merged: bool,
) -> FileChange:
    try:
        change = _as_shown(apply(group, root)[0], shown)
        return change if hunks is None else select(change, hunks)
    except StaleFileError:
        found = _joined(folder, root, group, hunks, shown)
        if found is None or found.merged is None or not (merged or found.intact):
            raise
        return found.merged


def _as_shown(change: FileChange, shown: str | None) -> FileChange:
    """Refuse a change that is not the one under review: what it is derived from may have been rewritten since."""
    if change.before != change.after and change_digest(change) != shown:
        raise NotShownError(
            f"{change.path} would not become what was shown, because the run's files were changed; nothing was "
            "written, so run the task again."
        )
    return change


def _joined(
    folder: Path, root: Path, group: Sequence[Rewrite], hunks: Collection[int] | None, shown: str | None
) -> ThreeWay | None:
    """Put a change on top of its file as it is now; None where that, or what was read, is gone."""
    try:
        change, present = _as_shown(_change(folder, group), shown), read(root, group[0].target.path)
        if present is None:
            return None
        mode = stat.S_IMODE(present.info.st_mode)
        chosen = change if hunks is None else select(change, hunks)
        return three_way(replace(chosen, mode=mode), present.data)
    except (EditError, OSError):  # the caller tells why
        return None


def conflict_report(
    folder: Path, root: Path, rewrites: Sequence[Rewrite], error: StaleFileError
) -> ConflictReport:
    """Return a sentence, and below it the three versions of each file that changed; nothing is written.

    Parameters
    ----------
    rewrites
        All that was to be accepted.
    """
    by_path = _by_path(rewrites)
    stale = [path for path, group in by_path.items() if _stale(root, group)] or [error.path]
    others = [path for path in by_path if path not in stale]
    views = [_view(folder, root, by_path[path]) for path in stale if path in by_path]
    fits = all(view.mergeable for view in views)
    choices = ["accept merged (`%loom accept --merged`)"] if fits else []
    choices += [f"accept the other files by name ({', '.join(others)})"] if others else ["run the task again"]
    changed = " and ".join(stale)
    head = f"{changed} changed since Loom read it, so nothing was written; compare below, {_or(choices)}."
    return ConflictReport("\n\n".join([head, *(view.text for view in views if view.text)]), fits)


def _or(choices: Sequence[str]) -> str:
    return ", ".join(f"or {choice}" for choice in choices)


def _by_path(rewrites: Iterable[Rewrite]) -> dict[str, list[Rewrite]]:
    groups: dict[str, list[Rewrite]] = {}
    for rewrite in rewrites:
        groups.setdefault(rewrite.target.path, []).append(rewrite)
    return groups


def _stale(root: Path, group: Sequence[Rewrite]) -> bool:
    try:
        apply(group, root)
    except StaleFileError:
        return True
    except EditError:
        return False
    return False


def _view(folder: Path, root: Path, group: Sequence[Rewrite]) -> ConflictReport:
    """Return one file's three versions where they disagree."""
    path = group[0].target.path
    try:
        found_now = read(root, path)
        present = None if found_now is None else found_now.data
        found = three_way(_change(folder, group), present)
    except (EditError, OSError) as error:
        return ConflictReport(f"{path} cannot be compared ({error}).", False)
    return ConflictReport(masked(_text(found, present)), found.merged is not None)


def _change(folder: Path, group: Sequence[Rewrite]) -> FileChange:
    """Make the proposal's change again, from the file as it was read."""
    path, sha256 = group[0].target.path, group[0].target.sha256
    with tempfile.TemporaryDirectory(prefix="loom-read-") as copy:
        file = resolve(Path(copy), path)
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
