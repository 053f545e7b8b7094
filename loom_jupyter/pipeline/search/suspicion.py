"""Which statements of a unit the failing tests executed: a repair elsewhere cannot help them."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from loom_jupyter.context.context_map import Target
from loom_jupyter.pipeline.search.doubts import Candidate

# What a change to a statement that no failing test executes loses, as a log-probability: it comes last, not never,
# because a trace may miss a line.
UNEXECUTED = 6.0


@dataclass(frozen=True, slots=True)
class _Span:
    """A statement's own lines (of a block only its head), 0-based, the last included."""

    first: int
    last: int
    executed: bool


class Suspicion:
    """Puts candidates in order, those last that change nothing which the failing tests executed."""

    def __init__(self, target: Target) -> None:
        self._before = target.text.splitlines()
        self._spans = _spans(target) if target.executed else []

    def ordered(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return candidates, likeliest first."""
        return sorted(candidates, key=lambda c: self._loss(c) - c.margin)

    def _loss(self, candidate: Candidate) -> float:
        return self.loss(self._first_changed(candidate.text)) if self._spans else 0.0

    def loss(self, line: int) -> float:
        """Return what a change of this line (0-based, of the unit) loses."""
        near = [s for s in self._spans if s.first <= line <= s.last]
        # A line between two statements belongs to either.
        near = (
            near or [s for s in self._spans if s.last < line][-1:] + [s for s in self._spans if s.first > line][:1]
        )
        return 0.0 if any(s.executed for s in near) or not near else UNEXECUTED

    def _first_changed(self, text: str) -> int:
        after = text.splitlines()
        for n, (old, new) in enumerate(zip(self._before, after, strict=False)):
            if old != new:
                return n
        return min(len(self._before), len(after))


def _spans(target: Target) -> list[_Span]:
    """Return the statements of a function's body; its head is executed when it is defined, which no test shows."""
    try:
        tree = ast.parse(textwrap.dedent(target.text))
    except (SyntaxError, ValueError):
        return []
    lines = {line - target.start for line in target.executed}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or isinstance(node, _DEFINITIONS) or _says(node):
            continue
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        if inner := getattr(node, "body", None):
            last = max(first, inner[0].lineno - 2)
        found.append(_Span(first, last, any(first <= line <= last for line in lines)))
    return sorted(found, key=lambda s: (s.first, s.last))


_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _says(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, which nothing executes."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
