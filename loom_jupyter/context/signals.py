"""Signals: each looks at the snapshot for one kind of evidence and tells files, points and places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from loom_jupyter.context.extract import Field
from loom_jupyter.context.request import Request
from loom_jupyter.context.rules import Rule
from loom_jupyter.context.words import terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loom_jupyter.context.snapshot import Snapshot

GRAIN = 128  # Points are whole 1/128: exact in binary, so that rows add up to the score in any order.


@dataclass(frozen=True, slots=True)
class Piece:
    """Evidence of one rule and one detail in several files.

    Attributes
    ----------
    points
        In 1/128 points, one a file.
    line
        1-based; 0 where there is none.
    """

    rule: str
    detail: str
    file: NDArray[np.int32]
    points: NDArray[np.int64]
    line: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Given:
    """What a ranking is made from besides the snapshot.

    Attributes
    ----------
    tagged, changed
        Paths.
    places
        Path, line and reason, from a check's output.
    terms
        Words that the Architect added.
    """

    request: Request
    tagged: Sequence[str] = ()
    changed: Mapping[str, str] = field(default_factory=dict)
    places: Sequence[tuple[str, int, str]] = ()
    terms: Sequence[str] = ()


FIELD_RULES = {
    Field.PATH: "term in path",
    Field.BASENAME: "term in path",
    Field.SYMBOL: "term in symbol",
    Field.HEADING: "term in heading",
    Field.IMPORT: "term in import",
    Field.CONTENT: "term in content",
    Field.PROSE: "term in content",
}


def collect(snapshot: Snapshot, given: Given, rules: Mapping[str, Rule]) -> list[Piece]:
    """Return all evidence, in the order of the rules."""
    out = [*_named(snapshot, given, rules)]
    for term in given.request.terms:
        out += _term(snapshot, term, rules)
    out += _architect(snapshot, given, rules)
    if not given.request.about_tests:
        out += _halved(snapshot, out, rules["test, halved"])
    return [p for p in out if p.file.size]


def total(snapshot: Snapshot, pieces: Sequence[Piece]) -> NDArray[np.int64]:
    """Add up the points of each file, in 1/128 points."""
    score = np.zeros(len(snapshot.paths), np.int64)
    for piece in pieces:
        np.add.at(score, piece.file, piece.points)
    return score


def _piece(rule: Rule, detail: str, places: Mapping[int, int], share: float = 1.0) -> Piece:
    """Evidence of equal worth: file number → line."""
    files = np.fromiter(places, np.int32, len(places))
    lines = np.fromiter(places.values(), np.int32, len(places))
    return Piece(rule.name, detail, files, np.full(len(places), _grains(rule.points * share), np.int64), lines)


def _grains(points: float) -> int:
    return round(points * GRAIN)


def _named(snapshot: Snapshot, given: Given, rules: Mapping[str, Rule]) -> Iterator[Piece]:
    number = snapshot.number
    for path in dict.fromkeys(given.tagged):
        if path in number:
            yield _piece(rules["tagged"], path, {number[path]: 0})
    for mention in given.request.mentions:
        yield _piece(rules["path mentioned"], mention, {n: 0 for n in mentioned(snapshot, mention)})
    for path, line, why in given.places:
        if path in number:
            yield _piece(rules["named by the check"], why, {number[path]: line})
    for path, state in sorted(given.changed.items()):
        if path in number:
            yield _piece(rules["changed in git"], state, {number[path]: 0})


def mentioned(snapshot: Snapshot, mention: str) -> list[int]:
    """Return the files that a path-like piece of the request can mean: whole path, its end, or the bare name."""
    out = []
    dotted = mention.replace(".", "/")
    for n, path in enumerate(snapshot.paths):
        low = path.lower()
        if low == mention or low.endswith("/" + mention):
            out.append(n)
        elif "/" in mention or "." in mention:
            bare = low.rpartition(".")[0]
            if bare and "/" in bare and (bare == dotted or bare.endswith("/" + dotted)):
                out.append(n)
    return out


def _term(snapshot: Snapshot, term: str, rules: Mapping[str, Rule]) -> Iterator[Piece]:
    found = snapshot.lookup(term)
    seen: dict[str, dict[int, int]] = {}
    for file, name, line in zip(found.file.tolist(), found.where.tolist(), found.line.tolist(), strict=True):
        seen.setdefault(FIELD_RULES[Field(name)], {}).setdefault(file, line)
    for rule, places in seen.items():
        yield _piece(rules[rule], term, places)


def _architect(snapshot: Snapshot, given: Given, rules: Mapping[str, Rule]) -> Iterator[Piece]:
    asked = set(given.request.terms)
    added = dict.fromkeys(t for word in given.terms for t in terms(word) if t not in asked)
    for term in added:
        found = snapshot.lookup(term)
        places: dict[int, int] = {}
        for file, line in zip(found.file.tolist(), found.line.tolist(), strict=True):
            places[file] = places.get(file) or line
        yield _piece(rules["term from the Architect"], term, places)


def _halved(snapshot: Snapshot, pieces: Sequence[Piece], rule: Rule) -> Iterator[Piece]:
    """Take points from tests, but none of those that the user or the check gave by name."""
    counted = [
        p for p in pieces if p.rule not in ("tagged", "path mentioned", "named by the check", "changed in git")
    ]
    score = total(snapshot, counted)
    tests = np.array([r == "test" for r in snapshot.roles], bool) & (score > 0)
    files = np.flatnonzero(tests).astype(np.int32)
    points = np.rint(score[files] * rule.points).astype(np.int64)
    yield Piece(rule.name, "test", files, points, np.zeros(files.size, np.int32))
