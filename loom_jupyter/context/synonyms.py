"""Other words for the same thing, as people and programs use them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from loom_jupyter.context.words import stem


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
