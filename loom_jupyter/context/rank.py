"""Signals: each looks at the snapshot for one kind of evidence and tells files, points and places."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from loom_jupyter.context.extract import Field
from loom_jupyter.context.history import FADED, Past
from loom_jupyter.context.notebook_evidence import Seen, line_of, seen
from loom_jupyter.context.query import Request
from loom_jupyter.context.rules import CODE, FIELDS, PLAIN, Rule
from loom_jupyter.context.terms import synonyms, terms
from loom_jupyter.notebook_state import NOTEBOOK, NotebookState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loom_jupyter.context.snapshot import Snapshot

# BM25F: words of the request in the fields of a file, each word's points split among the fields that hold it.

K1 = 3.0
# For a request in code or as a headline, and for one in plain words, whose words meet long files by chance.
OTHER_FORM = (0.5, 0.7)
SYNONYM = (0.0, 0.45)
OTHER_LENGTH = (0.3, 0.6)
# What the rule's points are multiplied with when the request is in plain words, which seldom stand in paths.
PLAIN_WEIGHTS = {
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
        weights = {
            name: rules[rule].points * (1 - plain + plain * PLAIN_WEIGHTS[name]) for name, rule in RULES.items()
        }
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


GRAIN = 128  # Points are whole 1/128: exact in binary, so that rows add up to the score in any order.
COMPANY = 3
TELLING = 10  # a shorter history does not tell which files change often
LATELY = {"just changed": 5, "often changed": 200}  # half-life in commits
SIMILAR = 20
PAGES = 4
DEMOTED = {
    "test": "test, counts less",
    "doc": "documentation, counts less",
    "config": "configuration, counts less",
    "generated": "configuration, counts less",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Evidence of one rule in several files.

    Attributes
    ----------
    detail
        What was seen: one text for all files, or what tells it for a file's number when someone looks.
    points
        In 1/128 points, one a file.
    line
        1-based; 0 where there is none.
    """

    rule: str
    detail: str | Callable[[int], str]
    file: NDArray[np.int64]
    points: NDArray[np.int64]
    line: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class QueryInputs:
    """What a ranking is made from besides the snapshot.

    Attributes
    ----------
    tagged, changed
        Paths.
    places
        Path, line and reason, from a check's output.
    terms
        Words that the Architect added.
    past
        The commits before; None without git.
    notebook
        What the notebook knows that the request comes from; None if it comes from none.
    """

    request: Request
    tagged: Sequence[str] = ()
    changed: Mapping[str, str] = field(default_factory=dict)
    places: Sequence[tuple[str, int, str]] = ()
    terms: Sequence[str] = ()
    past: Past | None = None
    notebook: NotebookState | None = None


def collect(snapshot: Snapshot, given: QueryInputs, rules: Mapping[str, Rule]) -> list[Piece]:
    """Return all evidence, in the order of the rules."""
    named = list(_named(snapshot, given, rules))
    found = list(_evidence(snapshot, given, rules))
    found += _demoted(snapshot, given.request, found, rules)
    return [p for p in (*named, *found) if p.file.size]


def total(size: int, pieces: Sequence[Piece]) -> NDArray[np.int64]:
    """Add up the points of each file, in 1/128 points."""
    if not pieces:
        return np.zeros(size, np.int64)
    file = np.concatenate([p.file for p in pieces])
    points = np.concatenate([p.points for p in pieces])
    return np.bincount(file, points, size).astype(np.int64)


def _piece(
    rule: str,
    detail: str | Callable[[int], str],
    file: NDArray[np.int64],
    points: NDArray[np.float64],
    line: NDArray[np.int64] | None = None,
) -> Piece:
    """Round points to grains and drop what rounds to nothing."""
    grains = np.rint(points * GRAIN).astype(np.int64)
    keep = grains != 0
    where = np.zeros(file.size, np.int64) if line is None else line
    return Piece(rule, detail, file[keep], grains[keep], where[keep])


# --- named by someone ---------------------------------------------------------------------------------------


def _named(snapshot: Snapshot, given: QueryInputs, rules: Mapping[str, Rule]) -> Iterator[Piece]:
    number = snapshot.number
    for path in dict.fromkeys(given.tagged):
        if path in number:
            yield _equal(rules["tagged"], path, [number[path]])
    for mention, share in given.request.mentions.items():
        files = mentioned(snapshot, mention)
        yield _equal(rules["path mentioned"], mention, files, share=share / max(1, len(files)) ** 0.5)
    for path, line, why in given.places:
        if path in number:
            yield _equal(rules["named by the check"], why, [number[path]], line)
    for item in _from_notebook(given, rules):
        if item.path in number:
            file = number[item.path]
            line = item.line or line_of(snapshot, file, item.symbol)
            yield _piece(item.rule, item.detail, *_one(file, item.points, line))
    for path, state in sorted(given.changed.items()):
        if path in number:
            yield _equal(rules["changed in git"], state, [number[path]])


def notebook_rows(given: QueryInputs, rules: Mapping[str, Rule]) -> list[tuple[str, str, int]]:
    """Return rule, detail and 1/128 points of the evidence that is in the notebook itself, and in no file."""
    own = [item for item in _from_notebook(given, rules) if item.path == NOTEBOOK]
    rows = [(item.rule, item.detail, round(item.points * GRAIN)) for item in own]
    return [row for row in rows if row[2]]


def _from_notebook(given: QueryInputs, rules: Mapping[str, Rule]) -> list[Seen]:
    return seen(given.notebook, given.request.text, rules) if given.notebook is not None else []


def _one(file: int, points: float, line: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    return np.array([file], np.int64), np.array([points]), np.array([line], np.int64)


def _equal(rule: Rule, detail: str, files: Sequence[int], line: int = 0, share: float = 1.0) -> Piece:
    points = np.full(len(files), rule.points * share)
    return _piece(rule.name, detail, np.array(files, np.int64), points, np.full(len(files), line, np.int64))


def mentioned(snapshot: Snapshot, mention: str) -> list[int]:
    """Return the files that a path-like piece of the request can mean: whole path, its end, or its module name."""
    dotted = mention.replace(".", "/")
    out = []
    for n, low in enumerate(snapshot.lower):
        if low == mention or low.endswith("/" + mention):
            out.append(n)
        elif dotted in low:
            bare = low.rpartition(".")[0]
            if "/" in dotted and (bare == dotted or bare.endswith("/" + dotted)):
                out.append(n)
    return out


# --- words ----------------------------------------------------------------------------------------------------


def _evidence(snapshot: Snapshot, given: QueryInputs, rules: Mapping[str, Rule]) -> Iterator[Piece]:
    size = len(snapshot.paths)
    fields = Fields(snapshot, given.past, rules, given.request.plain)
    request = given.request
    rules = _fitted(rules, request.plain)
    hits = fields.look_up((a.term, a.weight) for a in request.asked)
    first = _sum(size, [(h.file, h.worth) for h in hits])
    best = float(first.max()) if size else 0.0
    for h in hits:
        yield from _fields(h, FIELDS / best)
    yield from _paths(size, hits, rules["path in words"])
    yield from _identifiers(snapshot, request, rules)
    asked = set(request.terms)
    added = [(t, 1.0) for t in dict.fromkeys(t for word in given.terms for t in terms(word)) if t not in asked]
    more = fields.look_up(added)
    if more:
        own = best or float(_sum(size, [(h.file, h.worth) for h in more]).max())
        yield from (_architect(h, rules["term from the Architect"], own) for h in more)
    if given.past is not None and hits:
        yield from _similar(given.past, fields, [(h.term, h.weight) for h in hits], rules["similar commit"])
    yield from _folders(snapshot, request, rules["folder named"])
    if best:
        yield from _documented(snapshot, first / best, rules["named in fitting docs"])
        yield _company(snapshot, first / best, rules["directory relevance"])
        if given.past is not None and len(given.past.shas) >= TELLING:
            for name, half in LATELY.items():
                yield _lately(given.past, half, first > 0, rules[name])


def _fitted(rules: Mapping[str, Rule], plain: float) -> dict[str, Rule]:
    """Return the rules with the points that fit a request's kind of language."""
    share = {name: (1 - plain) * CODE.get(name, 1.0) + plain * PLAIN.get(name, 1.0) for name in (*CODE, *PLAIN)}
    return {name: replace(r, points=r.points * share.get(name, 1.0)) for name, r in rules.items()}


def _sum(size: int, parts: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> NDArray[np.float64]:
    if not parts:
        return np.zeros(size)
    file, worth = (np.concatenate([p[i] for p in parts]) for i in range(2))
    return np.bincount(file, worth, size).astype(np.float64)


def _fields(hits: Hits, scale: float) -> Iterator[Piece]:
    for n, rule in enumerate(ORDER):
        part = hits.rule == n
        if part.any():
            yield _piece(rule, hits.term, hits.file[part], hits.worth[part] * scale, hits.line[part])


def _paths(size: int, hits: Sequence[Hits], rule: Rule) -> Iterator[Piece]:
    best = _sum(size, [h.path for h in hits]).max() if size else 0.0
    for h in hits:
        if best and h.path[0].size:
            yield _piece(rule.name, h.term, h.path[0], h.path[1] * (rule.points / best))


def _identifiers(snapshot: Snapshot, request: Request, rules: Mapping[str, Rule]) -> Iterator[Piece]:
    """Identifiers that the request writes like code, or as neighbouring words, by how few files have them."""
    size = len(snapshot.paths)
    for name, wanted, fields in (
        ("identifier used", request.code, (Field.CONTENT,)),
        ("identifier defined", request.code, (Field.SYMBOL,)),
        ("words joined", request.pairs, (Field.PATH, Field.BASENAME, Field.SYMBOL, Field.CONTENT)),
    ):
        found = []
        for word, share in wanted.items():
            places = snapshot.lookup(word)
            if not places.file.size:
                continue
            here = np.isin(places.where, fields)
            files = places.file[here].astype(np.int64)
            if files.size:
                rarity = math.log(1 + (size - files.size + 0.5) / (files.size + 0.5))
                found.append(
                    (word, files, np.full(files.size, rarity * share), places.line[here].astype(np.int64))
                )
        best = _sum(size, [(f, w) for _, f, w, _ in found]).max() if size else 0.0
        for word, files, worth, line in found:
            yield _piece(name, word, files, worth * (rules[name].points / best), line)


def _similar(past: Past, fields: Fields, words: Sequence[tuple[str, float]], rule: Rule) -> Iterator[Piece]:
    """Files of the commits whose messages fit best."""
    likeness = past.likeness([((term, *fields.snapshot.vocabulary.forms(term)), w) for term, w in words])
    top = [n for n in np.argsort(-likeness, kind="stable")[:SIMILAR].tolist() if likeness[n] > 0]
    parts = [(past.files(n), n) for n in top]
    worth = [
        (files.astype(np.int64), np.full(files.size, (likeness[n] / likeness[top[0]]) ** 2 / files.size**0.5), n)
        for files, n in parts
        if files.size
    ]
    best = _sum(fields.size, [(f, w) for f, w, _ in worth]).max() if worth else 0.0
    for files, share, n in worth:
        yield _piece(rule.name, past.title(n), files, share * (rule.points / best))


def _documented(snapshot: Snapshot, share: NDArray[np.float64], rule: Rule) -> Iterator[Piece]:
    """What the best pages of documentation name leads to the files that define it."""
    page, file, weight = snapshot.named_in_docs
    pages = np.unique(page)
    top = pages[np.argsort(-share[pages], kind="stable")][:PAGES]
    worth = []
    for n in top[share[top] > 0].tolist():
        part = page == n
        amount = np.bincount(file[part], weight[part], len(snapshot.paths))
        files = amount.nonzero()[0]
        worth.append((files, amount[files] / amount.max() * share[n], n))
    best = _sum(len(snapshot.paths), [(f, w) for f, w, _ in worth]).max() if worth else 0.0
    for files, amount, n in worth:
        yield _piece(rule.name, snapshot.paths[n], files, amount * (rule.points / best))


def _architect(hits: Hits, rule: Rule, best: float) -> Piece:
    """One row a file and added word; the request's own words set the scale, so that nothing else changes."""
    files, places = np.unique(hits.file, return_inverse=True)
    worth = np.bincount(places, hits.worth, files.size)
    line = np.full(files.size, np.iinfo(np.int64).max)
    np.minimum.at(line, places, np.where(hits.line > 0, hits.line, np.iinfo(np.int64).max))
    line[line == np.iinfo(np.int64).max] = 0
    return _piece(rule.name, hits.term, files, (worth * (rule.points * 4 / best)).astype(np.float64), line)


# --- what the file is -----------------------------------------------------------------------------------------


def _company(snapshot: Snapshot, share: NDArray[np.float64], rule: Rule) -> Piece:
    """The mean of the best files of a folder."""
    folders = snapshot.folders
    files = (share > 0).nonzero()[0]
    order = files[np.lexsort((-share[files], folders[files]))]
    starts = np.searchsorted(folders[order], np.arange(folders.max() + 1))
    top = order[np.arange(order.size) - starts[folders[order]] < COMPANY]
    mean = np.bincount(folders[top], share[top], starts.size) / COMPANY
    worth = mean[folders[files]] * (rule.points / float(mean.max()))
    return _piece(rule.name, lambda n: snapshot.paths[n].rpartition("/")[0] or ".", files, worth)


def _folders(snapshot: Snapshot, request: Request, rule: Rule) -> Iterator[Piece]:
    for name, share in request.folders.items():
        files = [n for n, low in enumerate(snapshot.lower) if f"/{name}/" in f"/{low.rpartition('/')[0]}/"]
        yield _equal(rule, name, files, share=share)


def _lately(past: Past, half: int, fits: NDArray[np.bool_], rule: Rule) -> Piece:
    """What the last commits touched, with a half-life in commits; the first touch tells most."""
    weight, times = past.lately(half)
    worth = np.log1p(10 * weight)
    files = (fits & (worth > 0)).nonzero()[0]
    of = f"of the last {min(half * FADED, len(past.shas)):,} commits"
    share = worth[files] * (rule.points / (float(worth.max()) or 1.0))
    return _piece(rule.name, lambda n: f"{times[n]} {of}", files, share)


def _demoted(
    snapshot: Snapshot, request: Request, pieces: Sequence[Piece], rules: Mapping[str, Rule]
) -> Iterator[Piece]:
    """Take points from what is seldom meant; never those that someone gave by name."""
    score = total(len(snapshot.paths), pieces)
    for role, name in DEMOTED.items():
        if request.about(role):
            continue
        files = ((snapshot.role == role) & (score > 0)).nonzero()[0]
        yield _piece(name, role, files, score[files] * (rules[name].points / GRAIN))
