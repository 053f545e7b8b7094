"""Units that a unit calls or is called by, tests that name it, and what the names in it mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from loom_jupyter.context.context_map import Offer, Relation
from loom_jupyter.context.extract import Field
from loom_jupyter.context.extract.text import Unreadable
from loom_jupyter.context.pack import unit
from loom_jupyter.context.snapshot import Snapshot
from loom_jupyter.context.source import Source, source
from loom_jupyter.context.symbol import CALLABLE, Symbol

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
    if offer.cell is not None or offer.path not in snapshot.number or not offer.symbol:
        return []
    read = _read(root, snapshot, offer.path)
    place = read.find(offer.symbol, offer.kind, None, offer.signature) if read is not None else None
    if read is not None and offer.sha256 == read.sha256:
        place = offer.start, offer.end
    if read is None or place is None:
        return []
    if relation in (Relation.CALLERS, Relation.TESTS):
        found = _users(root, snapshot, offer, tests=relation is Relation.TESTS)
    else:
        found = _used(snapshot, offer, "\n".join(read.lines[place[0] - 1 : place[1]]), relation)
    unlike = ((p, s) for p, s in found if (p, s.name) != (offer.path, offer.symbol))
    ranked = sorted(dict.fromkeys(unlike), key=lambda at: (at[0] != offer.path, at[0], at[1].start))
    return [unit(snapshot, path, symbol, f"{relation.value} {offer.symbol}") for path, symbol in ranked[:limit]]


def _read(root: Path, snapshot: Snapshot, path: str) -> Source | None:
    try:
        return source(root, snapshot, path)
    except (OSError, Unreadable):
        return None


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
        read = _read(root, snapshot, path)
        # Lines of a file that has changed would be looked up among those that it had.
        same = read is not None and read.sha256 == snapshot.batch.files[number].sha256
        for at, line in enumerate(read.lines if read is not None and same else (), 1):
            if call.search(line) and not line.lstrip().startswith(("def ", "async def ", "class ")):
                around = snapshot.at(number, at)
                if around is not None and around.kind in CALLABLE:
                    yield path, around


def _holding(snapshot: Snapshot, name: str, where: Field) -> list[int]:
    """Return the files that hold a name in one of their fields."""
    found = snapshot.lookup(name.lower().strip("_"))
    return sorted(set(found.file[found.where == where].tolist()))
