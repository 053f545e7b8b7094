"""The commits before, as evidence: which files each touched, and which words its message used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from loom_jupyter.context.history import Commit
from loom_jupyter.context.words import Splitter, tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDEST = 30
FADED = 8
K1 = 1.2
LENGTH = 0.75
OTHER_FORM = 0.7


class CommitLog:
    """Every commit met so far, with the words of its message. It only grows."""

    def __init__(self) -> None:
        self.commits: dict[str, Commit] = {}
        self.words: list[int] = []
        self._serial: dict[str, int] = {}
        self._naming: dict[str, list[int]] = {}
        self._split = Splitter()

    def add(self, commits: Sequence[Commit]) -> None:
        """Take in commits; those known already are skipped."""
        for commit in commits:
            if commit.sha in self._serial:
                continue
            serial = self._serial[commit.sha] = len(self._serial)
            self.commits[commit.sha] = commit
            found: set[str] = set()
            count = 0
            for token in tokens(commit.message):
                terms = self._split(token)
                count += len(terms)
                found.update(terms)
            self.words.append(count)
            for term in found:
                self._naming.setdefault(term, []).append(serial)

    def serials(self, shas: Sequence[str]) -> NDArray[np.int64]:
        """Return the serial numbers of commits, in their order."""
        return np.array([self._serial[sha] for sha in shas], np.int64)

    def naming(self, term: str) -> list[int]:
        """Return the serial numbers of the commits whose message has `term`."""
        return self._naming.get(term, [])

    def __len__(self) -> int:
        return len(self._serial)


@dataclass
class Past:
    """The last commits before one moment, against the files of one snapshot.

    Attributes
    ----------
    shas
        Newest first.
    number
        File numbers by path.
    """

    log: CommitLog
    shas: tuple[str, ...]
    number: Mapping[str, int]

    @cached_property
    def _touches(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """File numbers of all commits in a row, and where each commit's begin. Renames are followed backwards."""
        now: dict[str, str] = {}
        files: list[int] = []
        starts = [0]
        for sha in self.shas:
            commit = self.log.commits[sha]
            for path in commit.touched:
                found = self.number.get(now.get(path, path))
                if found is not None:
                    files.append(found)
            for old, new in commit.renamed:
                now[old] = now.get(new, new)
            starts.append(len(files))
        return np.array(files, np.int32), np.array(starts, np.int64)

    @cached_property
    def _position(self) -> NDArray[np.int64]:
        """Position in the window by serial number; -1 for commits outside."""
        out = np.full(len(self.log), -1, np.int64)
        out[self.log.serials(self.shas)] = np.arange(len(self.shas))
        return out

    def lately(self, half: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return how much the last commits touched each file, and how many of them did.

        Parameters
        ----------
        half
            Commits after which a touch counts half; those more than eight times as far back do not count, nor
            those that touched very many files.
        """
        files, starts = self._touches
        sizes = np.diff(starts)
        age = np.repeat(np.arange(sizes.size), sizes)
        near = (age < half * FADED) & np.repeat(sizes <= WIDEST, sizes)
        files, age = files[near], age[near]
        weight = np.bincount(files, 0.5 ** (age / half), len(self.number)).astype(np.float64)
        return weight, np.bincount(files, minlength=len(self.number)).astype(np.int64)

    @cached_property
    def words(self) -> NDArray[np.float64]:
        """Words of the messages of the commits that touched each file."""
        files, starts = self._touches
        lengths = np.array(self.log.words, np.float64)[self.log.serials(self.shas)]
        return np.bincount(files, np.repeat(lengths, np.diff(starts)), len(self.number)).astype(np.float64)

    def naming(self, term: str) -> NDArray[np.int64]:
        """Return positions of the commits whose message has `term`, newest first."""
        serials = [s for s in self.log.naming(term) if s < len(self._position)]
        found = self._position[np.array(serials, np.int64)]
        return np.sort(found[found >= 0])

    def title(self, position: int) -> str:
        """Return a commit's short id and the first line of its message."""
        commit = self.log.commits[self.shas[position]]
        return f"{commit.sha[:8]} {commit.message.partition(chr(10))[0][:80]}"

    def likeness(self, words: Sequence[tuple[Sequence[str], float]]) -> NDArray[np.float64]:
        """Return BM25 of each commit's message for words, given with their other forms and a weight."""
        size = len(self.shas)
        out = np.zeros(size)
        if not size:
            return out
        lengths = np.array(self.log.words, np.float64)[self.log.serials(self.shas)]
        norm = 1 - LENGTH + LENGTH * lengths / max(float(lengths.mean()), 1.0)
        for forms, weight in words:
            times = np.zeros(size)
            for place, form in enumerate(forms):
                times[self.naming(form)] += OTHER_FORM if place else 1.0
            holders = int(np.count_nonzero(times))
            if holders:
                rarity = math.log(1 + (size - holders + 0.5) / (holders + 0.5))
                out += weight * rarity * times / (times + K1 * norm)
        return out

    def files(self, position: int) -> NDArray[np.int32]:
        """Return the files of one commit; none of a commit that touched very many."""
        files, starts = self._touches
        part = files[starts[position] : starts[position + 1]]
        return part if part.size <= WIDEST else part[:0]

    def mentions(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count, for each file, the commits among `positions` that touched it."""
        files, starts = self._touches
        parts = [files[starts[p] : starts[p + 1]] for p in positions.tolist()]
        parts = [p for p in parts if 0 < p.size <= WIDEST]
        if not parts:
            return np.zeros(len(self.number), np.int64)
        return np.bincount(np.concatenate(parts), minlength=len(self.number))
