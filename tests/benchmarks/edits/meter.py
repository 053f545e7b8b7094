"""Measure where a run's time went: in the model, in checks, or in Loom itself."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from loom_jupyter.checks.checker import Checker
from loom_jupyter.models import host

Span = tuple[float, float]
_CALLS = ("chat", "sample", "score", "branch", "count", "infill", "continue_", "complete")


@dataclass
class Meter:
    """Lends the process's model with a watch on it.

    Attributes
    ----------
    spans
        Begin and end of every call of the model, in seconds since the epoch.
    checks
        The same of all that a run asks of its `Checker`: a passing candidate is run up to three times (its failing
        tests, warm, as typed), of which the events tell the last only. Putting the candidate into the staged copy
        is part of it.
    """

    spans: list[Span] = field(default_factory=list)
    checks: list[Span] = field(default_factory=list)

    @contextmanager
    def installed(self) -> Iterator[Meter]:
        """Put the meter in the place of `host.acquire`, which every run asks for its model."""
        before = host.acquire

        @contextmanager
        def acquire(*args: Any, **options: Any) -> Iterator[Any]:
            with before(*args, **options) as model:
                names = [name for name in _CALLS if callable(getattr(type(model), name, None))]
                for name in names:
                    setattr(model, name, self._timed(getattr(model, name), self.spans))
                try:
                    yield model
                finally:
                    for name in names:
                        delattr(model, name)

        asked = {name: getattr(Checker, name) for name in ("before", "trace", "attempt")}
        host.acquire = acquire
        for name, method in asked.items():
            setattr(Checker, name, self._timed(method, self.checks))
        try:
            yield self
        finally:
            host.acquire = before
            for name, method in asked.items():
                setattr(Checker, name, method)

    def _timed(self, call: Callable[..., Any], spans: list[Span]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*args: Any, **options: Any) -> Any:
            begin = time.time()
            try:
                answer = call(*args, **options)
            finally:
                spans.append((begin, time.time()))
            return self._stepwise(answer) if isinstance(answer, Iterator) else answer

        return timed

    def _stepwise(self, items: Iterator[Any]) -> Iterator[Any]:
        """Count the time in which the next item is made, not the time in which it is used."""
        try:
            while True:
                begin = time.time()
                try:
                    item = next(items)
                except StopIteration:
                    return
                finally:
                    self.spans.append((begin, time.time()))
                yield item
        finally:
            if (close := getattr(items, "close", None)) is not None:
                close()


def covered(spans: Iterable[Span], begin: float, end: float) -> float:
    """Return the seconds between `begin` and `end` that any of the spans covers."""
    total, reached = 0.0, begin
    for start, stop in sorted(spans):
        start, stop = max(start, reached), min(stop, end)
        if stop > start:
            total += stop - start
            reached = stop
    return total
