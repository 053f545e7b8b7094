"""BM25F: words of the request in the fields of a file, each word's points split among the fields that hold it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from loom_jupyter.context.commits import Past
from loom_jupyter.context.extract import Field
from loom_jupyter.context.rules import Rule
from loom_jupyter.context.synonyms import synonyms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loom_jupyter.context.snapshot import Snapshot

K1 = 3.0
# For a request in code or as a headline, and for one in plain words, whose words meet long files by chance.
OTHER_FORM = (0.5, 0.7)
SYNONYM = (0.0, 0.45)
OTHER_LENGTH = (0.3, 0.6)
# What the rule's points are multiplied with when the request is in plain words, which seldom stand in paths.
PLAIN = {
    Field.PATH: 0.1,
    Field.BASENAME: 0.1,
    Field.SYMBOL: 0.5,
    Field.HEADING: 0.5,
    Field.IMPORT: 0.5,
    Field.CONTENT: 1.5,
    Field.PROSE: 1.0,
}
LENGTH = {Field.PATH: 0.0, Field.BASENAME: 0.0}
MESSAGE_LENGTH = 0.75
BASENAME = 0.8
MOST_POSTINGS = 400_000
RULES = {
    Field.PATH: "term in path",
    Field.BASENAME: "term in path",
    Field.SYMBOL: "term in symbol",
    Field.HEADING: "term in heading",
    Field.IMPORT: "term in import",
    Field.CONTENT: "term in content",
    Field.PROSE: "term in prose",
}
HISTORY = "term in old commits"
SYNONYMS = "synonym"
ORDER = tuple(dict.fromkeys([*RULES.values(), HISTORY, SYNONYMS]))


_Columns: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]"


@dataclass(frozen=True, slots=True)
class Hits:
    """Where one word stands.

    Attributes
    ----------
    file, rule
        One entry a file and rule (a position in `ORDER`).
    worth
        Share of the word's points, before they are scaled.
    line
        First line; 0 where there is none.
    path
        Files whose path holds the word itself or a form of it, each with how well.
    """

    term: str
    weight: float
    rarity: float
    file: NDArray[np.int64]
    rule: NDArray[np.int64]
    worth: NDArray[np.float64]
    line: NDArray[np.int64]
    path: tuple[NDArray[np.int64], NDArray[np.float64]]


class Fields:
    """Looks words up in one snapshot and its past."""

    def __init__(
        self, snapshot: Snapshot, past: Past | None, rules: Mapping[str, Rule], plain: float = 0.0
    ) -> None:
        self.snapshot, self.past = snapshot, past
        self.size = len(snapshot.paths)
        weights = {name: rules[rule].points * (1 - plain + plain * PLAIN[name]) for name, rule in RULES.items()}
        self._path_weight = weights[Field.PATH]
        weights[Field.BASENAME] *= BASENAME
        self.message = rules[HISTORY].points
        self._form, self._synonym, length = (
            (1 - plain) * code + plain * words for code, words in (OTHER_FORM, SYNONYM, OTHER_LENGTH)
        )
        self._synonym *= rules[SYNONYMS].points
        self._weight = np.array([weights.get(name, 0.0) for name in Field])
        self._rule = np.array([ORDER.index(RULES[name]) if name in RULES else 0 for name in Field])
        self._share = np.array([LENGTH.get(name, length) for name in Field])  # of a field's length in BM25's norm
        if past is not None and past.words.any():
            mean = past.words[past.words > 0].mean()
            self._told = 1 - MESSAGE_LENGTH + MESSAGE_LENGTH * past.words / mean

    def look_up(self, words: Iterable[tuple[str, float]]) -> list[Hits]:
        """Return the hits of words given with their weights; the commonest are left out of a very large tree."""
        out: list[Hits] = []
        for term, weight in words:
            hits = self._hits(term, weight)
            if hits is not None:
                out.append(hits)
        left = MOST_POSTINGS
        kept: set[str] = set()
        for hits in sorted(out, key=lambda h: (-h.rarity, h.term)):
            left -= hits.file.size
            if left < 0 and kept:
                break
            kept.add(hits.term)
        return [h for h in out if h.term in kept]

    def _hits(self, term: str, weight: float) -> Hits | None:
        file, rule, amount, line = self._postings(term)
        other = self._synonyms(term)
        if other is not None:
            file, rule, amount, line = (
                np.concatenate(pair) for pair in zip((file, rule, amount, line), other, strict=True)
            )
        told_file, told = self._messages(term)
        file = np.concatenate([file, told_file])
        if not file.size:
            return None
        rule = np.concatenate([rule, np.full(told_file.size, ORDER.index(HISTORY), np.int64)])
        amount = np.concatenate([amount, told])
        line = np.concatenate([line, np.zeros(told_file.size, np.int64)])
        # One entry a file and rule: forms and neighbouring fields are added up.
        key, places = np.unique(file * len(ORDER) + rule, return_inverse=True)
        amount = np.bincount(places, amount, key.size).astype(np.float64)
        first = np.full(key.size, np.iinfo(np.int64).max)
        np.minimum.at(first, places, np.where(line > 0, line, np.iinfo(np.int64).max))
        first[first == np.iinfo(np.int64).max] = 0
        file, rule = key // len(ORDER), key % len(ORDER)
        whole = np.bincount(file, amount, self.size)
        holders = int(np.count_nonzero(whole))
        rarity = math.log(1 + (self.size - holders + 0.5) / (holders + 0.5))
        worth = weight * rarity * amount / (K1 + whole[file])
        in_path = (rule == ORDER.index("term in path")).nonzero()[0]
        strength = np.minimum(1.0, amount[in_path] / (BASENAME * self._path_weight or 1.0))
        return Hits(term, weight, rarity, file, rule, worth, first, (file[in_path], weight * rarity * strength))

    def _postings(self, term: str) -> _Columns:
        """Return file, rule, weighted count and line of all places of a word and its forms."""
        parts = []
        for form in (term, *self.snapshot.vocabulary.forms(term)):
            found = self.snapshot.lookup(form)
            if not found.file.size:
                continue
            share = 1.0 if form == term else self._form
            norm = 1 + self._share[found.where] * (self.snapshot.length[found.where, found.file] - 1)
            amount = share * self._weight[found.where] * found.times / norm
            parts.append(
                (found.file.astype(np.int64), self._rule[found.where], amount, found.line.astype(np.int64))
            )
        if not parts:
            empty = np.empty(0, np.int64)
            return empty, empty, np.empty(0, np.float64), empty
        file, rule, amount, line = (np.concatenate([p[i] for p in parts]) for i in range(4))
        keep = amount > 0
        return file[keep], rule[keep], amount[keep], line[keep]

    def _synonyms(self, term: str) -> _Columns | None:
        """Return the places of other words for the same thing, all under one rule."""
        if not self._synonym:
            return None
        parts = [self._postings(word) for word in synonyms(term)]
        parts = [p for p in parts if p[0].size]
        if not parts:
            return None
        file, _, amount, line = (np.concatenate([p[i] for p in parts]) for i in range(4))
        return file, np.full(file.size, ORDER.index(SYNONYMS), np.int64), amount * self._synonym, line

    def _messages(self, term: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the files whose commits' messages have a word or its forms, with the weighted count."""
        amount = np.zeros(self.size)
        if self.past is not None and self.message and self.past.shas and self.size:
            for form in (term, *self.snapshot.vocabulary.forms(term)):
                found = self.past.naming(form)
                if found.size:
                    share = 1.0 if form == term else self._form
                    amount += share * self.message * self.past.mentions(found) / self._told
        files = amount.nonzero()[0]
        return files, amount[files]
