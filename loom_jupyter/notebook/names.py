"""Text of a user's own: names in it, and a bounded form without secrets."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from loom_jupyter.secrets import masked

NAME = re.compile(r"[^\W\d]\w*")
LONGEST = 20_000
"""Characters of a text that are looked at."""


def names(text: str) -> list[str]:
    """Return the identifiers of a text, in order, each once."""
    return list(dict.fromkeys(n for n in NAME.findall(text[:LONGEST]) if not keyword.iskeyword(n)))


def clean(text: str, limit: int) -> str:
    """Mask secrets, then cut to `limit` characters."""
    text = masked(text[:LONGEST])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_lines(text: str, lines: int, limit: int) -> str:
    """Mask secrets and keep the first lines, each cut to `limit` characters."""
    kept = masked(text[:LONGEST]).rstrip().split("\n")
    more = ["…"] if len(kept) > lines else []
    return "\n".join([*(line if len(line) <= limit else line[: limit - 1] + "…" for line in kept[:lines]), *more])


def shared(text: str, wanted: Iterable[str]) -> list[str]:
    """Return those of the wanted names that stand in a text, in the order wanted."""
    found = set(NAME.findall(text[:LONGEST]))
    return [name for name in wanted if name in found]
