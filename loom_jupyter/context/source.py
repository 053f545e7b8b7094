"""Source: a file as it is now, with the symbols that stand in just these bytes.

The index keeps a digest of what it read. Where a file holds something else now, its symbols are found again, so
that a line number is never used on another text than the one it was counted in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from loom_jupyter.context import files
from loom_jupyter.context.definitions import Symbol
from loom_jupyter.context.extract import extract
from loom_jupyter.context.extract.notebook import NotNotebook, cells
from loom_jupyter.context.snapshot import Snapshot
from loom_jupyter.context.text import indexed


class Source:
    """One file's bytes and what stands in them.

    Attributes
    ----------
    text
        With Unix line ends and masks; a notebook's JSON.
    symbols
        In the order of their lines.
    """

    def __init__(self, path: str, data: bytes, known: tuple[Symbol, ...] | None, digest: str) -> None:
        self.path, self.data = path, data
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.text = indexed(path, data)
        same = known if digest == self.sha256 else None
        self.symbols: Sequence[Symbol] = extract(path, data).symbols if same is None else same

    @cached_property
    def lines(self) -> list[str]:
        """The lines as the index counts them: a notebook's cells in a row."""
        text = self.text
        if self.path.endswith(".ipynb"):
            with suppress(NotNotebook):
                text = "\n".join(cell.source for cell in cells(text)[1])
        lines = text.split("\n")
        return lines[:-1] if lines and not lines[-1] else lines

    def find(self, name: str | None, kind: str, cell: str | None, signature: str) -> tuple[int, int] | None:
        """Return the lines of a unit; None where there is none of that name, or it cannot be told which it is."""
        if kind == "file":
            return 1, max(1, len(self.lines))
        found = [s for s in self.symbols if (s.name, s.kind, s.cell) == (name, kind, cell)]
        if len(found) > 1:
            found = [s for s in found if s.signature == signature]
        return (found[0].start, found[0].end) if len(found) == 1 else None


def source(root: Path, snapshot: Snapshot, path: str) -> Source:
    """Read a file of the workspace.

    Raises
    ------
    OSError
        It cannot be read.
    Unreadable
        It is no text.
    """
    number = snapshot.number.get(path)
    data = files.read(root, path).data
    if number is None:
        return Source(path, data, None, "")
    return Source(path, data, snapshot.batch.symbols[number], snapshot.batch.files[number].sha256)
