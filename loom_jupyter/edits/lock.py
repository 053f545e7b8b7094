"""One Accept, Undo or recovery at a time in a workspace, whichever process does it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from loom_jupyter.edits.folder import Folder
from loom_jupyter.errors import EditError
from loom_jupyter.settings import data_dir

WAIT = 10.0
"""Seconds that one waits for another at most."""
_STEP = 0.02


@contextlib.contextmanager
def locked(root: Path) -> Iterator[Folder]:
    """Hold a workspace for writing; yields its folder, open.

    Raises
    ------
    EditError
        Another process or thread holds it, or the folder is gone.

    Notes
    -----
    The lock is `flock` on the folder itself, which leaves no file behind, ends with its process and is the same
    for every user and every name of the folder. The folders above are held too, shared, so that a workspace and
    another one inside it exclude each other; those of other users, who could block everybody, are not. Where
    folders cannot be locked (Windows, NFS) a file in Loom's data folder is: it excludes only this user's processes
    on this machine, and only from the same folder.
    """
    until = time.monotonic() + WAIT
    with contextlib.ExitStack() as stack:
        try:
            folder = Folder.open(root)
            stack.callback(folder.close)
            if folder.handle is None or not _lock_folders(stack, root, folder.handle, until):
                _lock_file(stack, root, until)
        except TimeoutError:
            raise EditError(f"Another accept or undo is at work in {root}; try again when it is done.") from None
        except OSError as error:
            raise EditError(
                f"{root} cannot be opened ({error.strerror}); check that it is there and that you may read it."
            ) from error
        yield folder


def _lock_folders(stack: contextlib.ExitStack, root: Path, handle: int, until: float) -> bool:
    """Lock an open folder, and share the own ones above it; False where the file system has no such locks."""
    import fcntl

    # From the top down, so that no two wait for each other.
    for parent in reversed(root.resolve().parents):
        with contextlib.suppress(PermissionError, FileNotFoundError):
            above = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, above)
            if os.fstat(above).st_uid == os.geteuid():
                _flock(stack, above, fcntl.LOCK_SH, until)
    return _flock(stack, handle, fcntl.LOCK_EX, until)


def _flock(stack: contextlib.ExitStack, handle: int, how: int, until: float) -> bool:
    import fcntl

    while True:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            _wait(until)
        except OSError:
            return False
        else:
            # Said, for a process forked meanwhile has the same open folder.
            stack.callback(fcntl.flock, handle, fcntl.LOCK_UN)
            return True


def _wait(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError
    time.sleep(_STEP)


def _lock_file(stack: contextlib.ExitStack, root: Path, until: float) -> None:
    from filelock import FileLock, Timeout

    folder = data_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    try:
        stack.enter_context(FileLock(folder / f"{name}.lock", timeout=max(0.0, until - time.monotonic())))
    except Timeout:
        raise TimeoutError from None
