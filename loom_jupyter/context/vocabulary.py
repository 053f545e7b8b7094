"""Vocabulary: every term the index has met. It only grows, so snapshots may share it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from loom_jupyter.context.words import spellings, stem

if TYPE_CHECKING:
    from numpy.typing import NDArray


SHORTEST = 3


class Vocabulary:
    """Terms with numbers."""

    def __init__(self) -> None:
        self.terms: list[str] = []
        self._numbers: dict[str, int] = {}
        self._forms: dict[str, list[str]] = {}

    def add(self, terms: Iterable[str]) -> NDArray[np.int32]:
        """Return the numbers of `terms`, giving new ones to those not met before."""
        numbers, known = [], self._numbers
        for term in terms:
            number = known.get(term)
            if number is None:
                number = known[term] = len(known)
                self.terms.append(term)
            numbers.append(number)
        self._forms = {}
        return np.array(numbers, np.int32)

    def number(self, term: str) -> int | None:
        """Return the number of a term, None if it was never met."""
        return self._numbers.get(term)

    def forms(self, term: str) -> list[str]:
        """Return the other terms that are forms of the same word, in alphabetical order."""
        memory = self._forms
        found = memory.get(term)
        if found is None:
            root = stem(term)
            known = {s for s in spellings(root) if s in self._numbers} if root.isalpha() else set()
            real = sorted(s for s in known if s != term and stem(s) == root)
            found = memory[term] = real if len(root) >= SHORTEST else []
        return found
