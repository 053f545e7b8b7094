"""Pack: chosen units and what helps to read them, within a budget of tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from loom_jupyter.context.context_map import ContextMap, Excerpt, Excluded, Offer, Relation, Target
from loom_jupyter.context.definitions import CALLABLE, CONTAINER, Symbol
from loom_jupyter.context.extract import Field
from loom_jupyter.context.extract.notebook import NotNotebook, cells
from loom_jupyter.context.ledger import Ledger, RankedSymbol
from loom_jupyter.context.snapshot import Snapshot
from loom_jupyter.context.source import Source, source
from loom_jupyter.context.text import Unreadable
from loom_jupyter.errors import LoomError

HEADER_LINES = 30
LONGEST_EXCERPT = 60
# Share of what may be read that excerpts of no file may take.
BESIDE = 1 / 3
HEADER_SHARE = 3
CHANGED = "the file changed while the request was worked on, and this is not found in it again"


class NoRoomError(LoomError):
    """Not even one chosen unit fits the budget."""


class ChangedError(LoomError):
    """The files changed so much while the request was worked on that no chosen unit is found again."""


class _Wish(NamedTuple):
    """An excerpt that would help, before its text is read. Lines within the cell, for notebooks."""

    path: str
    symbol: str | None
    start: int
    end: int
    why: str
    cell: str | None = None


def estimate(text: str) -> int:
    """Guess the number of tokens where no model is loaded."""
    return math.ceil(len(text) / 3.5)


def offers(ledger: Ledger, limit: int = 8) -> list[Offer]:
    """Return the Explorer's choices, best first; a class is left out where its methods are offered."""
    chosen: list[RankedSymbol] = []
    for s in ledger.ranked_symbols:
        if s.kind in ("constant", "impl", "module", "namespace") or any(_overlap(s, c) for c in chosen):
            continue
        if s.kind in CONTAINER and s.end - s.start > LONGEST_EXCERPT and _callable_inside(ledger, s):
            continue
        chosen.append(s)
        if len(chosen) == limit:
            break
    return [
        Offer(
            id=f"s{n}",
            path=s.path,
            symbol=s.symbol,
            kind=s.kind,
            start=s.start,
            end=s.end,
            signature=s.signature,
            evidence=s.evidence,
            score=s.score,
            cell=s.cell,
            sha256=s.sha256,
        )
        for n, s in enumerate(chosen, 1)
    ]


def named(snapshot: Snapshot, name: str) -> list[Offer]:
    """Return the units of code that are called so, by their qualified or their own name."""
    found = [
        (path, s)
        for number, path in enumerate(snapshot.paths)
        for s in snapshot.batch.symbols[number]
        if name and s.kind in CALLABLE | CONTAINER and name in (s.name, s.name.rpartition(".")[2])
    ]
    return [unit(snapshot, path, s, "named in the request", f"s{n}") for n, (path, s) in enumerate(found, 1)]


def unit(snapshot: Snapshot, path: str, s: Symbol, evidence: str, name: str = "") -> Offer:
    """Return a symbol as an offer that no ranking speaks for; `name` is its id, if it has one yet."""
    return Offer(
        id=name,
        path=path,
        symbol=s.name,
        kind=s.kind,
        start=s.start,
        end=s.end,
        signature=s.signature,
        evidence=evidence,
        score=0.0,
        cell=s.cell,
        sha256=snapshot.batch.files[snapshot.number[path]].sha256,
    )


def _overlap(a: RankedSymbol, b: RankedSymbol) -> bool:
    return a.path == b.path and a.cell == b.cell and a.start <= b.end and b.start <= a.end


def _callable_inside(ledger: Ledger, outer: RankedSymbol) -> bool:
    return any(s.kind in CALLABLE and _overlap(s, outer) for s in ledger.ranked_symbols)


class Packer:
    """Reads the workspace and fills one map.

    Parameters
    ----------
    budget
        Tokens that the whole map may have.
    reading
        Tokens up to which excerpts are added; where the targets alone come near to it, a part of it more.
    """

    def __init__(
        self,
        root: Path,
        snapshot: Snapshot,
        ledger: Ledger,
        budget: int,
        count: Callable[[str], int] | None,
        reading: int | None = None,
    ) -> None:
        self.root, self.snapshot, self.ledger = root, snapshot, ledger
        self.budget, self.count = budget, count or estimate
        self.reading = budget if reading is None else reading
        self._sources: dict[str, Source | None] = {}
        self._omitted: list[Excluded] = []

    def pack(self, chosen: Sequence[Offer], beside: Sequence[Excerpt] = ()) -> ContextMap:
        """Return the map of the chosen units, and of excerpts that are in no file.

        Raises
        ------
        NoRoomError
            If no chosen unit fits the budget.
        ChangedError
            If none of them is found again in files that changed meanwhile.
        """
        targets: list[Target] = []
        excerpts: list[Excerpt] = []
        for offer in chosen:
            target = self._target(offer)
            if target is not None and self._map([*targets, target], ()).tokens <= self.budget:
                targets.append(target)
            elif target is not None:
                self._omitted.append(
                    Excluded(path=offer.path, symbol=offer.symbol, reason="no room left in the window")
                )
        if chosen and not targets and any(o.reason.startswith("no room") for o in self._omitted):
            raise NoRoomError(
                f"{chosen[0].path} does not fit the window's {self.budget:,} tokens: "
                "choose a model with a larger window or name a smaller unit."
            )
        if chosen and not targets and any(o.reason == CHANGED for o in self._omitted):
            raise ChangedError(
                f"{chosen[0].path} changed while the request was worked on, and {chosen[0].symbol or 'it'} is not "
                "found in it again: run the request once more."
            )
        excerpts += self._beside(targets, beside)
        alone = self._map(targets, excerpts).tokens
        most = min(self.budget, max(self.reading, alone + self.reading // HEADER_SHARE))
        for wish in self._wishes(targets):
            if any(_same(wish, t) for t in targets) or any(_same(wish, e) for e in excerpts):
                continue
            excerpt = self._excerpt(wish)
            if excerpt is None:
                continue
            if self._map(targets, [*excerpts, excerpt]).tokens <= most:
                excerpts.append(excerpt)
            else:
                self._omitted.append(Excluded(path=wish.path, symbol=wish.symbol, reason=f"no room: {wish.why}"))
        return self._map(targets, excerpts)

    def _beside(self, targets: Sequence[Target], excerpts: Sequence[Excerpt]) -> list[Excerpt]:
        kept: list[Excerpt] = []
        for excerpt in excerpts:
            whole = [*kept, excerpt]
            few = self._map((), whole).tokens <= self.reading * BESIDE
            if few and self._map(targets, whole).tokens <= self.budget:
                kept.append(excerpt)
            else:
                self._omitted.append(
                    Excluded(path=excerpt.path, symbol=excerpt.symbol, reason=f"no room: {excerpt.why}")
                )
        return kept

    def _map(self, targets: Sequence[Target], excerpts: Sequence[Excerpt]) -> ContextMap:
        made = ContextMap(
            query=self.ledger.query,
            targets=tuple(targets),
            excerpts=tuple(excerpts),
            omitted=tuple(self._omitted),
            tokens=0,
        )
        return made.model_copy(update={"tokens": self.count(made.render())})

    def _read(self, path: str) -> Source | None:
        if path not in self._sources:
            self._sources[path] = None
            try:
                self._sources[path] = source(self.root, self.snapshot, path)
            except OSError as error:
                self._omitted.append(Excluded(path=path, symbol=None, reason=f"cannot be read: {error.strerror}"))
            except Unreadable as error:
                self._omitted.append(Excluded(path=path, symbol=None, reason=str(error)))
        return self._sources[path]

    def _symbols(self, path: str) -> Sequence[Symbol]:
        """Return the symbols of a file as it is now."""
        read = self._read(path)
        return read.symbols if read is not None else ()

    def _place(self, unit: Offer | RankedSymbol) -> tuple[int, int] | None:
        """Return the lines of a unit in the file as it is now; None where it cannot be told which it is."""
        read = self._read(unit.path)
        if read is None:
            return None
        if unit.sha256 in ("", read.sha256):
            return unit.start, unit.end
        return read.find(unit.symbol, unit.kind, unit.cell, unit.signature)

    def _slice(self, path: str, start: int, end: int, cell: str | None) -> str | None:
        read = self._read(path)
        if read is None:
            return None
        text = read.text
        if cell is not None:
            try:
                found = next((c.source for c in cells(text)[1] if c.id == cell), None)
            except NotNotebook:
                return None
            if found is None:
                return None
            text = found
        lines = text.split("\n")
        return "\n".join(lines[start - 1 : end]).rstrip("\n") + "\n" if start <= len(lines) else None

    def _target(self, offer: Offer) -> Target | None:
        read, place = self._read(offer.path), self._place(offer)
        if read is None:
            return None
        text = self._slice(offer.path, *place, offer.cell) if place is not None else None
        if place is None or text is None:
            self._omitted.append(Excluded(path=offer.path, symbol=offer.symbol, reason=CHANGED))
            return None
        return Target(
            id=offer.id,
            path=offer.path,
            symbol=offer.symbol,
            kind=offer.kind,
            start=place[0],
            end=place[1],
            sha256=read.sha256,
            text=text,
            cell=offer.cell,
            score=offer.score,
        )

    def _excerpt(self, wish: _Wish) -> Excerpt | None:
        end = min(wish.end, wish.start + LONGEST_EXCERPT - 1)
        text = self._slice(wish.path, wish.start, end, wish.cell)
        if text is None or not text.strip():
            return None
        return Excerpt(
            path=wish.path, symbol=wish.symbol, start=wish.start, end=end, text=text, why=wish.why, cell=wish.cell
        )

    def _wishes(self, targets: Sequence[Target]) -> Iterator[_Wish]:
        """Yield what helps most first: headers, what the targets use, tests that name them, then the ranking."""
        for target in targets:
            yield from self._header(target)
        for target in targets:
            yield from self._used(target)
        for target in targets:
            yield from self._tests(target)
        for s in self.ledger.ranked_symbols[:40]:
            place = self._place(s) if s.kind in CALLABLE or s.kind in ("cell", "section", "file") else None
            if place is not None:
                yield _Wish(s.path, s.symbol, *place, "ranked next", s.cell)

    def _header(self, target: Target) -> Iterator[_Wish]:
        """Imports and constants above the first unit of the target's file, and the head of its class."""
        if target.cell is not None or target.kind in ("file", "section"):
            return
        symbols = self._symbols(target.path)
        first = min((s.start for s in symbols if s.kind != "constant"), default=1)
        if first > 1:
            yield _Wish(target.path, None, 1, min(first - 1, HEADER_LINES), "head of the file")
        for s in symbols:
            if s.kind in CONTAINER and s.start < target.start and target.end <= s.end:
                inner = [i.start for i in symbols if i.kind in CALLABLE and s.start < i.start <= s.end]
                yield _Wish(target.path, s.name, s.start, min(inner, default=s.end + 1) - 1, "head of the class")

    def _used(self, target: Target) -> Iterator[_Wish]:
        """Units of the same file that the target's text names."""
        for s in self._symbols(target.path):
            bare = s.name.rpartition(".")[2]
            if s.kind in CALLABLE and bare in target.text and s.name != target.symbol:
                yield _Wish(target.path, s.name, s.start, s.end, f"used by {target.symbol or target.path}", s.cell)

    def _tests(self, target: Target) -> Iterator[_Wish]:
        """Tests whose text names the target."""
        bare = (target.symbol or "").rpartition(".")[2].lower()
        if not bare or target.kind == "section":
            return
        for number in sorted(set(self.snapshot.lookup(bare).file.tolist())):
            path = self.snapshot.paths[number]
            if self.snapshot.roles[number] != "test":
                continue
            callables = (s for s in self._symbols(path) if s.kind in CALLABLE)
            naming = (s for s in callables if bare in (self._slice(path, s.start, s.end, s.cell) or "").lower())
            for s in islice(naming, 3):
                yield _Wish(path, s.name, s.start, s.end, f"test that names {bare}", s.cell)


def _same(wish: _Wish, other: Target | Excerpt) -> bool:
    return (
        wish.path == other.path and wish.cell == other.cell and wish.start <= other.end and other.start <= wish.end
    )


# Units that a unit calls or is called by, tests that name it, and what the names in it mean.

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
