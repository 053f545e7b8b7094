"""Count: the terms of many texts at once, by numpy over their bytes.

A text is cut into runs of word characters. Equal runs are brought together by sorting 64-bit keys (up to eight
characters the bytes themselves, beyond that a hash), and only one of each is looked at as a string. Bytes outside
ASCII count as word characters at first: a run that has some is then read as text, and may hold several tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loom_jupyter.context.terms import MAX_TERM, spellings, stem, terms, tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Column = NDArray[np.int32]

NEWLINE = 10
WORD = np.zeros(256, bool)
WORD[[*b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"]] = True
WORD[128:] = True
SHORTEST = 2
MOST_KNOWN = 400_000
LOW = np.array([(1 << 8 * n) - 1 for n in range(9)], np.uint64)
MIX = np.uint64(0x9E3779B97F4A7C15)
ODD = np.uint64(1 << 63)  # set in the keys of runs that are not ASCII, and in no other
ENDLESS = np.uint64(1)  # the key of all that are too long to be a term


class Text(NamedTuple):
    """A text whose terms are counted.

    Attributes
    ----------
    file, where
        Whose text it is, and which field of it.
    data
        UTF-8.
    lines
        The number of each line of `data`; None for 1, 2, 3, …
    inner
        Byte ranges in order, no word across their ends; they count for the field `inside` as well.
    """

    file: int
    where: int
    data: bytes
    lines: Sequence[int] | None = None
    inner: Sequence[tuple[int, int]] = ()
    inside: int = 0


class Counted(NamedTuple):
    """The terms of some texts.

    Attributes
    ----------
    tokens
        Number of tokens of each text, before they are split into terms.
    term, file, where, times, line
        This term of `vocabulary` stands so often in this field of this file, first in this line. Sorted by term,
        file and field.
    """

    vocabulary: list[str]
    tokens: list[int]
    term: Column
    file: Column
    where: Column
    times: Column
    line: Column


class _Runs(NamedTuple):
    """Runs of word characters, equal ones together, each kind in the order of the texts."""

    start: Numbers
    end: Numbers
    text: Numbers
    kind: Numbers


class _Groups(NamedTuple):
    """Equal runs of one text and field."""

    start: Numbers
    text: Numbers
    kind: Numbers
    where: Numbers
    times: Numbers


class _Found(NamedTuple):
    """What one run holds."""

    terms: tuple[int, ...]
    tokens: int


class Lexicon:
    """A memory of runs and their terms, since source code repeats its identifiers.

    Attributes
    ----------
    terms
        Every term met, by number.
    known
        Runs as their bytes look in Latin-1.
    """

    def __init__(self) -> None:
        self.terms: list[str] = []
        self.known: dict[str, _Found] = {}
        self._numbers: dict[str, int] = {}

    def read(self, run: str) -> _Found:
        """Split a run that is not known yet."""
        if len(self.known) > MOST_KNOWN:
            self.known.clear()
        found = [t for t in tokens(run.encode("latin-1").decode()) if len(t) >= SHORTEST]
        split = [term for token in found for term in terms(token)]
        for term in split:
            if term not in self._numbers:
                self._numbers[term] = len(self.terms)
                self.terms.append(term)
        got = self.known[run] = _Found(tuple(self._numbers[term] for term in split), len(found))
        return got


def count(texts: Sequence[Text], lexicon: Lexicon) -> Counted:
    """Count the terms of `texts`."""
    if not texts:
        none = np.empty(0, np.int32)
        return Counted([], [], none, none, none, none, none)
    data = b"\n".join([*(t.data for t in texts), b""])
    begins = np.cumsum([0, *(len(t.data) + 1 for t in texts)])
    runs = _runs(data, begins)
    flat, reach, words = _terms(data, runs, lexicon)
    said = np.zeros(len(texts), np.int64)
    np.add.at(said, runs.text, words[runs.kind])

    fields = np.array([t.where for t in texts], np.int64)
    parts = [_groups(runs, fields)]
    spans = [(b + s, b + e) for b, t in zip(begins.tolist(), texts, strict=False) for s, e in t.inner]
    if spans:
        inner = _within(runs.start, spans)
        fields = np.array([t.inside for t in texts], np.int64)
        parts.append(_groups(_Runs(*(column[inner] for column in runs)), fields))
    start, text, kind, where, times = (np.concatenate(column) for column in zip(*parts, strict=True))

    # One row a term of each group; then the rows of the same term, file and field are added up.
    width = np.diff(reach)[kind]
    row = np.repeat(np.arange(kind.size), width)
    step = np.arange(row.size) - np.repeat(np.cumsum(width) - width, width)
    file = np.array([t.file for t in texts], np.int64)[text]
    key = (flat[reach[kind[row]] + step] << 32) | (file << 4 | where)[row]
    by = np.argsort(key)
    at = np.flatnonzero(_changes(key[by]))
    line = _lines(data, texts, start)
    key, row = key[by[at]], row[by]
    used, term = np.unique(key >> 32, return_inverse=True)
    return Counted(
        [lexicon.terms[n] for n in used.tolist()],
        said.tolist(),
        term.astype(np.int32),
        (key >> 4 & 0xFFFFFFF).astype(np.int32),
        (key & 15).astype(np.int32),
        np.add.reduceat(times[row], at).astype(np.int32) if at.size else np.empty(0, np.int32),
        np.minimum.reduceat(line[row], at).astype(np.int32) if at.size else np.empty(0, np.int32),
    )


def _runs(data: bytes, begins: Numbers) -> _Runs:
    """Find the runs that may be tokens."""
    word = WORD[np.frombuffer(data, np.uint8)]
    edges = np.flatnonzero(_changes(word))
    if not word[:1].any():
        edges = edges[1:]
    start, end = edges[::2], edges[1::2]
    keep = end - start >= SHORTEST
    start, end = start[keep], end[keep]
    key = _keys(data, start, end)
    order = np.argsort(key, kind="stable")
    start = start[order]
    text = np.searchsorted(begins, start, "right") - 1
    return _Runs(start, end[order], text, np.cumsum(_changes(key[order])) - 1)


def _keys(data: bytes, start: Numbers, end: Numbers) -> NDArray[np.uint64]:
    """Return the same key for equal runs: the bytes, or a hash of them, or a number where they are not ASCII."""
    eight = np.ndarray((len(data),), "<u8", data + bytes(8), 0, (1,))
    size = end - start
    key: NDArray[np.uint64] = eight[start] & LOW[np.minimum(size, 8)]
    for place in range(8, MAX_TERM, 8):
        rest = np.flatnonzero(size > place)
        more = eight[start[rest] + place] & LOW[np.minimum(size[rest] - place, 8)]
        key[rest] = ((key[rest] ^ key[rest] >> np.uint64(29)) * MIX + more) & ~ODD
    key[size > MAX_TERM] = ENDLESS
    if not data.isascii():
        high = np.flatnonzero(np.frombuffer(data, np.uint8) >= 128)
        wide = np.unique(np.searchsorted(start, high, "right") - 1)
        known: dict[bytes, int] = {}
        pairs = zip(start[wide].tolist(), end[wide].tolist(), strict=True)
        key[wide] = np.array([known.setdefault(data[s:e], len(known)) for s, e in pairs], np.uint64) | ODD
    return key


def _terms(data: bytes, runs: _Runs, lexicon: Lexicon) -> tuple[Numbers, Numbers, Numbers]:
    """Return the terms of all kinds of runs in a row, where each kind's begin, and its number of tokens."""
    flat: list[int] = []
    reach, words = [0], []
    first = np.flatnonzero(_changes(runs.kind))
    text = data.decode("latin-1")
    known = lexicon.known
    for start, end in zip(runs.start[first].tolist(), runs.end[first].tolist(), strict=True):
        run = text[start:end]
        found = known.get(run) or lexicon.read(run)
        flat += found.terms
        words.append(found.tokens)
        reach.append(len(flat))
    return np.array(flat, np.int64), np.array(reach, np.int64), np.array(words, np.int64)


def _groups(runs: _Runs, fields: Numbers) -> _Groups:
    """Bring together what is equal within a text; the first of each is the first in the text."""
    at = np.flatnonzero(_changes(runs.kind) | _changes(runs.text))
    text = runs.text[at]
    return _Groups(runs.start[at], text, runs.kind[at], fields[text], np.diff(at, append=runs.text.size))


def _within(start: Numbers, spans: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Tell which places lie in one of the spans, which are in order."""
    span = np.array(spans, np.int64)
    place = np.searchsorted(span[:, 0], start, "right") - 1
    inside: NDArray[np.bool_] = (place >= 0) & (start < span[place, 1])
    return inside


def _lines(data: bytes, texts: Sequence[Text], start: Numbers) -> Numbers:
    """Return the lines of places."""
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8) == NEWLINE)
    parts = [np.arange(1, t.data.count(b"\n") + 2) if t.lines is None else np.array(t.lines) for t in texts]
    numbers: Numbers = np.concatenate(parts)[np.searchsorted(breaks, start)]
    return numbers


def _changes(column: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Tell where a value differs from the one before; the first always does."""
    out = np.ones(column.size, bool)
    out[1:] = column[1:] != column[:-1]
    return out


# Vocabulary: every term the index has met. It only grows, so snapshots may share it.

SHORTEST_ROOT = 3


class Vocabulary:
    """Terms with numbers."""

    def __init__(self) -> None:
        self.terms: list[str] = []
        self._numbers: dict[str, int] = {}
        self._forms: dict[str, list[str]] = {}

    def add(self, terms: Iterable[str]) -> NDArray[np.int32]:
        """Return the numbers of `terms`, giving new ones to those not met before."""
        numbers, known = [], self._numbers
        for term in terms:
            number = known.get(term)
            if number is None:
                number = known[term] = len(known)
                self.terms.append(term)
            numbers.append(number)
        self._forms = {}
        return np.array(numbers, np.int32)

    def number(self, term: str) -> int | None:
        """Return the number of a term, None if it was never met."""
        return self._numbers.get(term)

    def forms(self, term: str) -> list[str]:
        """Return the other terms that are forms of the same word, in alphabetical order."""
        memory = self._forms
        found = memory.get(term)
        if found is None:
            root = stem(term)
            known = {s for s in spellings(root) if s in self._numbers} if root.isalpha() else set()
            real = sorted(s for s in known if s != term and stem(s) == root)
            found = memory[term] = real if len(root) >= SHORTEST_ROOT else []
        return found
