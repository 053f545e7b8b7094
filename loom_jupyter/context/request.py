"""Request: what the user's words say to deterministic code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loom_jupyter.context.words import TOKEN, meaningful, terms

MOST_TERMS = 64
PATH = re.compile(r"[\w.@+-]*(?:[/\\][\w.@+-]+)+|[\w-]+(?:\.[\w-]+)*\.[A-Za-z]\w{0,9}\b")
ABOUT_TESTS = re.compile(r"\btests?\b|\btesting\b|\bunit[- ]?tests?\b|\bfixtures?\b|\bspecs?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, taken apart.

    Attributes
    ----------
    terms
        Words worth looking for, in the order of the text.
    mentions
        Pieces that look like a path or a file name, lower case, with ``/``.
    about_tests
        Whether it asks for tests.
    """

    text: str
    terms: tuple[str, ...]
    mentions: tuple[str, ...]
    about_tests: bool


def read(text: str) -> Request:
    """Take a request apart."""
    words = meaningful(t for token in TOKEN.findall(text) for t in terms(token))
    found = dict.fromkeys(m.replace("\\", "/").strip("./").lower() for m in PATH.findall(text))
    return Request(
        text, tuple(words[:MOST_TERMS]), tuple(m for m in found if len(m) > 2), bool(ABOUT_TESTS.search(text))
    )
