"""Symbols of the best files, ranked by what stands inside their lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from loom_jupyter.context.definitions import CALLABLE, Symbol
from loom_jupyter.context.ledger import Ledger, RankedSymbol
from loom_jupyter.context.notebook_evidence import lines
from loom_jupyter.context.rank import QueryInputs
from loom_jupyter.context.snapshot import Snapshot
from loom_jupyter.context.source import Source, source
from loom_jupyter.context.terms import TOKEN, Splitter, stem, synonyms
from loom_jupyter.context.text import Unreadable

FILES = 24
SHORT_FILE = 60
NAME, OUTER, SIGNATURE, DOC, BODY = 2.0, 1.0, 0.4, 0.3, 2.0
CODE, EXACT, PLACE = 18.0, 1.5, 12.0
K1, LENGTH = 1.2, 0.2
FORM, SYNONYM = 0.6, 0.3
FLOOR, FILE = 0.02, 2.0
MINOR = frozenset(
    {"class", "impl", "constant", "key", "module", "namespace", "struct", "type", "enum", "interface", "trait"}
)


class _Words(NamedTuple):
    """What is looked for: weight and spelling by stem."""

    weight: dict[str, float]
    spelling: dict[str, str]
    terms: frozenset[str]


class _Unit(NamedTuple):
    path: str
    symbol: Symbol
    sha256: str
    times: dict[str, float]
    name: frozenset[str]
    outer: frozenset[str]
    signature: frozenset[str]
    doc: frozenset[str]
    lines: int


class _Stems:
    """Stems of a text's terms, with a memory."""

    def __init__(self) -> None:
        self._split = Splitter()
        self._known: dict[str, tuple[tuple[str, str], ...]] = {}

    def __call__(self, token: str) -> tuple[tuple[str, str], ...]:
        """Return term and stem of each part of a token."""
        got = self._known.get(token)
        if got is None:
            got = self._known[token] = tuple((t, stem(t)) for t in self._split(token))
        return got

    def of(self, text: str) -> frozenset[str]:
        """Return the stems of a text."""
        return frozenset(s for token in TOKEN.findall(text) for _, s in self(token))


def rank_symbols(root: Path, snapshot: Snapshot, given: QueryInputs, ledger: Ledger) -> list[RankedSymbol]:
    """Score the symbols of the ledger's best files; ties by place in the ledger, then by line."""
    words = _words(given)
    stems = _Stems()
    best = dict(ledger.scores[:FILES])
    units = [u for path in best for u in _units(root, snapshot, path, words, stems)]
    rarity = _rarity(units, words)
    mean = sum(u.lines for u in units) / len(units) if units else 1.0
    top = max(best.values(), default=0.0) or 1.0
    code = set(given.request.code)
    hits = [(path, line, 1.0) for path, line, _ in given.places]
    traced = lines(given.notebook, given.request.text)
    out: list[tuple[float, int, RankedSymbol]] = []
    for place, unit in enumerate(units):
        points, said = _score(unit, words, rarity, mean)
        s = unit.symbol
        bare = s.name.rpartition(".")[2].lower().strip("_")
        points += CODE * (bare in code) + EXACT * (bare in words.terms and len(bare) > 3)
        inside = [w for path, line, w in hits if path == unit.path and s.start <= line <= s.end]
        fell = [w for path, line, w in traced if path == unit.path and s.start <= line <= s.end]
        hit = max([*inside, *fell], default=0.0)
        said = ["in the traceback", *said] if fell else said
        share = best[unit.path] / top
        score = (points + PLACE * hit) * (FLOOR + share) + FILE * share
        number = snapshot.number[unit.path]
        if snapshot.roles[number] == "test" and not given.request.about("test") and not hit:
            score /= 2
        name = None if s.kind == "file" else s.name
        ranked = RankedSymbol(
            *(unit.path, name, s.kind, s.start, s.end, round(score, 3), s.signature, " · ".join(said)),
            *(s.cell, unit.sha256),
        )
        out.append((ranked.score, place, ranked))
    out.sort(key=lambda item: (-item[0], item[1]))
    return [ranked for _, _, ranked in out]


def _words(given: QueryInputs) -> _Words:
    """Collect the words of the request, those of the Architect, and other words for them in a plain request."""
    asked = [(a.term, a.weight) for a in given.request.asked]
    asked += [(t, FORM) for word in given.terms for t in Splitter()(word)]
    if given.request.plain:
        share = SYNONYM * given.request.plain
        asked += [(other, weight * share) for term, weight in asked for other in synonyms(term)]
    weight: dict[str, float] = {}
    spelling: dict[str, str] = {}
    for term, worth in asked:
        root = stem(term)
        if worth > weight.get(root, 0.0):
            weight[root], spelling[root] = worth, term
    return _Words(weight, spelling, frozenset(t for t, _ in asked))


def _rarity(units: Sequence[_Unit], words: _Words) -> dict[str, float]:
    """Weigh each word by how few of the units hold it."""
    holders: dict[str, int] = {}
    for unit in units:
        for root in unit.times:
            holders[root] = holders.get(root, 0) + 1
    size = len(units)
    return {
        root: words.weight[root] * math.log(1 + (size - n + 0.5) / (n + 0.5))
        for root, n in sorted(holders.items())
    }


def _score(unit: _Unit, words: _Words, rarity: dict[str, float], mean: float) -> tuple[float, list[str]]:
    points = 0.0
    said: list[tuple[float, str]] = []
    long = K1 * (1 - LENGTH + LENGTH * unit.lines / mean)
    for root in sorted(unit.times.keys() | unit.name | unit.outer):
        worth = rarity.get(root, 0.0)
        if not worth:
            continue
        times = unit.times.get(root, 0.0)
        share = BODY * times / (times + long) if times else 0.0
        share += NAME * (root in unit.name) / len(unit.name or "1") ** 0.5 + OUTER * (root in unit.outer)
        share += SIGNATURE * (root in unit.signature - unit.name) + DOC * (root in unit.doc)
        points += worth * share
        count = round(times)
        said.append((worth * share, f"{words.spelling[root]} ×{count}" if count > 1 else words.spelling[root]))
    said.sort(key=lambda item: (-item[0], item[1]))
    if unit.symbol.kind in MINOR:
        points *= 0.5
    return points, [text for _, text in said[:4]]


def _units(root: Path, snapshot: Snapshot, path: str, words: _Words, stems: _Stems) -> list[_Unit]:
    if path not in snapshot.number:
        return []
    try:
        read = source(root, snapshot, path)
    except (OSError, Unreadable):
        return []
    lines, symbols = read.lines, list(read.symbols)
    short = len(lines) <= SHORT_FILE and not path.endswith(".ipynb")
    if short or not symbols:
        symbols.append(Symbol("", "file", 1, max(1, len(lines)), path))
    found = [
        [
            (root, 1.0 if term in words.terms else FORM)
            for token in TOKEN.findall(line)
            for term, root in stems(token)
            if root in words.weight
        ]
        for line in lines
    ]
    return [_unit(read, s, symbols, found, stems) for s in symbols]


def _unit(
    read: Source, s: Symbol, symbols: Sequence[Symbol], found: Sequence[list[tuple[str, float]]], stems: _Stems
) -> _Unit:
    """Count the words of a symbol's own lines; a class does not own its methods' lines."""
    own = set(range(s.base + s.start, min(s.base + s.end, len(found)) + 1))
    if s.kind not in CALLABLE and s.kind not in ("file", "cell"):
        for inner in symbols:
            inside = inner.base == s.base and s.start <= inner.start and inner.end <= s.end
            if inside and inner is not s and inner.kind in CALLABLE:
                own.difference_update(range(inner.base + inner.start, inner.base + inner.end + 1))
    times: dict[str, float] = {}
    for line in sorted(own):
        for root, share in found[line - 1]:
            times[root] = times.get(root, 0.0) + share
    outer, _, bare = s.name.rpartition(".") if s.kind != "cell" else ("", "", "")
    words = (stems.of(bare), stems.of(outer), stems.of(s.signature), stems.of(s.doc))
    return _Unit(read.path, s, read.sha256, times, *words, len(own))
