"""Write an accepted proposal into the workspace, and take it back: all of it or nothing."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from loom_jupyter.edits import disk
from loom_jupyter.edits.apply import FileChange, digest
from loom_jupyter.edits.errors import EditError, ForbiddenPathError, StaleFileError
from loom_jupyter.edits.journal import Entry, Journal, JournalState, before_bytes, keep_after, keep_before
from loom_jupyter.edits.paths import resolve
from loom_jupyter.edits.rebase import rebase


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What an undo did, as paths relative to the workspace.

    Attributes
    ----------
    left
        Files that changed while the undo was at work, and stayed as they were found.
    """

    restored: list[str]
    removed: list[str]
    left: list[str]


def accept(
    changes: Sequence[FileChange], journal: Path, root: Path, paths: Collection[str] | None = None
) -> list[str]:
    """Write changes into the workspace, journalled first.

    Parameters
    ----------
    journal
        Folder of this run's journal; made if needed.
    paths
        Only these files of the changes. None means all.

    Returns
    -------
    list of str
        Paths that were written; a change that changes nothing is not.

    Raises
    ------
    StaleFileError
        A file is not what `before` says, or changed while the others were written; nothing was written, or all
        of it was taken back.
    EditError
        A path is forbidden or the disk refuses; nothing was written, or all of it was taken back.
    """
    chosen = [c for c in changes if c.before != c.after and (paths is None or c.path in paths)]
    if not chosen:
        return []
    found = Journal.read(journal)
    if found is not None and found.state is not JournalState.UNDONE:
        raise EditError(f"{journal} already holds an accepted proposal; undo it first.")
    twice = [path for path, count in Counter(change.path for change in chosen).items() if count > 1]
    if twice:
        raise EditError(f"{twice[0]} would be written twice by one proposal; ask for one change of it.")
    for change in chosen:
        _require(root, change.path, None if change.before is None else digest(change.before), "proposed")
    try:
        _write_all(chosen, journal, root)
    except (OSError, EditError) as error:
        _take_back(error, journal, root)
    return [change.path for change in chosen]


def undo(journal: Path, root: Path, paths: Collection[str] | None = None) -> UndoReport:
    """Put back the exact bytes that Accept replaced, and remove the files it created.

    A notebook that was run or saved since gets back the cells that Accept changed; the rest of it stays.

    Parameters
    ----------
    paths
        Only these files. None means all that are not undone yet.

    Raises
    ------
    StaleFileError
        A file changed since it was accepted; nothing was written.
    EditError
        There is nothing to undo, or not in one of `paths`; or the disk refuses.
    """
    found = Journal.read(journal)
    if found is None or found.state is JournalState.UNDONE:
        raise EditError("There is nothing to undo: nothing was accepted, or it has been undone already.")
    if found.state is JournalState.UNDOING:
        return _resume(found, journal, root, paths)
    if found.state is JournalState.ACCEPTING:
        recover(journal, root)
        return undo(journal, root, paths)
    pending = _pending(found, paths)
    for entry in pending:
        if entry.path.endswith(".ipynb") and _hash(file := resolve(root, entry.path)) not in (None, entry.after):
            rebase(found, entry, journal, file.read_bytes())
        _require(root, entry.path, entry.after, "accepted")
    found.state, found.pending = JournalState.UNDOING, [entry.path for entry in pending]
    try:
        found.write(journal)
        left = _finish_undo(found, journal, root)
    except OSError as error:
        raise EditError(f"The undo stopped halfway ({error.strerror}); mend that and undo again.") from error
    return _report(pending, left)


def recover(journal: Path, root: Path) -> str | None:
    """Finish or take back what a crash interrupted; to be called before a journal is used again.

    Returns
    -------
    str or None
        One sentence on what was done; None where nothing was interrupted.

    Raises
    ------
    EditError
        The journal or a file cannot be read or written; it is tried again when this is called again.
    """
    found = Journal.read(journal)
    if found is None or found.state in (JournalState.ACCEPTED, JournalState.UNDONE):
        return None
    try:
        return _mend(found, journal, root)
    except OSError as error:
        raise EditError(
            f"What was interrupted cannot be finished or taken back ({error.strerror}); mend that and try again."
        ) from error


def _mend(record: Journal, journal: Path, root: Path) -> str:
    for entry in record.entries:
        _remove_draft(root, entry)
    if record.state is JournalState.UNDOING:
        left = _finish_undo(record, journal, root)
        return _told("An interrupted undo was finished", left)
    if all(_holds(root, entry.path, entry.after) for entry in record.entries):
        record.state = JournalState.ACCEPTED
        record.write(journal)
        return "An interrupted acceptance was finished."
    left = _put_back(record, journal, root, [entry.path for entry in record.entries])
    Journal.forget(journal)
    return _told("An interrupted acceptance was taken back", left)


def _pending(record: Journal, paths: Collection[str] | None) -> list[Entry]:
    """Return what an undo of these files puts back."""
    open_ = {entry.path: entry for entry in record.entries if not entry.undone}
    chosen = list(open_) if paths is None else [path for path in open_ if path in paths]
    unknown = sorted(set(paths or ()) - set(open_))
    if unknown or not chosen:
        named = f" in {unknown[0]}" if unknown else ""
        raise EditError(f"There is nothing to undo{named}; what can be undone: {', '.join(open_)}.")
    return [open_[path] for path in chosen]


def _resume(record: Journal, journal: Path, root: Path, paths: Collection[str] | None) -> UndoReport:
    """Finish an undo that was interrupted, then undo what is asked besides."""
    pending = [entry for entry in record.entries if entry.path in record.pending]
    recover(journal, root)
    left = [entry.path for entry in pending if not _holds(root, entry.path, entry.before)]
    done = _report(pending, left)
    others = [entry.path for entry in record.entries if not entry.undone and entry not in pending]
    rest = others if paths is None else sorted(set(paths) - set(record.pending))
    if not rest:
        return done
    more = undo(journal, root, rest)
    return UndoReport(done.restored + more.restored, done.removed + more.removed, done.left + more.left)


def _report(entries: Sequence[Entry], left: list[str]) -> UndoReport:
    done = [entry for entry in entries if entry.path not in left]
    return UndoReport(
        restored=[entry.path for entry in done if entry.before is not None],
        removed=[entry.path for entry in done if entry.before is None],
        left=left,
    )


def _take_back(error: OSError | EditError, journal: Path, root: Path) -> None:
    """After a write failed: take everything back, unless everything stands already."""
    why = (isinstance(error, OSError) and error.strerror) or str(error)
    try:
        recover(journal, root)
        found = Journal.read(journal)
    except EditError as failure:
        raise EditError(
            f"The acceptance stopped halfway ({why}); mend that, and the next start of Loom takes it back."
        ) from failure
    if found is not None and found.state is JournalState.ACCEPTED:
        return
    if isinstance(error, EditError):
        raise error
    raise EditError(
        f"Nothing was changed, for a file cannot be written ({why}); mend that and try again."
    ) from error


def _told(what: str, left: list[str]) -> str:
    if not left:
        return f"{what}."
    return f"{what}, except in {', '.join(left)}, which changed in the meantime and stayed as found."


def _require(root: Path, path: str, expected: str | None, since: str) -> None:
    """Refuse a file that may not be written, or that is not what it was."""
    _require_same(root, path, expected, since)
    if expected is not None and not os.access(resolve(root, path), os.W_OK):
        raise EditError(f"{path} is write-protected; allow writing and try again.")


def _require_same(root: Path, path: str, expected: str | None, since: str) -> None:
    present = _hash(resolve(root, path))
    if present == expected:
        return
    if present is None:
        what = "was removed"
    elif expected is None:
        what = "was created"
    else:
        what = "has changed"
    raise StaleFileError(
        path, f"{path} {what} since this was {since}; nothing was written, so compare and run again."
    )


def _holds(root: Path, path: str, expected: str | None) -> bool:
    """Whether a file holds this, and is reached as it was then: a link may stand in its way by now."""
    try:
        return _hash(resolve(root, path)) == expected
    except ForbiddenPathError:
        return False


def _hash(file: Path) -> str | None:
    try:
        return digest(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise EditError(f"{file.name} cannot be read ({error.strerror}); check its permissions.") from error


def _write_all(changes: Sequence[FileChange], journal: Path, root: Path) -> None:
    disk.make_folders(journal, 0o700)
    entries = []
    for number, change in enumerate(changes):
        keep_before(journal, number, change.before or b"")
        if change.path.endswith(".ipynb"):
            keep_after(journal, number, change.after)
        before = None if change.before is None else digest(change.before)
        folders = _missing_folders(root, change.path)
        entries.append(
            Entry(path=change.path, before=before, after=digest(change.after), mode=change.mode, folders=folders)
        )
    disk.sync(journal)
    record = Journal(state=JournalState.ACCEPTING, entries=entries)
    record.write(journal)
    for change, entry in zip(changes, entries, strict=True):
        resolve(root, entry.path)
        for folder in entry.folders:
            disk.make_folder(root / folder)
        _replace(root, entry, change.after, entry.before, "proposed")
    record.state = JournalState.ACCEPTED
    record.write(journal)


def _missing_folders(root: Path, path: str) -> list[str]:
    parents = [parent for parent in reversed(Path(path).parents) if parent != Path()]
    return [parent.as_posix() for parent in parents if not (root / parent).exists()]


def _replace(root: Path, entry: Entry, data: bytes, present: str | None, since: str) -> None:
    """Put new bytes in the place of a file that is `present`, by its hash, up to the last moment."""
    file = resolve(root, entry.path)
    draft = file.with_name(entry.draft)
    disk.write(draft, data, disk.USUAL if present is None else disk.PRIVATE)
    disk.dress(draft, file)
    # Again, for it may have been saved while the draft went to disk.
    _require_same(root, entry.path, present, since)
    disk.replace(draft, file)


def _remove_draft(root: Path, entry: Entry) -> None:
    with contextlib.suppress(ForbiddenPathError):
        disk.remove(resolve(root, entry.path).with_name(entry.draft))


def _finish_undo(record: Journal, journal: Path, root: Path) -> list[str]:
    left = _put_back(record, journal, root, record.pending)
    for entry in record.entries:
        entry.undone = entry.undone or entry.path in record.pending
    undone = all(entry.undone for entry in record.entries)
    record.state = JournalState.UNDONE if undone else JournalState.ACCEPTED
    record.pending = []
    record.write(journal)
    return left


def _put_back(record: Journal, journal: Path, root: Path, paths: Collection[str]) -> list[str]:
    """Give files their bytes from before; return those that hold something else by now and were left alone."""
    left = []
    for number, entry in enumerate(record.entries):
        if entry.path not in paths:
            continue
        try:
            _put_back_one(entry, journal, root, number if entry.blob is None else entry.blob)
        except (StaleFileError, ForbiddenPathError):
            _remove_draft(root, entry)
            left.append(entry.path)
    return left


def _put_back_one(entry: Entry, journal: Path, root: Path, kept: int) -> None:
    file = resolve(root, entry.path)
    if not _holds(root, entry.path, entry.before):
        _require_same(root, entry.path, entry.after, "accepted")
        if entry.before is None:
            disk.remove(file)
        else:
            _replace(root, entry, before_bytes(journal, kept), entry.after, "accepted")
    for folder in reversed(entry.folders):
        disk.remove_folder(root / folder)
