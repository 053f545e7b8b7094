"""Signals: each looks at the snapshot for one kind of evidence and tells files, points and places."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from loom_jupyter.context.commits import FADED, Past
from loom_jupyter.context.extract import Field
from loom_jupyter.context.fields import ORDER, Fields, Hits
from loom_jupyter.context.notebook_evidence import Seen, line_of, seen
from loom_jupyter.context.request import Request
from loom_jupyter.context.rules import CODE, FIELDS, PLAIN, Rule
from loom_jupyter.context.words import terms
from loom_jupyter.notebook_state import NOTEBOOK, NotebookState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loom_jupyter.context.snapshot import Snapshot

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


def collect(snapshot: Snapshot, given: Given, rules: Mapping[str, Rule]) -> list[Piece]:
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


def _named(snapshot: Snapshot, given: Given, rules: Mapping[str, Rule]) -> Iterator[Piece]:
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


def beside(given: Given, rules: Mapping[str, Rule]) -> list[tuple[str, str, int]]:
    """Return rule, detail and 1/128 points of the evidence that is in the notebook itself, and in no file."""
    own = [item for item in _from_notebook(given, rules) if item.path == NOTEBOOK]
    rows = [(item.rule, item.detail, round(item.points * GRAIN)) for item in own]
    return [row for row in rows if row[2]]


def _from_notebook(given: Given, rules: Mapping[str, Rule]) -> list[Seen]:
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


def _evidence(snapshot: Snapshot, given: Given, rules: Mapping[str, Rule]) -> Iterator[Piece]:
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
        yield _company(snapshot, first / best, rules["good company"])
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
