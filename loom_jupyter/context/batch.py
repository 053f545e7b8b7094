"""Batch: the columns of some indexed files, as workers send, the store keeps and the index merges them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from loom_jupyter.context.definitions import Symbol
from loom_jupyter.context.term_index import Lexicon, Text, count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loom_jupyter.context.extract import Extracted


class FileRow(NamedTuple):
    """One file of the index.

    Attributes
    ----------
    reason
        Why it is not indexed; empty when it is.
    words
        Number of tokens of its text.
    sha256
        Digest of the bytes that it was read from; empty where none were read.
    """

    path: str
    size: int
    mtime_ns: int
    language: str
    reason: str
    lines: int
    words: int
    sha256: str = ""


def _empty() -> NDArray[np.int32]:
    return np.empty(0, np.int32)


class Symbols(Sequence[tuple[Symbol, ...]]):
    """The symbols of each file, kept as JSON and read when they are asked for: few ever are.

    Attributes
    ----------
    folded
        One JSON text a file.
    """

    def __init__(self, folded: Iterable[str] = ()) -> None:
        self.folded = list(folded)
        self._read: dict[int, tuple[Symbol, ...]] = {}

    def __len__(self) -> int:
        return len(self.folded)

    @overload
    def __getitem__(self, number: int) -> tuple[Symbol, ...]: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[tuple[Symbol, ...]]: ...
    def __getitem__(self, number: int | slice) -> tuple[Symbol, ...] | Sequence[tuple[Symbol, ...]]:
        if isinstance(number, slice):
            return Symbols(self.folded[number])
        got = self._read.get(number)
        if got is None:
            got = self._read[number] = tuple(Symbol(*row) for row in json.loads(self.folded[number]))
        return got

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbols) and self.folded == other.folded

    __hash__ = None  # type: ignore[assignment]


@dataclass(slots=True)
class Batch:
    """Files with their symbols, imports and postings.

    Attributes
    ----------
    files
        One row a file; `symbols` and `imports` go along with it.
    imports
        Line and text of each, as JSON.
    vocabulary
        Terms; `term` counts in it.
    term, file, where, count, line
        The postings: this term stands `count` times in this field (`where`) of this file, first in this line.
    """

    files: list[FileRow] = field(default_factory=list)
    symbols: Symbols = field(default_factory=Symbols)
    imports: list[str] = field(default_factory=list)
    vocabulary: list[str] = field(default_factory=list)
    term: NDArray[np.int32] = field(default_factory=_empty)
    file: NDArray[np.int32] = field(default_factory=_empty)
    where: NDArray[np.int32] = field(default_factory=_empty)
    count: NDArray[np.int32] = field(default_factory=_empty)
    line: NDArray[np.int32] = field(default_factory=_empty)


def pack(found: Iterable[tuple[int, int, Extracted]], lexicon: Lexicon) -> Batch:
    """Make a batch of extracted files, given with size and time."""
    batch = Batch()
    texts: list[Text] = []
    rows: list[tuple[int, int, Extracted]] = list(found)
    own: list[int] = []
    for number, (_, _, got) in enumerate(rows):
        own.append(len(texts))
        texts += got.texts(number)
        batch.symbols.folded.append(_folded(got.symbols))
        batch.imports.append(_folded(got.imports))
    counted = count(texts, lexicon)
    for (size, mtime_ns, got), first in zip(rows, own, strict=True):
        words = 0 if got.reason else counted.tokens[first]
        told = (got.language, got.reason, got.lines, words, got.sha256)
        batch.files.append(FileRow(got.path, size, mtime_ns, *told))
    batch.vocabulary = counted.vocabulary
    batch.term, batch.file, batch.where = counted.term, counted.file, counted.where
    batch.count, batch.line = counted.times, counted.line
    return batch


def _folded(rows: Sequence[tuple[object, ...]]) -> str:
    # Half of a surrogate pair, as a notebook may hold it, is no text for DuckDB.
    return json.dumps(rows, ensure_ascii=False).encode("utf-8", "replace").decode() if rows else "[]"
