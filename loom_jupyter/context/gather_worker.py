"""The worker's side of `gather`: files in, batches out, until the pipe closes."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from loom_jupyter.context import files
from loom_jupyter.context.batch import Batch, pack
from loom_jupyter.context.count import Lexicon
from loom_jupyter.context.extract import Extracted, extract
from loom_jupyter.context.languages import language_of
from loom_jupyter.context.scan import Found
from loom_jupyter.errors import Cancelled

NICE = 10
AGAIN = -1
"""Time of a file that could not be read for a reason that may pass, so that the next refresh tries again."""
_PASSING = frozenset(
    f"cannot be read: {os.strerror(number)}"
    for number in (
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EIO,
        errno.EAGAIN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    )
)


def read_all(root: Path, wanted: Sequence[Found], stop: threading.Event, lexicon: Lexicon | None = None) -> Batch:
    """Read and extract some files; one that is gone is left out."""
    found = []
    for f in wanted:
        if stop.is_set():
            raise Cancelled
        got = _read(root, f)
        if got is not None:
            found.append((f.size, AGAIN if got.reason in _PASSING else f.mtime_ns, got))
    return pack(found, lexicon or Lexicon())


def _read(root: Path, file: Found) -> Extracted | None:
    try:
        data = files.read(root, file.path).data
    except FileNotFoundError:
        return None
    except OSError as error:
        return Extracted(file.path, language_of(file.path), f"cannot be read: {error.strerror}")
    got = extract(file.path, data)
    got.sha256 = hashlib.sha256(data).hexdigest()
    return got


def main() -> None:
    """Serve until standard input ends."""
    with suppress(OSError):
        os.nice(NICE)
    lexicon, never = Lexicon(), threading.Event()
    inlet, outlet = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            root, wanted = pickle.load(inlet)
        except EOFError:
            return
        batch = read_all(root, [Found(*f) for f in wanted], never, lexicon)
        pickle.dump(batch, outlet, protocol=pickle.HIGHEST_PROTOCOL)
        outlet.flush()
