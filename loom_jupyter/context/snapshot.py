"""Snapshot: the whole index of one moment in memory. Never changed once made, so a ledger may hold on to it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loom_jupyter.context.batch import Batch, Symbols
from loom_jupyter.context.definitions import CALLABLE, Symbol
from loom_jupyter.context.extract import Field
from loom_jupyter.context.languages import Role, role_of
from loom_jupyter.context.term_index import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray


FEW = 3
SHORT_NAME = 6


class Postings(NamedTuple):
    """Where one term stands; one entry a file and field."""

    file: NDArray[np.int32]
    where: NDArray[np.int32]
    times: NDArray[np.int32]
    line: NDArray[np.int32]


@dataclass
class Snapshot:
    """The index, files sorted by path.

    Attributes
    ----------
    batch
        All indexed files; postings sorted by term, then file, then field. Its terms count in `vocabulary`.
    """

    batch: Batch = field(default_factory=Batch)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    @cached_property
    def paths(self) -> list[str]:
        """Paths by file number."""
        return [f.path for f in self.batch.files]

    @cached_property
    def names(self) -> NDArray[np.object_]:
        """The same as an array."""
        return np.array(self.paths, dtype=object)

    @cached_property
    def number(self) -> dict[str, int]:
        """File numbers by path."""
        return {p: n for n, p in enumerate(self.paths)}

    @cached_property
    def lower(self) -> list[str]:
        """Paths in lower case."""
        return [p.lower() for p in self.paths]

    @cached_property
    def folders(self) -> NDArray[np.int64]:
        """A number for the folder of each file."""
        known: dict[str, int] = {}
        return np.array([known.setdefault(p.rpartition("/")[0], len(known)) for p in self.paths], np.int64)

    @cached_property
    def roles(self) -> list[Role]:
        """What each file is for."""
        return [role_of(p) for p in self.paths]

    @cached_property
    def role(self) -> NDArray[np.str_]:
        """The same as an array."""
        return np.array(self.roles, dtype="U9")

    @cached_property
    def indexed(self) -> int:
        """Number of files that are indexed."""
        return sum(not f.reason for f in self.batch.files)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.searchsorted(self.batch.term, np.arange(len(self.vocabulary.terms) + 1))

    @cached_property
    def words(self) -> NDArray[np.float64]:
        """Number of tokens of each file."""
        return np.array([f.words for f in self.batch.files], np.float64)

    @cached_property
    def named_in_docs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Pairs of a page of documentation and a file that defines what the page names, with a weight."""
        b = self.batch
        defined = b.where == Field.SYMBOL
        term, file = b.term[defined].astype(np.int64), b.file[defined].astype(np.int64)
        definers = np.bincount(term, minlength=len(self.vocabulary.terms))
        rare = (definers > 0) & (definers <= FEW)
        for n in rare.nonzero()[0].tolist():
            name = self.vocabulary.terms[n]
            rare[n] = len(name) > SHORT_NAME or "_" in name
        pages = self.role == "doc"
        if not pages.any():
            none = np.empty(0, np.int64)
            return none, none, np.empty(0, np.float64)
        named = ((b.where == Field.CONTENT) & pages[b.file] & rare[b.term]).nonzero()[0]
        keep = rare[term]
        term, file = term[keep], file[keep]
        first = np.searchsorted(term, b.term[named])
        parts = []
        for step in range(FEW):
            place = np.minimum(first + step, term.size - 1)
            same = (first + step < term.size) & (term[place] == b.term[named])
            rows = named[same]
            weight = np.minimum(b.count[rows], 3) / definers[b.term[rows]]
            parts.append((b.file[rows].astype(np.int64), file[place[same]], weight))
        page, target, weights = (np.concatenate([p[i] for p in parts]) for i in range(3))
        return page, target, weights

    @cached_property
    def length(self) -> NDArray[np.float64]:
        """Length of every field (row) of every file (column), as a multiple of the mean of files that have one."""
        size, rows = len(self.paths), len(Field)
        key = self.batch.where.astype(np.int64) * size + self.batch.file
        lengths = np.bincount(key, self.batch.count, rows * size).reshape(rows, size)
        holders = np.maximum((lengths > 0).sum(axis=1, keepdims=True), 1)
        return np.asarray(lengths / np.maximum(lengths.sum(axis=1, keepdims=True) / holders, 1), np.float64)

    def lookup(self, term: str) -> Postings:
        """Return where `term` stands."""
        known = self.vocabulary.number(term)
        if known is None or known + 1 >= len(self._starts):
            part = slice(0, 0)
        else:
            part = slice(int(self._starts[known]), int(self._starts[known + 1]))
        b = self.batch
        return Postings(b.file[part], b.where[part], b.count[part], b.line[part])

    def at(self, number: int, line: int) -> Symbol | None:
        """Return the smallest symbol around a line of a file (a line of the index's count, for notebooks)."""
        best: Symbol | None = None
        for s in self.batch.symbols[number]:
            inside = s.base + s.start <= line <= s.base + s.end
            if inside and (best is None or (s.end - s.start, s.kind not in CALLABLE) <= _span(best)):
                best = s
        return best

    def part(self, paths: Collection[str]) -> Batch:
        """Return the batch of some files only, with a vocabulary of its own."""
        wanted = set(paths)
        if wanted >= self.number.keys():
            return replace(self.batch, vocabulary=self.vocabulary.terms)
        out = _merge([(self.batch, self.batch.term, [n for n, p in enumerate(self.paths) if p in wanted])])
        used, places = np.unique(out.term, return_inverse=True)
        out.term = places.astype(np.int32)
        out.vocabulary = [self.vocabulary.terms[n] for n in used.tolist()]
        return out

    def merged(self, gone: Collection[str], new: Sequence[Batch]) -> Snapshot:
        """Return the snapshot without the files in `gone` and with those of `new`, which replace their like."""
        fresh = {f.path for b in new for f in b.files}
        drop = fresh.union(gone)
        kept = [n for n, p in enumerate(self.paths) if p not in drop]
        parts: list[tuple[Batch, NDArray[np.int32], Sequence[int]]] = [(self.batch, self.batch.term, kept)]
        for b in new:
            numbers = self.vocabulary.add(b.vocabulary)
            parts.append((b, numbers[b.term] if b.term.size else b.term, range(len(b.files))))
        return Snapshot(_merge(parts), self.vocabulary)


def _span(symbol: Symbol) -> tuple[int, bool]:
    return symbol.end - symbol.start, symbol.kind not in CALLABLE


def _merge(parts: Iterable[tuple[Batch, NDArray[np.int32], Sequence[int]]]) -> Batch:
    """Put the chosen files of several batches into one, sorted by path and by term."""
    out = Batch()
    columns: list[list[NDArray[np.int32]]] = []
    offset = 0
    for batch, terms, chosen in parts:
        place = np.full(len(batch.files), -1, np.int32)
        place[np.asarray(chosen, np.int64)] = np.arange(offset, offset + len(chosen), dtype=np.int32)
        offset += len(chosen)
        out.files += [batch.files[n] for n in chosen]
        out.symbols.folded += [batch.symbols.folded[n] for n in chosen]
        out.imports += [batch.imports[n] for n in chosen]
        file = place[batch.file] if len(batch.files) else batch.file
        keep = file >= 0
        columns.append([terms[keep], file[keep], batch.where[keep], batch.count[keep], batch.line[keep]])
    order = sorted(range(len(out.files)), key=lambda n: out.files[n].path)
    place = np.empty(len(order), np.int32)
    place[np.asarray(order, np.int64)] = np.arange(len(order), dtype=np.int32)
    out.files = [out.files[n] for n in order]
    out.symbols = Symbols(out.symbols.folded[n] for n in order)
    out.imports = [out.imports[n] for n in order]
    term, file, where, count, line = (np.concatenate([c[i] for c in columns]) for i in range(5))
    file = place[file] if len(order) else file
    key = (term.astype(np.int64) << 32) | (file.astype(np.int64) << 4) | where
    if (key[1:] < key[:-1]).any():
        by = np.argsort(key, kind="stable")
        term, file, where, count, line = (column[by] for column in (term, file, where, count, line))
    out.term, out.file, out.where, out.count, out.line = term, file, where, count, line
    return out
