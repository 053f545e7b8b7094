"""Small changes that real faults are often mended by: a comparison, a bound, a sign, an operator.

A model's own doubts name places that it finds odd; these cover the slips that look perfectly normal. They need no
model to write them, and the model's log-probabilities put them in order beside its own candidates.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loom_jupyter.models.protocol import TokenScore
from loom_jupyter.pipeline.doubts import Candidate

# What a token that the model did not even list among its alternatives is taken to be worth.
UNLISTED = 2.0

_COMPARE = {
    ast.Lt: ("<=", ">"),
    ast.LtE: ("<", ">="),
    ast.Gt: (">=", "<"),
    ast.GtE: (">", "<="),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
}
_ARITHMETIC = {
    ast.Add: ("-",),
    ast.Sub: ("+",),
    ast.Mult: ("/", "+"),
    ast.Div: ("//", "*"),
    ast.FloorDiv: ("/", "%"),
    ast.Mod: ("//",),
}
_SPELLING = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.And: "and",
    ast.Or: "or",
}


@dataclass(frozen=True, slots=True, order=True)
class Mutation:
    """Put `new` in the place of characters `start` to `end` of a unit."""

    start: int
    end: int
    new: str


def mutations(text: str) -> list[Mutation]:
    """Return the small changes that a Python unit allows, in order of place; none if it does not parse."""
    shift = len(text) - len(text.lstrip(" \t")) if text[:1] in " \t" else 0
    dedented = textwrap.dedent(text)
    try:
        tree = ast.parse(dedented)
    except (SyntaxError, ValueError):
        return []
    source = _Source(text, dedented, shift)
    found = {change for node in ast.walk(tree) for change in _of(node, source)}
    return sorted(change for change in found if text[change.start : change.end] != change.new)


def mutated(text: str, scores: Sequence[TokenScore]) -> list[Candidate]:
    """Return the unit with each mutation, and the margin that the model's scores give it."""
    return [
        Candidate(text[: m.start] + m.new + text[m.end :], "small change", _margin(m, scores))
        for m in mutations(text)
    ]


def _margin(mutation: Mutation, scores: Sequence[TokenScore]) -> float:
    """What the model loses by the new token, as far as it listed it."""
    token = next((s for s in reversed(scores) if s.start <= mutation.start), None)
    if token is None:
        return -20.0
    wanted = mutation.new.strip()
    for other in token.alternatives:
        said = other.text.strip()
        if said and (wanted.startswith(said) or said.startswith(wanted)):
            return other.logprob - token.logprob
    least = min((other.logprob for other in token.alternatives), default=-10.0)
    return least - token.logprob - UNLISTED


class _Source:
    """Offsets of a unit's syntax nodes in its own, perhaps indented, text."""

    def __init__(self, text: str, dedented: str, shift: int) -> None:
        self.text = text
        self._lines = dedented.splitlines(keepends=True)
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._shift = shift

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a node's line (1-based) and column (UTF-8 bytes)."""
        characters = len(self._lines[line - 1].encode()[:column].decode(errors="ignore"))
        return self._starts[line - 1] + self._shift + characters

    def span(self, node: ast.expr) -> tuple[int, int]:
        """Return where an expression begins and ends."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self.offset(node.lineno, node.col_offset), self.offset(end_line, end_column)

    def between(self, left: ast.expr, right: ast.expr, sign: str) -> tuple[int, int] | None:
        """Return where an operator stands between two operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        at = self.text.find(sign, start, end)
        return None if at < 0 else (at, at + len(sign))

    def of(self, node: ast.expr) -> str:
        """Return an expression's text."""
        start, end = self.span(node)
        return self.text[start:end]


def _of(node: ast.AST, source: _Source) -> Iterator[Mutation]:
    if isinstance(node, ast.Compare):
        yield from _comparisons(node, source)
    elif isinstance(node, ast.BinOp):
        yield from _swapped(node.left, node.op, node.right, _ARITHMETIC.get(type(node.op), ()), source)
    elif isinstance(node, ast.BoolOp):
        other = "or" if isinstance(node.op, ast.And) else "and"
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from _swapped(left, node.op, right, (other,), source)
    elif isinstance(node, ast.Constant):
        yield from _constants(node, source)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        start, end = source.span(node)
        yield Mutation(start, end, source.of(node.operand))
    elif isinstance(node, ast.Call):
        yield from _arguments(node, source)
    elif isinstance(node, ast.Slice):
        yield from _bounds(node, source)
    elif isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Compare | ast.BoolOp):
        start, end = source.span(node.test)
        yield Mutation(start, end, f"not {source.of(node.test)}")


def _comparisons(node: ast.Compare, source: _Source) -> Iterator[Mutation]:
    operands = [node.left, *node.comparators]
    for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
        yield from _swapped(left, op, right, _COMPARE.get(type(op), ()), source)


def _swapped(
    left: ast.expr, op: ast.AST, right: ast.expr, others: Sequence[str], source: _Source
) -> Iterator[Mutation]:
    place = source.between(left, right, _SPELLING.get(type(op), "\0"))
    if place is not None:
        for other in others:
            yield Mutation(*place, other)


def _constants(node: ast.Constant, source: _Source) -> Iterator[Mutation]:
    start, end = source.span(node)
    if isinstance(node.value, bool):
        yield Mutation(start, end, str(not node.value))
    elif isinstance(node.value, int) and abs(node.value) < 10_000:
        yield Mutation(start, end, str(node.value + 1))
        if node.value > 0:
            yield Mutation(start, end, str(node.value - 1))


def _arguments(node: ast.Call, source: _Source) -> Iterator[Mutation]:
    for first, second in zip(node.args, node.args[1:], strict=False):
        a, b = source.of(first), source.of(second)
        start, end = source.span(first)[0], source.span(second)[1]
        middle = source.text[source.span(first)[1] : source.span(second)[0]]
        yield Mutation(start, end, f"{b}{middle}{a}")


def _bounds(node: ast.Slice, source: _Source) -> Iterator[Mutation]:
    for bound in (node.lower, node.upper):
        if bound is not None and not isinstance(bound, ast.Constant):
            _, end = source.span(bound)
            yield Mutation(end, end, " + 1")
            yield Mutation(end, end, " - 1")
