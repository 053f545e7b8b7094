"""Smaller versions of a change: the same with one of its hunks left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

Hunk = tuple[int, int, int, int]
# Pairs of lines that are compared; what is longer counts as one hunk.
_MOST_PAIRS = 250_000


def hunks(before: str, after: str) -> list[Hunk]:
    """Return where two texts differ, as half-open ranges of lines of the one and of the other."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if len(old) * len(new) > _MOST_PAIRS:
        return [(0, len(old), 0, len(new))] if old != new else []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return [(a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def with_hunks(before: str, after: str, kept: Sequence[Hunk]) -> str:
    """Return `before` with these hunks of the change to `after`."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(_pieces(old, new, kept))


def _pieces(old: Sequence[str], new: Sequence[str], kept: Sequence[Hunk]) -> Iterator[str]:
    position = 0
    for start, end, first, last in kept:
        yield from old[position:start]
        yield from new[first:last]
        position = end
    yield from old[position:]
