"""Request: what the user's words say to deterministic code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from loom_jupyter.context.terms import STOP, TOKEN, stem, terms, words

MOST_TERMS = 96
MOST_PAIRS = 400
REST = 0.3
PLAIN_WORDS = 7
# Share of words like 'the' and 'does' at which a sentence begins to be plain and is wholly so.
PLAIN_SHARE = (0.1, 0.3)
HEADLINE_SHARE = (0.3, 0.45)
ROUTINE_SHARE = 0.3
# Neither begins within what it has read already, so that a line is read once, however long.
PATH = re.compile(
    r"(?<![\w.@+-])[\w.@+-]*+(?:[/\\][\w.@+-]++)++|(?<![\w-])(?<![\w-]\.)[\w-]+(?:\.[\w-]+)*\.[A-Za-z]\w{0,9}\b"
)
CODE = re.compile(
    r"`([^`\n]+)`|(?<!\w)(--?[a-zA-Z][\w-]+)|\b(\w+)\(|\b(\w+(?:\.\w+)+)"
    r"|\b([A-Za-z]\w*_\w*|_\w+|[a-z]+[A-Z]\w*|[A-Z][a-z0-9]+[A-Z]\w*|[A-Z]{2,}[a-z]\w*)\b"
)
SCOPE = re.compile(r"([\w./@+-]++)(?:\(([\w./@+, -]++)\))?!?:\s")
FOLDER = re.compile(r"(?<![\w.@+-])[\w.@+-]++(?:/[\w.@+-]++)++/?")
SCOPE_SHARE = 0.55
ABOUT = {
    "test": re.compile(
        r"\b(unit|regression)?[- ]?tests?\b|\btesting\b|\bfixtures?\b|\btest suite\b", re.IGNORECASE
    ),
    "doc": re.compile(
        r"\bdocs?\b|\bdocumentation\b|\breadme\b|\bchange ?log\b|\bwhat'?s new\b|\brelease notes\b|\btutorial\b",
        re.IGNORECASE,
    ),
    "config": re.compile(
        r"\bdependenc(y|ies)\b|\bci\b|\bworkflows?\b|\bgithub actions?\b|\bpre-commit\b|\bpackag(e|ing) metadata\b"
        r"|\bbump\b|\bpyproject\b",
        re.IGNORECASE,
    ),
}
ROUTINE = words(
    "fix fixes fixed add adds added update updates updated remove removes removed make makes change changes "
    "changed improve improved support allow ensure handle avoid bug issue error"
)
# Verbs that begin the headline of a change.
HEADLINE = words(
    "build bump clarify clean convert correct create delete deprecate disable display document drop enable "
    "expose honor implement include introduce invert log merge migrate move pass prevent print put raise read "
    "refactor rename render replace require return revert send set show simplify skip start strip switch test "
    "tweak upgrade use warn"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One word of a request.

    Attributes
    ----------
    weight
        1 in the first line; less after it, and for words that every second request has.
    """

    term: str
    weight: float


@dataclass(frozen=True)
class Request:
    """A request, taken apart."""

    text: str

    @cached_property
    def asked(self) -> tuple[Asked, ...]:
        """Words worth looking for, in the order of the text."""
        out: dict[str, float] = {}
        for place, line in enumerate(self.text.split("\n")):
            for token in TOKEN.findall(line):
                for term in terms(token):
                    if term not in STOP:
                        common = ROUTINE_SHARE if stem(term) in ROUTINE_STEMS else 1.0
                        out.setdefault(term, common * (REST if place else 1.0))
        return tuple(Asked(t, w) for t, w in list(out.items())[:MOST_TERMS])

    @property
    def terms(self) -> tuple[str, ...]:
        """The words without their weights."""
        return tuple(a.term for a in self.asked)

    @cached_property
    def mentions(self) -> dict[str, float]:
        """Pieces that look like a path or a file name, in lower case; those after the first line weigh less."""
        out: dict[str, float] = {}
        for place, line in enumerate(self.text.strip().split("\n")):
            for match in PATH.findall(line):
                name = match.replace("\\", "/").strip("./").lower()
                if len(name) > 2:
                    out.setdefault(name, REST if place else 1.0)
        return out

    @cached_property
    def folders(self) -> dict[str, float]:
        """Folders that the first line may name, in lower case: paths, and the scope before a colon."""
        first = self.text.strip().split("\n")[0].lower()
        scope = SCOPE.match(first)
        named = [name for part in scope.groups() if part for name in part.split(",")] if scope else []
        out = {name.strip(" ./"): SCOPE_SHARE for name in named}
        out |= {match.strip("./"): 1.0 for match in FOLDER.findall(first)}
        return {name: share for name, share in out.items() if len(name) > 1}

    @cached_property
    def code(self) -> dict[str, float]:
        """Words written like code: in backticks, with underscores or inner capitals, called, or a flag.

        Those after the first line weigh less.
        """
        out: dict[str, float] = {}
        for place, line in enumerate(self.text.strip().split("\n")):
            for match in CODE.finditer(line):
                for token in TOKEN.findall(next(g for g in match.groups() if g)):
                    word = token.lower().strip("_")
                    if len(word) > 2 and not word.isdigit():
                        out.setdefault(word, REST if place else 1.0)
        return out

    @cached_property
    def pairs(self) -> dict[str, float]:
        """Neighbouring words as one identifier would join them, words in the singular too."""
        out: dict[str, float] = {}
        for line in self.text.split("\n"):
            found = [t.lower() for t in TOKEN.findall(line)]
            for left, right in pairwise(found):
                if left in STOP or right in STOP or not (left.isalpha() and right.isalpha()):
                    continue
                for a in dict.fromkeys((left, left.removesuffix("s"))):
                    for b in dict.fromkeys((right, right.removesuffix("s"))):
                        out.update({f"{a}_{b}": 1.0, f"{a}{b}": 1.0})
        return dict(list(out.items())[:MOST_PAIRS])

    @cached_property
    def plain(self) -> float:
        """How much this is a sentence in plain words (1) rather than a headline or code (0)."""
        first = self.text.strip().split("\n")[0]
        found = [t.lower() for t in TOKEN.findall(first)]
        if self.code or self.mentions or len(found) < PLAIN_WORDS:
            return 0.0
        opening = next((t for t in found if t.isalpha()), "")
        low, high = HEADLINE_SHARE if SCOPE.match(first) or stem(opening) in HEADLINE_STEMS else PLAIN_SHARE
        share = sum(t in STOP for t in found) / len(found)
        return min(1.0, max(0.0, (share - low) / (high - low)))

    def about(self, role: str) -> bool:
        """Whether the first line speaks of tests, documentation or configuration."""
        return role in ABOUT and bool(ABOUT[role].search(self.text.strip().split("\n")[0]))


ROUTINE_STEMS = frozenset(stem(w) for w in ROUTINE)
HEADLINE_STEMS = ROUTINE_STEMS | {stem(w) for w in HEADLINE}


def read(text: str) -> Request:
    """Take a request apart."""
    return Request(text)
