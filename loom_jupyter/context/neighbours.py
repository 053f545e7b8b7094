"""Units that a unit calls or is called by, tests that name it, and what the names in it mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from loom_jupyter.context.context_map import Offer, Relation
from loom_jupyter.context.extract import Field
from loom_jupyter.context.pack import unit
from loom_jupyter.context.snapshot import Snapshot
from loom_jupyter.context.symbol import CALLABLE, Symbol
from loom_jupyter.context.symbols import source_lines

MOST_FILES = 20
# A name that so many files define says nothing, unless one of them is the unit's own.
COMMON = 3
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_WORD = re.compile(r"\b[A-Za-z_]\w*\b")


def related(root: Path, snapshot: Snapshot, offer: Offer, relation: Relation, limit: int = 4) -> list[Offer]:
    """Return what stands in a relation to a unit, nearest first: units of its own file, then by path and line.

    Parameters
    ----------
    offer
        Of a file; of a notebook nothing is known.
    """
    lines = source_lines(root / offer.path, offer.path)
    if lines is None or offer.cell is not None or offer.path not in snapshot.number or not offer.symbol:
        return []
    if relation in (Relation.CALLERS, Relation.TESTS):
        found = _users(root, snapshot, offer, tests=relation is Relation.TESTS)
    else:
        found = _used(snapshot, offer, "\n".join(lines[offer.start - 1 : offer.end]), relation)
    unlike = ((p, s) for p, s in found if (p, s.name) != (offer.path, offer.symbol))
    ranked = sorted(dict.fromkeys(unlike), key=lambda at: (at[0] != offer.path, at[0], at[1].start))
    return [unit(path, symbol, f"{relation.value} {offer.symbol}") for path, symbol in ranked[:limit]]


def _used(snapshot: Snapshot, offer: Offer, text: str, relation: Relation) -> Iterator[tuple[str, Symbol]]:
    """Yield the definitions of the names that a unit's text calls, or else only names."""
    called = set(_CALLED.findall(text))
    names = called if relation is Relation.CALLEES else set(_WORD.findall(text)) - called
    for name in sorted(names):
        files = _holding(snapshot, name, Field.SYMBOL)
        found = [
            (snapshot.paths[n], s)
            for n in files
            for s in snapshot.batch.symbols[n]
            if s.name.rpartition(".")[2] == name and (s.kind in CALLABLE) == (relation is Relation.CALLEES)
        ]
        own = [at for at in found if at[0] == offer.path]
        yield from own or (found if len(found) <= COMMON else ())


def _users(root: Path, snapshot: Snapshot, offer: Offer, *, tests: bool) -> Iterator[tuple[str, Symbol]]:
    """Yield the innermost functions that call a unit by its name: of tests, or of other code."""
    bare = (offer.symbol or "").rpartition(".")[2]
    call = re.compile(rf"\b{re.escape(bare)}\s*\(")
    role = "test" if tests else "source"
    files = [n for n in _holding(snapshot, bare, Field.CONTENT) if snapshot.roles[n] == role]
    for number in files[:MOST_FILES]:
        path = snapshot.paths[number]
        for at, line in enumerate(source_lines(root / path, path) or (), 1):
            if call.search(line) and not line.lstrip().startswith(("def ", "async def ", "class ")):
                around = snapshot.at(number, at)
                if around is not None and around.kind in CALLABLE:
                    yield path, around


def _holding(snapshot: Snapshot, name: str, where: Field) -> list[int]:
    """Return the files that hold a name in one of their fields."""
    found = snapshot.lookup(name.lower().strip("_"))
    return sorted(set(found.file[found.where == where].tolist()))
