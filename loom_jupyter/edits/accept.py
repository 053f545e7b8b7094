"""Write an accepted proposal into the workspace, and take it back: all of it or nothing."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from loom_jupyter.edits import swap
from loom_jupyter.edits.apply import FileChange, digest
from loom_jupyter.edits.folder import Folder, Found, holding, read_in
from loom_jupyter.edits.journal import Entry, Journal, JournalState, before_bytes, keep_after, keep_before
from loom_jupyter.edits.lock import locked
from loom_jupyter.edits.merge import rebase
from loom_jupyter.edits.paths import make_folders, resolve, sync
from loom_jupyter.errors import EditError, ForbiddenPathError, StaleFileError

_log = logging.getLogger(__name__)


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
        A path is forbidden, another Accept or Undo is at work, or the disk refuses; nothing was written, or all
        of it was taken back.
    """
    chosen = [c for c in changes if c.before != c.after and (paths is None or c.path in paths)]
    if not chosen:
        return []
    twice = [path for path, count in Counter(change.path for change in chosen).items() if count > 1]
    if twice:
        raise EditError(f"{twice[0]} would be written twice by one proposal; ask for one change of it.")
    with locked(root) as held:
        return _accept(chosen, journal, held)


def _accept(chosen: Sequence[FileChange], journal: Path, root: Folder) -> list[str]:
    found = Journal.read(journal)
    if found is not None and found.state is not JournalState.UNDONE:
        raise EditError(f"{journal} already holds an accepted proposal; undo it first.")
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
        There is nothing to undo, or not in one of `paths`; the kept bytes are damaged, another Accept or Undo is
        at work, or the disk refuses.
    """
    _require_something(Journal.read(journal))
    with locked(root) as held:
        try:
            return _undo(journal, held, paths)
        except OSError as error:
            raise EditError(f"The undo stopped halfway ({error.strerror}); fix this and undo again.") from error


def _require_something(found: Journal | None) -> Journal:
    if found is None or found.state is JournalState.UNDONE:
        raise EditError("There is nothing to undo: nothing was accepted, or it has been undone already.")
    return found


def _undo(journal: Path, root: Folder, paths: Collection[str] | None) -> UndoReport:
    found = _require_something(Journal.read(journal))
    if found.state is JournalState.UNDOING:
        return _resume(found, journal, root, paths)
    if found.state is JournalState.ACCEPTING:
        _finish_interrupted(found, journal, root)
        return _undo(journal, root, paths)
    pending = _pending(found, paths)
    for entry in pending:
        present = _look(root, entry.path)
        if entry.path.endswith(".ipynb") and present is not None and digest(present.data) != entry.after:
            rebase(found, entry, journal, present.data)
        _require(root, entry.path, entry.after, "accepted")
    _require_kept(found, journal, pending)
    found.state, found.pending = JournalState.UNDOING, [entry.path for entry in pending]
    found.write(journal)
    return _report(pending, _finish_undo(found, journal, root))


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
    if not _interrupted(Journal.read(journal)):
        return None
    with locked(root) as held:
        return _recover(journal, held)


def _interrupted(found: Journal | None) -> bool:
    return found is not None and found.state in (JournalState.ACCEPTING, JournalState.UNDOING)


def _recover(journal: Path, root: Folder) -> str | None:
    # Read under the lock: what looked interrupted may have been another process at work.
    found = Journal.read(journal)
    if found is None or not _interrupted(found):
        return None
    try:
        return _finish_interrupted(found, journal, root)
    except OSError as error:
        raise EditError(
            f"What was interrupted cannot be finished or taken back ({error.strerror}); fix this and try again."
        ) from error


def _finish_interrupted(record: Journal, journal: Path, root: Folder) -> str:
    kept = [name for entry in record.entries if (name := _settle(root, entry)) is not None]
    if record.state is JournalState.UNDOING:
        _require_kept(record, journal, _differing(record, root, record.pending))
        left = _finish_undo(record, journal, root)
        return _told("An interrupted undo was finished", left, kept)
    if all(_holds(root, entry.path, entry.after) for entry in record.entries):
        record.state = JournalState.ACCEPTED
        record.write(journal)
        return _told("An interrupted acceptance was finished", [], kept)
    everything = [entry.path for entry in record.entries]
    _require_kept(record, journal, _differing(record, root, everything))
    left = _put_back(record, journal, root, everything)
    Journal.forget(journal)
    return _told("An interrupted acceptance was taken back", left, kept)


def _differing(record: Journal, root: Folder, paths: Collection[str]) -> list[Entry]:
    """Return the entries of these files that are to be put back still."""
    return [e for e in record.entries if e.path in paths and _holds(root, e.path, e.after)]


def _require_kept(record: Journal, journal: Path, entries: Sequence[Entry]) -> None:
    """Refuse to put back bytes that are not those that were kept."""
    for entry in entries:
        if entry.before is not None:
            _kept_bytes(entry, journal, record.number(entry))


def _kept_bytes(entry: Entry, journal: Path, number: int) -> bytes:
    data = None
    with contextlib.suppress(FileNotFoundError):
        data = before_bytes(journal, number)
    if data is None or digest(data) != entry.before:
        raise EditError(
            f"The bytes of {entry.path} from before are damaged in {journal}, so nothing was put back; "
            "restore this file from version control or a backup, and undo the others by name."
        )
    return data


def _pending(record: Journal, paths: Collection[str] | None) -> list[Entry]:
    """Return what an undo of these files puts back."""
    open_ = {entry.path: entry for entry in record.entries if not entry.undone}
    chosen = list(open_) if paths is None else [path for path in open_ if path in paths]
    unknown = sorted(set(paths or ()) - set(open_))
    if unknown or not chosen:
        named = f" in {unknown[0]}" if unknown else ""
        raise EditError(f"There is nothing to undo{named}; what can be undone: {', '.join(open_)}.")
    return [open_[path] for path in chosen]


def _resume(record: Journal, journal: Path, root: Folder, paths: Collection[str] | None) -> UndoReport:
    """Finish an undo that was interrupted, then undo what is asked besides."""
    pending = [entry for entry in record.entries if entry.path in record.pending]
    _finish_interrupted(record.model_copy(deep=True), journal, root)
    left = [entry.path for entry in pending if not _holds(root, entry.path, entry.before)]
    done = _report(pending, left)
    others = [entry.path for entry in record.entries if not entry.undone and entry not in pending]
    rest = others if paths is None else sorted(set(paths) - set(record.pending))
    if not rest:
        return done
    more = _undo(journal, root, rest)
    return UndoReport(done.restored + more.restored, done.removed + more.removed, done.left + more.left)


def _report(entries: Sequence[Entry], left: list[str]) -> UndoReport:
    done = [entry for entry in entries if entry.path not in left]
    return UndoReport(
        restored=[entry.path for entry in done if entry.before is not None],
        removed=[entry.path for entry in done if entry.before is None],
        left=left,
    )


def _take_back(error: OSError | EditError, journal: Path, root: Folder) -> None:
    """After a write failed: take everything back, unless everything stands already."""
    why = (isinstance(error, OSError) and error.strerror) or str(error)
    try:
        _recover(journal, root)
        found = Journal.read(journal)
    except EditError as failure:
        raise EditError(
            f"The acceptance stopped halfway ({why}); fix this, and the next start of Loom takes it back."
        ) from failure
    if found is not None and found.state is JournalState.ACCEPTED:
        return
    if isinstance(error, EditError):
        raise error
    raise EditError(
        f"Nothing was changed, because a file cannot be written ({why}); fix this and try again."
    ) from error


def _told(what: str, left: list[str], kept: list[str]) -> str:
    if left:
        what += f", except in {', '.join(left)}, which changed in the meantime and stayed as found"
    if kept:
        what += f"; what was saved in the middle of it is kept in {', '.join(kept)}"
    return f"{what}."


def _look(root: Folder, path: str) -> Found | None:
    """Read a file that may be written; None where there is none."""
    resolve(root.path, path)
    return read_in(root, path)


def _require(root: Folder, path: str, expected: str | None, since: str) -> None:
    """Refuse a file that may not be written, or that is not what it was."""
    error = swap.objection(path, _look(root, path), expected, since)
    if error is not None:
        raise error
    if expected is not None and not _writable(root, path):
        raise EditError(f"{path} is write-protected; allow writing and try again.")


def _writable(root: Folder, path: str) -> bool:
    # If its folder is gone by the time this is asked, the next step says so.
    with contextlib.suppress(FileNotFoundError), holding(root, path) as folder:
        return os.access(folder.at(PurePosixPath(path).name), os.W_OK, dir_fd=folder.handle)
    return True


def _holds(root: Folder, path: str, expected: str | None) -> bool:
    """Whether a file holds this, and is still reached as it was then, not through a link."""
    try:
        found = _look(root, path)
    except ForbiddenPathError:
        return False
    return expected == (None if found is None else digest(found.data))


def _write_all(changes: Sequence[FileChange], journal: Path, root: Folder) -> None:
    make_folders(journal, 0o700)
    entries = []
    for number, change in enumerate(changes):
        keep_before(journal, number, change.before or b"")
        if change.path.endswith(".ipynb"):
            keep_after(journal, number, change.after)
        before = None if change.before is None else digest(change.before)
        folders = _missing_folders(root.path, change.path)
        entries.append(
            Entry(path=change.path, before=before, after=digest(change.after), mode=change.mode, folders=folders)
        )
    sync(journal)
    record = Journal(state=JournalState.ACCEPTING, entries=entries)
    record.write(journal)
    for change, entry in zip(changes, entries, strict=True):
        _replace(root, entry, change.after, entry.before, "proposed")
    record.state = JournalState.ACCEPTED
    record.write(journal)


def _missing_folders(root: Path, path: str) -> list[str]:
    parents = [parent for parent in reversed(Path(path).parents) if parent != Path()]
    return [parent.as_posix() for parent in parents if not (root / parent).exists()]


def _replace(root: Folder, entry: Entry, data: bytes, present: str | None, since: str) -> None:
    """Put new bytes in the place of a file that is `present`, by its hash, up to the last moment."""
    resolve(root.path, entry.path)
    make = entry.folders if present is None else ()
    with swap.place(root, entry.path, entry.draft, since, make) as at:
        swap.replace(at, data, present)


def _settle(root: Folder, entry: Entry) -> str | None:
    """Clear away what a crash left beside a file; return where a save of the user's is kept."""
    with contextlib.suppress(ForbiddenPathError, FileNotFoundError):
        resolve(root.path, entry.path)
        with swap.place(root, entry.path, entry.draft) as at:
            return swap.clear_after_crash(at, {entry.after, *([entry.before] if entry.before else [])})
    return None


def _finish_undo(record: Journal, journal: Path, root: Folder) -> list[str]:
    left = _put_back(record, journal, root, record.pending)
    for entry in record.entries:
        entry.undone = entry.undone or entry.path in record.pending
    undone = all(entry.undone for entry in record.entries)
    record.state = JournalState.UNDONE if undone else JournalState.ACCEPTED
    record.pending = []
    record.write(journal)
    return left


def _put_back(record: Journal, journal: Path, root: Folder, paths: Collection[str]) -> list[str]:
    """Give files their bytes from before; return those that hold something else now and were left alone."""
    left = []
    for entry in record.entries:
        if entry.path not in paths:
            continue
        try:
            _put_back_one(entry, journal, root, record.number(entry))
        except (StaleFileError, ForbiddenPathError) as error:
            _log.info("%s was not put back: %s", entry.path, error)
            left.append(entry.path)
    return left


def _put_back_one(entry: Entry, journal: Path, root: Folder, kept: int) -> None:
    if not _holds(root, entry.path, entry.before):
        if entry.before is None:
            with swap.place(root, entry.path, entry.draft) as at:
                swap.remove(at, entry.after)
        else:
            _replace(root, entry, _kept_bytes(entry, journal, kept), entry.after, "accepted")
    for folder in reversed(entry.folders):
        with contextlib.suppress(FileNotFoundError), holding(root, folder) as above:
            above.drop(PurePosixPath(folder).name)
