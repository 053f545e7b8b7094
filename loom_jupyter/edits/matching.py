"""Which lines two texts have in common, found in time that grows with their length and not with its square.

Short passages are compared by :mod:`difflib`, whose time is the square of the length and more. Longer ones are
cut at lines that each side has once (patience diff), then by Myers' algorithm while that is quick. What is left
is taken as replaced: a coarser answer, never a wrong one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

# Pairs of lines that difflib may compare, edits of one passage, and steps that a whole comparison may take.
_SMALL, _MOST_EDITS, _MOST_STEPS = 40_000, 400, 1_500_000


class Match(NamedTuple):
    """Lines that are the same: where they begin in the old and in the new text, and how many there are."""

    a: int
    b: int
    size: int


class Change(NamedTuple):
    """Lines that differ, as half-open ranges of the old and of the new text."""

    old: tuple[int, int]
    new: tuple[int, int]


class _Passage(NamedTuple):
    """A part of both texts."""

    a: int
    end_a: int
    b: int
    end_b: int


def matching_blocks(old: Sequence[str], new: Sequence[str]) -> list[Match]:
    """Return the runs of lines that both texts have, in order; an empty one at their ends comes last.

    Runs are as long as they can be: two that touch on both sides are one.
    """
    joined: list[Match] = []
    for match in sorted(_Matcher(old, new).matches()):
        if joined and joined[-1].a + joined[-1].size == match.a and joined[-1].b + joined[-1].size == match.b:
            match = Match(joined[-1].a, joined[-1].b, joined.pop().size + match.size)
        joined.append(match)
    return [*joined, Match(len(old), len(new), 0)]


def changes(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    """Yield what differs between two texts, in order."""
    a = b = 0
    for match in matching_blocks(old, new):
        if a < match.a or b < match.b:
            yield Change((a, match.a), (b, match.b))
        a, b = match.a + match.size, match.b + match.size


def common_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """Return how many lines two texts share at their start, and how many more at their end."""
    shorter = min(len(old), len(new))
    first = 0
    while first < shorter and old[first] == new[first]:
        first += 1
    last = 0
    while last < shorter - first and old[-1 - last] == new[-1 - last]:
        last += 1
    return first, last


class _Matcher:
    """One comparison, and the steps that are left to it."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        self.old, self.new = old, new
        self.left = _MOST_STEPS

    def matches(self) -> Iterator[Match]:
        waiting = [_Passage(0, len(self.old), 0, len(self.new))]
        while waiting:
            whole = waiting.pop()
            old, new = self.old[whole.a : whole.end_a], self.new[whole.b : whole.end_b]
            first, last = common_ends(old, new)
            if first:
                yield Match(whole.a, whole.b, first)
            if last:
                yield Match(whole.end_a - last, whole.end_b - last, last)
            inner = _Passage(whole.a + first, whole.end_a - last, whole.b + first, whole.end_b - last)
            old, new = old[first : len(old) - last], new[first : len(new) - last]
            self.left -= len(old) + len(new)
            if not old or not new or self.left < 0:
                continue
            if len(old) * len(new) <= _SMALL:
                self.left -= len(old) * len(new) // 4
                blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
                yield from (Match(inner.a + m.a, inner.b + m.b, m.size) for m in blocks if m.size)
            elif anchors := _anchors(old, new):
                at = inner
                for a, b in anchors:
                    yield Match(inner.a + a, inner.b + b, 1)
                    waiting.append(_Passage(at.a, inner.a + a, at.b, inner.b + b))
                    at = _Passage(inner.a + a + 1, inner.end_a, inner.b + b + 1, inner.end_b)
                waiting.append(at)
            else:
                yield from (Match(inner.a + a, inner.b + b, 1) for a, b in self._snakes(old, new))

    def _snakes(self, old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Yield pairs of equal lines on a shortest way of edits (Myers); none where that is a long one."""
        furthest = {1: 0}
        rounds: list[dict[int, int]] = []
        for edits in range(_MOST_EDITS):
            rounds.append(dict(furthest))
            for k in range(-edits, edits + 1, 2):
                down = k == -edits or (k != edits and furthest[k - 1] < furthest[k + 1])
                a = furthest[k + 1] if down else furthest[k - 1] + 1
                start = a
                while a < len(old) and a - k < len(new) and old[a] == new[a - k]:
                    a += 1
                self.left -= a - start + 1
                furthest[k] = a
                if a >= len(old) and a - k >= len(new):
                    yield from _way(rounds, len(old), len(new))
                    return
            if self.left < 0:
                return


def _way(rounds: Sequence[dict[int, int]], a: int, b: int) -> Iterator[tuple[int, int]]:
    """Go a way of edits back from its end, and yield the lines that it keeps."""
    for edits in range(len(rounds) - 1, -1, -1):
        furthest, k = rounds[edits], a - b
        down = k == -edits or (k != edits and furthest[k - 1] < furthest[k + 1])
        before = furthest[k + 1] if down else furthest[k - 1]
        start = before if down else before + 1
        while edits and a > start:
            a, b = a - 1, b - 1
            yield a, b
        a, b = before, before - (k + 1 if down else k - 1)
    # The first round has no edit before it; its lines are a common start, which the caller has taken away.


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return lines that stand once on either side, as many as are in the same order (patience)."""
    once = {line for line, times in Counter(old).items() if times == 1}
    place = {line: number for number, line in enumerate(new) if line in once}
    for line, times in Counter(line for line in new if line in once).items():
        if times > 1:
            del place[line]
    pairs = [(number, place[line]) for number, line in enumerate(old) if line in place]
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, b) in enumerate(pairs):
        at = bisect_left(tails, b)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1] = [b]
        ends[at : at + 1] = [index]
    chain: list[tuple[int, int]] = []
    index = ends[-1] if ends else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]
