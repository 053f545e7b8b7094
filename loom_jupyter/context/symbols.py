"""Symbols of the best files, ranked by what stands inside their lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from loom_jupyter.context.extract.notebook import NotNotebook, cells
from loom_jupyter.context.extract.text import Unreadable, decode
from loom_jupyter.context.ledger import Ledger, RankedSymbol
from loom_jupyter.context.signals import Given
from loom_jupyter.context.snapshot import Snapshot
from loom_jupyter.context.symbol import CALLABLE, Symbol
from loom_jupyter.context.words import TOKEN, Splitter

FILES = 24
SHORT_FILE = 60
NAME, EXACT, SIGNATURE, BODY, PLACE = 6.0, 6.0, 2.0, 1.0, 12.0


class _Unit(NamedTuple):
    path: str
    symbol: Symbol
    terms: dict[str, int]
    name: frozenset[str]
    bare: str
    signature: frozenset[str]
    lines: int


def rank_symbols(root: Path, snapshot: Snapshot, given: Given, ledger: Ledger) -> list[RankedSymbol]:
    """Score the symbols of the ledger's best files; ties by place in the ledger, then by line."""
    split = Splitter()
    asked = [*given.request.terms, *(t for word in given.terms for t in split(word))]
    wanted = set(asked)
    units: list[_Unit] = []
    best = ledger.scores[:FILES]
    for path, _ in best:
        units += _units(root, snapshot, path, wanted, split)
    weight = _weights(units, asked)
    score_of = dict(best)
    top = max((s for s in score_of.values()), default=0.0) or 1.0
    marked = {(path, line) for path, line, _ in given.places}
    out: list[tuple[float, int, RankedSymbol]] = []
    for place, unit in enumerate(units):
        points, said = _score(unit, weight)
        hit = sum(
            PLACE for path, line in marked if path == unit.path and unit.symbol.start <= line <= unit.symbol.end
        )
        share = score_of[unit.path] / top
        score = (points + hit) * (0.25 + share) + 2 * share
        number = snapshot.number[unit.path]
        if snapshot.roles[number] == "test" and not given.request.about("test") and not hit:
            score /= 2
        score = round(score, 3)
        kind = unit.symbol.kind
        name = None if kind == "file" else unit.symbol.name
        out.append(
            (
                score,
                place,
                RankedSymbol(
                    unit.path,
                    name,
                    kind,
                    unit.symbol.start,
                    unit.symbol.end,
                    score,
                    unit.symbol.signature,
                    " · ".join(said),
                    unit.symbol.cell,
                ),
            )
        )
    out.sort(key=lambda item: (-item[0], item[1]))
    return [ranked for _, _, ranked in out]


def _weights(units: Sequence[_Unit], asked: Sequence[str]) -> dict[str, float]:
    """Weigh each word by how few of the units hold it."""
    out = {}
    for term in dict.fromkeys(asked):
        holders = sum(term in u.terms for u in units)
        if holders:
            out[term] = math.log(1 + (len(units) - holders + 0.5) / (holders + 0.5))
    return out


def _score(unit: _Unit, weight: dict[str, float]) -> tuple[float, list[str]]:
    points = 0.0
    said: list[tuple[float, str]] = []
    long = 0.6 + 0.4 * unit.lines / 25
    for term, idf in weight.items():
        count = unit.terms.get(term, 0)
        if not count:
            continue
        worth = BODY * count / (count + 1.2 * long)
        worth += NAME * (term in unit.name) + SIGNATURE * (term in unit.signature)
        worth += EXACT * (term == unit.bare)
        points += idf * worth
        said.append((idf * worth, f"{term} ×{count}" if count > 1 else term))
    said.sort(key=lambda item: (-item[0], item[1]))
    if unit.symbol.kind in ("class", "impl", "constant", "module", "namespace"):
        points *= 0.5
    return points, [text for _, text in said[:4]]


def _units(root: Path, snapshot: Snapshot, path: str, wanted: set[str], split: Splitter) -> list[_Unit]:
    number = snapshot.number.get(path)
    if number is None:
        return []
    lines = source_lines(root / path, path)
    if lines is None:
        return []
    symbols = list(snapshot.batch.symbols[number])
    short = len(lines) <= SHORT_FILE and not path.endswith(".ipynb")
    if short or not symbols:
        symbols.append(Symbol("", "file", 1, max(1, len(lines)), path))
    found = [_found(line, wanted, split) for line in lines]
    return [_unit(path, s, symbols, found, split) for s in symbols]


def _unit(path: str, s: Symbol, symbols: Sequence[Symbol], found: Sequence[list[str]], split: Splitter) -> _Unit:
    """Count the words of a symbol's own lines; a class does not own its methods' lines."""
    own = set(range(s.base + s.start, s.base + s.end + 1))
    if s.kind not in CALLABLE and s.kind not in ("file", "cell"):
        for inner in symbols:
            if (
                inner is not s
                and inner.kind in CALLABLE
                and inner.base == s.base
                and s.start <= inner.start
                and inner.end <= s.end
            ):
                own -= set(range(inner.base + inner.start, inner.base + inner.end + 1))
    tally: dict[str, int] = {}
    for line in sorted(own):
        for term in found[line - 1] if line <= len(found) else ():
            tally[term] = tally.get(term, 0) + 1
    name = (
        frozenset(t for token in TOKEN.findall(s.name) for t in split(token)) if s.kind != "cell" else frozenset()
    )
    signature = frozenset(t for token in TOKEN.findall(s.signature) for t in split(token))
    return _Unit(path, s, tally, name, s.name.rpartition(".")[2].lower(), signature, len(own))


def _found(line: str, wanted: set[str], split: Splitter) -> list[str]:
    return [term for token in TOKEN.findall(line) for term in split(token) if term in wanted]


def source_lines(file: Path, path: str) -> list[str] | None:
    """Return a file's lines as the index counts them (a notebook's cells in a row); None if unreadable."""
    try:
        text = decode(file.read_bytes())
        if path.endswith(".ipynb"):
            text = "\n".join(c.source for c in cells(text)[1])
    except NotNotebook:
        pass
    except (OSError, Unreadable):
        return None
    lines = text.split("\n")
    return lines[:-1] if lines and not lines[-1] else lines
