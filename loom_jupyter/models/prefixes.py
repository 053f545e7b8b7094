"""Copies of what the KV cache held, so that a prompt which begins like an earlier one need not be read again.

The nodes of a run take turns with different prompts, and a repair goes back to a target that others have pushed
out of the cache. Copying a prefix costs milliseconds, reading it seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WORTH = 64  # tokens: reading fewer costs no more than a copy


@dataclass(frozen=True, slots=True)
class Kept:
    """The tokens of a sequence, and its state as llama.cpp writes it."""

    tokens: list[int]
    state: bytes


class Prefixes:
    """Sequences that were in the cache, the latest used last.

    Parameters
    ----------
    room
        Bytes that they may take together.
    whole
        Whether a sequence is of use only as a whole, since its state cannot be cut.
    """

    def __init__(self, room: int, *, whole: bool = False) -> None:
        self._room = room
        self._whole = whole
        self._kept: list[Kept] = []

    def __len__(self) -> int:
        return len(self._kept)

    def fits(self, size: int) -> bool:
        """Whether a state of so many bytes can be kept at all."""
        return size <= self._room

    def put(self, tokens: Sequence[int], state: bytes) -> None:
        """Keep a sequence; those it begins with go, and the least used ones if room is short."""
        self._kept = [k for k in self._kept if self._whole or shared(k.tokens, tokens) < len(k.tokens)]
        self._kept.append(Kept(list(tokens), state))
        while sum(len(k.state) for k in self._kept) > self._room:
            del self._kept[0]

    def best(self, tokens: Sequence[int], least: int) -> Kept | None:
        """Return the sequence that shares most tokens with these, if more than `least`."""
        found, longest = None, least
        for kept in self._kept:
            n = shared(kept.tokens, tokens)
            if n > longest and (not self._whole or n == len(kept.tokens)):
                found, longest = kept, n
        if found is not None:
            self._kept.remove(found)
            self._kept.append(found)
        return found


def shared(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    n = min(len(a), len(b))
    differ = np.nonzero(np.asarray(a[:n]) != np.asarray(b[:n]))[0]
    return int(differ[0]) if len(differ) else n
