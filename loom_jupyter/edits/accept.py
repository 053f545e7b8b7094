"""Write an accepted proposal into the workspace, and take it back: all of it or nothing."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from loom_jupyter.edits import disk
from loom_jupyter.edits.apply import FileChange, digest
from loom_jupyter.edits.errors import EditError, StaleFileError
from loom_jupyter.edits.journal import Entry, Journal, JournalState, before_bytes, keep_after, keep_before
from loom_jupyter.edits.paths import resolve
from loom_jupyter.edits.rebase import rebase


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What an undo did, as paths relative to the workspace."""

    restored: list[str]
    removed: list[str]


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
        A file is not what `before` says; nothing was written.
    EditError
        A path is forbidden or the disk refuses; nothing was written, or all of it was taken back.
    """
    chosen = [c for c in changes if c.before != c.after and (paths is None or c.path in paths)]
    if not chosen:
        return []
    found = Journal.read(journal)
    if found is not None and found.state is not JournalState.UNDONE:
        raise EditError(f"{journal} already holds an accepted proposal; undo it first.")
    for change in chosen:
        _require(root, change.path, None if change.before is None else digest(change.before), "proposed")
    try:
        _write_all(chosen, journal, root)
    except OSError as error:
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
    """
    found = Journal.read(journal)
    if found is None or found.state is JournalState.UNDONE:
        raise EditError("There is nothing to undo: nothing was accepted, or it has been undone already.")
    if found.state is JournalState.UNDOING:
        return _resume(found, journal, root)
    if found.state is JournalState.ACCEPTING:
        recover(journal, root)
        return undo(journal, root, paths)
    pending = [entry for entry in found.entries if not entry.undone and (paths is None or entry.path in paths)]
    if not pending:
        raise EditError("There is nothing to undo in these files; name files that this run changed.")
    for entry in pending:
        if entry.path.endswith(".ipynb") and _hash(file := resolve(root, entry.path)) not in (None, entry.after):
            rebase(found, entry, journal, file.read_bytes())
        _require(root, entry.path, entry.after, "accepted")
    found.state, found.pending = JournalState.UNDOING, [entry.path for entry in pending]
    try:
        found.write(journal)
        _finish_undo(found, journal, root)
    except OSError as error:
        raise EditError(f"The undo stopped halfway ({error.strerror}); mend that and undo again.") from error
    return _report(pending)


def recover(journal: Path, root: Path) -> str | None:
    """Finish or take back what a crash interrupted; to be called before a journal is used again.

    Returns
    -------
    str or None
        One sentence on what was done; None where nothing was interrupted.
    """
    found = Journal.read(journal)
    if found is None or found.state in (JournalState.ACCEPTED, JournalState.UNDONE):
        return None
    for number, entry in enumerate(found.entries):
        disk.remove(_temporary(resolve(root, entry.path), number))
    if found.state is JournalState.UNDOING:
        left = _finish_undo(found, journal, root)
        return _told("An interrupted undo was finished", left)
    if all(_hash(resolve(root, entry.path)) == entry.after for entry in found.entries):
        found.state = JournalState.ACCEPTED
        found.write(journal)
        return "An interrupted acceptance was finished."
    left = _put_back(found, journal, root, [entry.path for entry in found.entries])
    Journal.forget(journal)
    return _told("An interrupted acceptance was taken back", left)


def _resume(record: Journal, journal: Path, root: Path) -> UndoReport:
    pending = [entry for entry in record.entries if entry.path in record.pending]
    recover(journal, root)
    return _report(pending)


def _report(entries: Sequence[Entry]) -> UndoReport:
    return UndoReport(
        restored=[entry.path for entry in entries if entry.before is not None],
        removed=[entry.path for entry in entries if entry.before is None],
    )


def _take_back(error: OSError, journal: Path, root: Path) -> None:
    """After a write failed: take everything back, unless everything stands already."""
    why = error.strerror or str(error)
    try:
        recover(journal, root)
        found = Journal.read(journal)
    except OSError as failure:
        raise EditError(
            f"The acceptance stopped halfway ({why}); mend that, and the next start of Loom takes it back."
        ) from failure
    if found is None or found.state is not JournalState.ACCEPTED:
        raise EditError(
            f"Nothing was changed, for a file cannot be written ({why}); mend that and try again."
        ) from error


def _told(what: str, left: list[str]) -> str:
    if not left:
        return f"{what}."
    return f"{what}, except in {', '.join(left)}, which changed in the meantime and stayed as found."


def _require(root: Path, path: str, expected: str | None, since: str) -> None:
    file = resolve(root, path)
    present = _hash(file)
    if present == expected:
        if present is not None and not os.access(file, os.W_OK):
            raise EditError(f"{path} is write-protected; allow writing and try again.")
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


def _hash(file: Path) -> str | None:
    try:
        return digest(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise EditError(f"{file.name} cannot be read ({error.strerror}); check its permissions.") from error


def _write_all(changes: Sequence[FileChange], journal: Path, root: Path) -> None:
    journal.mkdir(parents=True, exist_ok=True, mode=0o700)
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
    for number, (change, entry) in enumerate(zip(changes, entries, strict=True)):
        for folder in entry.folders:
            disk.make_folder(root / folder)
        file = resolve(root, change.path)
        _replace(file, change.after, change.mode, number)
    record.state = JournalState.ACCEPTED
    record.write(journal)


def _missing_folders(root: Path, path: str) -> list[str]:
    parents = [parent for parent in reversed(Path(path).parents) if parent != Path()]
    return [parent.as_posix() for parent in parents if not (root / parent).exists()]


def _replace(file: Path, data: bytes, mode: int | None, number: int) -> None:
    temporary = _temporary(file, number)
    disk.write(temporary, data)
    disk.dress(temporary, file, mode)
    disk.replace(temporary, file)


def _temporary(file: Path, number: int) -> Path:
    return file.with_name(f".loom-{number}.tmp")


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
        file = resolve(root, entry.path)
        present = _hash(file)
        if present == entry.after and entry.before is not None:
            kept = number if entry.blob is None else entry.blob
            _replace(file, before_bytes(journal, kept), entry.mode, number)
        elif present == entry.after:
            disk.remove(file)
        elif present != entry.before:
            left.append(entry.path)
        if entry.before is None:
            for folder in reversed(entry.folders):
                disk.remove_folder(root / folder)
    return left
