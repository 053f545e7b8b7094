"""Gather: read the files that changed, in worker processes when there are many."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from loom_jupyter.context.batch import Batch, pack
from loom_jupyter.context.extract import Extracted, extract
from loom_jupyter.context.languages import language_of
from loom_jupyter.context.scan import Found, ScanCancelled
from loom_jupyter.context.words import Splitter


def gather(root: Path, files: Sequence[Found], cancel: threading.Event | None = None) -> list[Batch]:
    """Read and extract `files`; one that went away meanwhile is left out."""
    split = Splitter()
    found = []
    for f in files:
        if cancel is not None and cancel.is_set():
            raise ScanCancelled
        got = read_one(root, f, split)
        if got is not None:
            found.append((f.path, f.size, f.mtime_ns, got))
    return [pack(found)]


def read_one(root: Path, file: Found, split: Splitter) -> Extracted | None:
    """Extract one file; None if it is gone."""
    try:
        data = (root / file.path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return Extracted(language_of(file.path), f"cannot be read: {error.strerror}")
    return extract(file.path, data, split)
