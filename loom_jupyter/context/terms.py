"""Words: how text and identifiers become terms, the same way for files and for requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

TOKEN = re.compile(r"\w+")
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
MAX_TERM = 48


def words(text: str) -> frozenset[str]:
    """Return a set of words, written with spaces between them."""
    return frozenset(text.split())


STOP = words(
    "a about above after again all also am an and any are aren as at be because been before being below "
    "between both but by can cannot could couldn did didn do does doesn doing don down during each few "
    "for from further had hadn has hasn have haven having he her here hers him his how i if in into is "
    "isn it its itself just let ll me more most must mustn my no nor not now of off on once only or other "
    "our out over own please re same she should shouldn so some such than that the their them then there "
    "these they this those through to too under until up use used uses using ve very want wants was wasn "
    "we were weren what when where which while who whom why will with without won would wouldn you your"
)


def terms(token: str) -> tuple[str, ...]:
    """Split one token into its terms: the parts of an identifier, and the whole of a compound one.

    Examples
    --------
    >>> terms("parcelPrice")
    ('parcel', 'price', 'parcelprice')
    >>> terms("parcel_price")
    ('parcel', 'price', 'parcel_price')
    """
    if len(token) > MAX_TERM:
        return ()
    parts = [p.lower() for p in PARTS.findall(token)]
    kept = [p for p in parts if len(p) > 1]
    whole = token.lower()
    if len(parts) > 1 and whole.strip("_"):
        kept.append(whole.strip("_"))
    return tuple(dict.fromkeys(kept))


ENDINGS = (
    *("ization", "isation", "ments", "ment", "ingly", "ings", "ing", "edly", "ed", "ers", "er", "ors", "or"),
    *("able", "ible", "ally", "ly", "ions", "ion", "ive", "ness", "al"),
)
SHORTEST_STEM = 4
FORM_ENDINGS = tuple(dict.fromkeys(f"{e}{s}" for e in ("", "e", "y", *ENDINGS) for s in ("", "s")))


def stem(word: str) -> str:
    """Return what the forms of an English word have in common; other words come back as they are.

    Examples
    --------
    >>> stem("deprecation") == stem("deprecated") == stem("deprecates")
    True
    """
    if len(word) <= 3 or not (word.isascii() and word.isalpha()):
        return word
    word = _singular(word)
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            word = word.removesuffix(ending)
            break
    if len(word) > SHORTEST_STEM and word.endswith("e"):
        word = word[:-1]
    if len(word) >= 7 and word.endswith("at"):
        word = word[:-2]
    if len(word) > SHORTEST_STEM and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return f"{word[:-1]}y" if word.endswith("i") else word


def spellings(root: str) -> Iterator[str]:
    """Yield what a word of the stem `root` may look like; most of it is no word, and some has another stem."""
    starts = [root, f"{root}e", f"{root}at", f"{root}ate", f"{root}{root[-1]}"]
    if root.endswith("y"):
        starts.append(f"{root[:-1]}i")
    for start in starts:
        for ending in FORM_ENDINGS:
            yield start + ending


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "ches", "shes", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


class Splitter:
    """`terms` with a memory: source code repeats its identifiers."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}

    def __call__(self, token: str) -> tuple[str, ...]:
        """Return the terms of `token`."""
        got = self._known.get(token)
        if got is None:
            if len(self._known) > 400_000:
                self._known.clear()
            got = self._known[token] = terms(token)
        return got


def tokens(text: str) -> Iterator[str]:
    """Yield the tokens of `text`, in order."""
    for match in TOKEN.finditer(text):
        yield match.group()


# Other words for the same thing, as people and programs use them.


@cache
def _table() -> dict[str, dict[str, None]]:
    """Words by the stem of each of their synonyms; one line of ``synonyms.txt`` is one group."""
    out: dict[str, dict[str, None]] = {}
    for line in files(__package__).joinpath("synonyms.txt").read_text("utf-8").splitlines():
        group = {word: stem(word) for word in line.split()}
        for own in group.values():
            others = out.setdefault(own, {})
            others.update(dict.fromkeys(word for word, other in group.items() if other != own))
    return out


def synonyms(word: str) -> list[str]:
    """Return other words for `word`, in alphabetical order."""
    return sorted(_table().get(stem(word), ()))
