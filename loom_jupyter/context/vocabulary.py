"""Vocabulary: every term the index has met, and its forms. It only grows, so snapshots may share it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from loom_jupyter.context.words import stem

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Vocabulary:
    """Terms with numbers."""

    def __init__(self) -> None:
        self.terms: list[str] = []
        self._numbers: dict[str, int] = {}
        self._forms: dict[str, list[str]] = {}
        self._stemmed = 0
        self._lock = threading.Lock()

    def add(self, terms: Iterable[str]) -> NDArray[np.int32]:
        """Return the numbers of `terms`, giving new ones to those not met before."""
        numbers, known = [], self._numbers
        for term in terms:
            number = known.get(term)
            if number is None:
                number = known[term] = len(known)
                self.terms.append(term)
            numbers.append(number)
        return np.array(numbers, np.int32)

    def number(self, term: str) -> int | None:
        """Return the number of a term, None if it was never met."""
        return self._numbers.get(term)

    def forms(self, term: str) -> list[str]:
        """Return the other terms that are forms of the same word, in alphabetical order."""
        with self._lock:
            for known in self.terms[self._stemmed :]:
                self._forms.setdefault(stem(known), []).append(known)
                self._stemmed += 1
            return sorted(t for t in self._forms.get(stem(term), ()) if t != term)
