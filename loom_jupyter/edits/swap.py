"""Put new bytes in a file's place, or take the file away, so that nothing that is saved meanwhile is lost.

A look at a file and then a rename leave a moment in which an editor may save. So the old file is taken out of
its place first, in one step with the new one's arrival, and looked at then: if it is not what was expected, it
goes back. Between these steps the two lie under names that the journal knows: the *draft* is what Loom writes, and
never holds bytes of the user's; *aside* may, so that it is looked at before it is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from loom_jupyter.edits import paths
from loom_jupyter.edits.apply import digest
from loom_jupyter.edits.folder import Folder, Found, holding
from loom_jupyter.errors import EditError, ForbiddenPathError, StaleFileError

_NOT_REGULAR = "not a regular file"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file of the workspace lies, held open.

    Attributes
    ----------
    since
        What happened when the file was seen last, for messages: "proposed" or "accepted".
    """

    root: Folder
    path: str
    folder: Folder
    draft: str
    since: str

    @property
    def name(self) -> str:
        """The file's name in its folder."""
        return PurePosixPath(self.path).name

    @property
    def aside(self) -> str:
        """Name under which the old file lies while it is looked at."""
        return aside_of(self.draft)

    def hash_of(self, name: str) -> str | None:
        """Hash of a file's bytes; None where there is none, no hash where it is not a regular file."""
        try:
            found = self.folder.read(name, self.path)
        except ForbiddenPathError:
            return _NOT_REGULAR
        return digest(found.data) if found else None


def aside_of(draft: str) -> str:
    """Return the name that goes with a draft's."""
    return draft.removesuffix(".tmp") + ".old"


@contextlib.contextmanager
def place(
    root: Folder, path: str, draft: str, since: str = "accepted", make: Collection[str] = ()
) -> Iterator[Place]:
    """Hold the place of a file open."""
    with holding(root, path, make) as folder:
        yield Place(root, path, folder, draft, since)


def replace(at: Place, data: bytes, expected: str | None) -> None:
    """Write a file that holds what is expected (by its hash; None if it must not exist).

    Raises
    ------
    StaleFileError
        It holds something else, or did at the last moment; it is left, or put back, as it was found.
    EditError
        It is open for writing in another program, or its folder was moved.
    """
    new = digest(data)
    with _cleaned_up(at, new, expected):
        _write_draft(at, data, like_old=expected is not None)
        _require(at, at.name, expected)
        if expected is None:
            _create(at)
            _require_created_inside(at)
        else:
            in_place = _exchange(at, expected)
            _require(at, at.aside, expected)
            _require_reached(at)
            if not in_place:
                _create(at)
            at.folder.remove(at.aside)
        at.folder.sync()


def remove(at: Place, expected: str) -> None:
    """Remove a file that holds what is expected; raises as `replace` does."""
    with _cleaned_up(at, None, expected):
        _require(at, at.name, expected)
        _take_out(at, expected)
        _require(at, at.aside, expected)
        _require_reached(at)
        at.folder.remove(at.aside)
        at.folder.sync()


def clear_after_crash(at: Place, ours: Collection[str]) -> str | None:
    """Clear away what a crash left, and put back what was taken out; return where a save of the user's is kept.

    Parameters
    ----------
    ours
        Hashes of what the journal can give back, or made.
    """
    at.folder.remove(at.draft)
    out = at.hash_of(at.aside)
    if out is None:
        return None
    present = at.hash_of(at.name)
    if present is not None and out in {*ours, present}:
        at.folder.remove(at.aside)
        at.folder.sync()
        return None
    return _put_back(at, ours, ours)


def objection(path: str, found: Found | None, expected: str | None, since: str) -> EditError | None:
    """Say what speaks against writing over a file that was read; None if nothing does."""
    present = None if found is None else digest(found.data)
    if present == expected:
        if found is not None and found.written:
            return EditError(f"A program has {path} open for writing; close it there and try again.")
        return None
    if present is None:
        what = "was removed"
    elif expected is None:
        what = "was created"
    else:
        what = "has changed"
    return StaleFileError(
        path, f"{path} {what} since this was {since}; nothing was written, so compare and run again."
    )


@contextlib.contextmanager
def _cleaned_up(at: Place, new: str | None, old: str | None) -> Iterator[None]:
    """After a refusal or a fault leave the file as it was found, in the folder that is held open."""
    try:
        yield
    except (OSError, EditError) as error:
        kept = None
        # What cannot be done now is done when the journal is recovered.
        with contextlib.suppress(OSError, EditError):
            kept = _clean_up(at, new, old)
        if kept is not None:
            raise StaleFileError(
                at.path,
                f"{at.path} was saved twice while it was written, so it was left as it is; the earlier "
                f"version is kept in {kept}.",
            ) from error
        raise


def _clean_up(at: Place, new: str | None, old: str | None) -> str | None:
    at.folder.remove(at.draft)
    out = at.hash_of(at.aside)
    if out is None or out != new:
        return None if out is None else _put_back(at, {new}, {old})
    at.folder.remove(at.aside)
    return None


def _put_back(at: Place, ours: Collection[str | None], kept: Collection[str | None]) -> str | None:
    """Put back what was taken out; where somebody saved meanwhile, that stays and the other is kept beside it.

    Parameters
    ----------
    ours
        Hashes of what Loom may have put in its place.
    kept
        Hashes of what the journal gives back.
    """
    try:
        at.folder.place(at.aside, at.name)
    except FileExistsError:
        pass
    else:
        at.folder.sync()
        return None
    if at.folder.exchange(at.aside, at.name):
        if at.hash_of(at.aside) in ours:
            at.folder.remove(at.aside)
            at.folder.sync()
            return None
        at.folder.exchange(at.aside, at.name)
    elif at.hash_of(at.name) in ours and at.hash_of(at.aside) in kept:
        at.folder.remove(at.aside)
        return None
    return _keep(at)


def _keep(at: Place) -> str:
    """Give what was taken out a name that a person finds; return it."""
    mark = at.draft.removesuffix(".tmp")
    name = f"{at.name}{mark}.saved"
    try:
        at.folder.place(at.aside, name)
    except OSError:  # longer than names may be
        name = f"{mark}.saved"
        at.folder.place(at.aside, name)
    at.folder.sync()
    return PurePosixPath(at.path).with_name(name).as_posix()


def _exchange(at: Place, expected: str) -> bool:
    """Take the old file out, and put the draft in its place in one step; False if that is still to be done."""
    at.folder.move(at.draft, at.aside)
    try:
        if at.folder.exchange(at.aside, at.name):
            return True
    except FileNotFoundError as error:
        raise _stale(at, expected) from error
    at.folder.move(at.aside, at.draft)
    _take_out(at, expected)
    return False


def _take_out(at: Place, expected: str) -> None:
    try:
        at.folder.move(at.name, at.aside)
    except FileNotFoundError as error:
        raise _stale(at, expected) from error


def _create(at: Place) -> None:
    """Put the draft where nothing is."""
    _require_reached(at)
    try:
        at.folder.place(at.draft, at.name)
    except FileExistsError as error:
        found = at.folder.read(at.name, at.path)
        raise objection(at.path, found, None, at.since) or _moved(at.path) from error


def _require_created_inside(at: Place) -> None:
    """Look again where a file was created; if its folder is elsewhere, take it out."""
    try:
        _require_reached(at)
    except EditError:
        at.folder.move(at.name, at.aside)
        raise


def _require(at: Place, name: str, expected: str | None) -> None:
    found = at.folder.read(name, at.path)
    if (error := objection(at.path, found, expected, at.since)) is not None:
        raise error


def _require_reached(at: Place) -> None:
    """Refuse to go on in a folder that was moved away."""
    if at.folder.handle is None:
        return
    try:
        with holding(at.root, at.path) as now:
            same = now.handle is not None and os.path.sameopenfile(now.handle, at.folder.handle)
    except FileNotFoundError:
        same = False
    if not same:
        raise _moved(at.path)


def _moved(path: str) -> ForbiddenPathError:
    return ForbiddenPathError(f"The folder of {path} was moved while it was written; put it back and run again.")


def _stale(at: Place, expected: str) -> EditError:
    return objection(at.path, None, expected, at.since) or _moved(at.path)


def _write_draft(at: Place, data: bytes, *, like_old: bool) -> None:
    """Write the new bytes next to the file, with its attributes, and wait until they are on disk."""
    mode = paths.PRIVATE if like_old else paths.DEFAULT_MODE
    handle = paths.create(at.folder.at(at.draft), mode, at.folder.handle)
    try:
        paths.fill(handle, data)
        if like_old:
            with contextlib.suppress(FileNotFoundError):
                _dress_like(handle, at)
        # Build tools must see that the content is new.
        paths._call(os.utime, handle if at.folder.handle is not None else at.folder.at(at.draft))
        paths._call(os.fsync, handle)
    finally:
        os.close(handle)


def _dress_like(handle: int, at: Place) -> None:
    if at.folder.handle is None:
        paths._call(shutil.copymode, at.folder.at(at.name), at.folder.at(at.draft))
        return
    old = at.folder.open_file(at.name, at.path)
    try:
        paths.dress(handle, old)
    finally:
        os.close(old)
