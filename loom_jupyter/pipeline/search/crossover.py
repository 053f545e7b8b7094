"""Attempts at the same unit, crossed: the best one with single definitions of the others.

A small model seldom gets all functions of a file right in one go, but often each of them in some attempt.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from loom_jupyter.context.definitions import Function, definitions, first_line
from loom_jupyter.pipeline.search.branch import Candidate


class _Definition(NamedTuple):
    """A function or method: its lines (0-based, the end not included), its indentation and what it means."""

    first: int
    end: int
    column: int
    tree: str


def crossed(best: str, others: Sequence[str]) -> Iterator[Candidate]:
    """Yield the best attempt with one definition taken from another, in the order of these.

    Nothing for a unit of one function: that would be the other attempt.
    """
    own = _definitions(best)
    if len(own) < 2:
        return
    lines = best.splitlines(keepends=True)
    seen = {(name, definition.tree) for name, definition in own.items()}
    for other in others:
        theirs = other.splitlines(keepends=True)
        for name, found in _definitions(other).items():
            mine = own.get(name)
            if mine is None or mine.column != found.column or (name, found.tree) in seen:
                continue
            seen.add((name, found.tree))
            taken = [*lines[: mine.first], *theirs[found.first : found.end], *lines[mine.end :]]
            yield Candidate("".join(taken), "crossed", 0.0)


def _definitions(text: str) -> dict[str, _Definition]:
    try:
        found = definitions(ast.parse(text))
    except (SyntaxError, ValueError):
        return {}
    return {
        name: _Definition(first_line(node) - 1, node.end_lineno or node.lineno, node.col_offset, ast.dump(node))
        for name, node in found
        if isinstance(node, Function)
    }


# Smaller versions of a change: the same with one of its hunks left out.

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
