"""Small changes that real faults are often repaired by: a comparison, a bound, a sign, a name, a missing call.

A model's own doubts name places that it finds odd; these cover the slips that look perfectly normal. They need no
model to write them, and the model's log-probabilities order them among its own candidates.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from loom_jupyter.models.protocol import TokenScore
from loom_jupyter.pipeline.search.branch import Candidate
from loom_jupyter.pipeline.search.source import Source

# The usual slips of a syntax node, and what each would be repaired by.
#
# `prior` says how much rarer than a wrong operator a slip is, in nats of log-probability; set by hand.

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
    ast.Pow: "**",
    ast.And: "and",
    ast.Or: "or",
}
# Operations whose operands cannot be exchanged without a difference.
_ORDERED = (ast.Add, ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_PAIRS = [
    ("min", "max"),
    ("any", "all"),
    ("floor", "ceil"),
    ("startswith", "endswith"),
    ("lower", "upper"),
    ("lstrip", "rstrip"),
    ("strip", "rstrip"),
    ("strip", "lstrip"),
    ("find", "rfind"),
    ("index", "rindex"),
    ("split", "rsplit"),
    ("partition", "rpartition"),
    ("ljust", "rjust"),
    ("append", "extend"),
    ("keys", "values"),
    ("keys", "items"),
    ("values", "items"),
    ("add", "discard"),
    ("isalnum", "isalpha"),
    ("isdigit", "isalnum"),
    ("union", "intersection"),
    ("match", "search"),
    ("match", "fullmatch"),
    ("popleft", "pop"),
    ("first", "last"),
    ("left", "right"),
    ("start", "end"),
]
_PARTNERS: dict[str, list[str]] = {}
for _one, _other in _PAIRS:
    _PARTNERS.setdefault(_one, []).append(_other)
    _PARTNERS.setdefault(_other, []).append(_one)
_FINISHING = (".lower()", ".strip()", ".copy()")
_LOOPS = (ast.For, ast.While, ast.AsyncFor)
_SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.Continue, ast.Break, ast.Return, ast.Delete)


@dataclass(frozen=True, slots=True, order=True)
class Mutation:
    """Put `new` in the place of characters `start` to `end` of a unit.

    Attributes
    ----------
    prior
        What is added to the model's own log-probability; 0 or less.
    listed
        Only worth a try if the model lists it among its alternatives.
    """

    start: int
    end: int
    new: str
    prior: float = 0.0
    listed: bool = False


def of(tree: ast.Module, source: Source) -> Iterator[Mutation]:
    """Yield the changes of all nodes; some come more than once."""
    names = _names(tree)
    unused = _unused(tree)
    for node in ast.walk(tree):
        yield from _of(node, source)
        yield from _named(node, source, names, unused)
        if isinstance(node, ast.stmt):
            yield from _statement(node, source)


def _of(node: ast.AST, source: Source) -> Iterator[Mutation]:
    for kind, slips in _SLIPS:
        if isinstance(node, kind):
            yield from slips(node, source)


def _comparisons(node: ast.Compare, source: Source) -> Iterator[Mutation]:
    operands = [node.left, *node.comparators]
    for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
        yield from _swapped(left, op, right, _COMPARE.get(type(op), ()), source)
        if isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) and not isinstance(right, ast.Constant):
            yield from _off_by_one(right, source, -2.0)


def _swapped(
    left: ast.expr, op: ast.AST, right: ast.expr, others: Sequence[str], source: Source
) -> Iterator[Mutation]:
    place = source.between(left, right, _SPELLING.get(type(op), "\0"))
    if place is not None:
        for other in others:
            yield Mutation(*place, other)


def _arithmetic(node: ast.BinOp, source: Source) -> Iterator[Mutation]:
    """Another operator; operands exchanged or dropped; one more or less of what is repeated."""
    yield from _swapped(node.left, node.op, node.right, _ARITHMETIC.get(type(node.op), ()), source)
    start, end = source.span(node)
    left, right = source.span(node.left), source.span(node.right)
    if isinstance(node.op, _ORDERED):
        between = source.text[left[1] : right[0]]
        yield Mutation(start, end, f"{source.of(node.right)}{between}{source.of(node.left)}", -1.0)
    yield Mutation(start, end, source.of(node.left), -2.0)
    yield Mutation(start, end, source.of(node.right), -2.0)
    if isinstance(node.op, ast.Mult):
        for side in (node.left, node.right):
            if isinstance(side, ast.Name | ast.Attribute):
                for more in ("- 1", "+ 1"):
                    yield Mutation(*source.span(side), f"({source.of(side)} {more})", -1.5)


def _logic(node: ast.BoolOp, source: Source) -> Iterator[Mutation]:
    other = "or" if isinstance(node.op, ast.And) else "and"
    for left, right in pairwise(node.values):
        yield from _swapped(left, node.op, right, (other,), source)
    for value in node.values:
        if len(node.values) == 2:
            yield Mutation(*source.span(node), source.of(value), -2.0)
        if not isinstance(value, ast.UnaryOp | ast.Compare | ast.BoolOp):
            yield Mutation(*source.span(value), f"not {source.of(value)}", -1.0)


def _constants(node: ast.Constant, source: Source) -> Iterator[Mutation]:
    start, end = source.span(node)
    if isinstance(node.value, bool):
        yield Mutation(start, end, str(not node.value))
    elif isinstance(node.value, int) and abs(node.value) < 10_000:
        yield Mutation(start, end, str(node.value + 1))
        if node.value > 0:
            yield Mutation(start, end, str(node.value - 1))


def _arguments(node: ast.Call, source: Source) -> Iterator[Mutation]:
    for first, second in pairwise(node.args):
        a, b = source.of(first), source.of(second)
        start, end = source.span(first)[0], source.span(second)[1]
        middle = source.text[source.span(first)[1] : source.span(second)[0]]
        yield Mutation(start, end, f"{b}{middle}{a}")
    parts = [source.span(a) for a in node.args]
    parts += [(source.offset(k.lineno, k.col_offset), source.span(k.value)[1]) for k in node.keywords]
    parts.sort()
    for before, part in pairwise(parts):
        yield Mutation(before[1], part[1], "", -1.5)
    if isinstance(node.func, ast.Name) and node.func.id == "range":
        for argument in node.args:
            if not isinstance(argument, ast.Constant):
                yield from _off_by_one(argument, source, -0.5)


def _calls(node: ast.Call, source: Source) -> Iterator[Mutation]:
    """Another call of the same family; one call more or less."""
    start, end = source.span(node)
    if isinstance(node.func, ast.Attribute):
        at = source.span(node.func)[1] - len(node.func.attr)
        for partner in _PARTNERS.get(node.func.attr, ()):
            yield Mutation(at, at + len(node.func.attr), partner)
        if not node.args and not node.keywords:
            yield Mutation(start, end, source.of(node.func.value), -1.5)
    elif isinstance(node.func, ast.Name):
        for partner in _PARTNERS.get(node.func.id, ()):
            yield Mutation(*source.span(node.func), partner)
        if len(node.args) == 1 and not node.keywords:
            yield Mutation(start, end, source.of(node.args[0]), -2.0)
        if node.func.id in ("int", "float", "len", "round", "sum"):
            yield Mutation(start, end, f"abs({source.of(node)})", -1.0)
    numbers = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and type(n.value) is int}
    for number in sorted(n for n in numbers if n > 0):
        yield Mutation(end, end, f"[:{number}]", -2.5)


def _bounds(node: ast.Slice, source: Source) -> Iterator[Mutation]:
    for bound in (node.lower, node.upper):
        if bound is None:
            continue
        if not isinstance(bound, ast.Constant):
            yield from _off_by_one(bound, source, 0.0)
        if not isinstance(bound, ast.UnaryOp):
            yield Mutation(*source.span(bound), f"-{source.of(bound)}", -1.0)


def _off_by_one(node: ast.expr, source: Source, prior: float) -> Iterator[Mutation]:
    if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.BinOp):
        _, end = source.span(node)
        yield Mutation(end, end, " + 1", prior)
        yield Mutation(end, end, " - 1", prior)


def _prefixed(node: ast.UnaryOp, source: Source) -> Iterator[Mutation]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield Mutation(*source.span(node), source.of(node.operand))


def _indexed(node: ast.Subscript, source: Source) -> Iterator[Mutation]:
    if not isinstance(node.slice, ast.Slice | ast.Constant | ast.Tuple):
        yield from _off_by_one(node.slice, source, -1.5)


def _conditions(node: ast.If | ast.While, source: Source) -> Iterator[Mutation]:
    if not isinstance(node.test, ast.Compare | ast.BoolOp):
        yield Mutation(*source.span(node.test), f"not {source.of(node.test)}")


def _swapped_sign(node: ast.AugAssign, source: Source) -> Iterator[Mutation]:
    sign = {ast.Add: "+=", ast.Sub: "-="}.get(type(node.op))
    place = source.between(node.target, node.value, sign) if sign else None
    if place is not None:
        yield Mutation(*place, "-=" if sign == "+=" else "+=")
        yield Mutation(*place, "=", -1.5)


def _named(node: ast.AST, source: Source, names: Sequence[str], unused: Sequence[str]) -> Iterator[Mutation]:
    """Another variable; a parameter that nothing reads, in the place of a constant."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        for name in names:
            yield Mutation(*source.span(node), name, -0.5, listed=name not in unused)
    elif isinstance(node, ast.Constant) and node.value in (None, "", 0, False, True):
        for name in unused:
            yield Mutation(*source.span(node), name)


def _statement(node: ast.stmt, source: Source) -> Iterator[Mutation]:
    """Leave a statement out, move it out of its block, break for continue, finish what is returned."""
    if isinstance(node, _SIMPLE) and not _docstring(node):
        yield Mutation(*source.span(node), "pass", -3.0)
    if isinstance(node, ast.Break | ast.Continue):
        yield Mutation(*source.span(node), "continue" if isinstance(node, ast.Break) else "break", -1.0)
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Name):
        _, end = source.span(node.value)
        for more in _FINISHING:
            yield Mutation(end, end, more, -1.5)
    if isinstance(node, _LOOPS) and len(node.body) > 1 and node.body[-1].lineno > node.lineno:
        start, end = source.span(node.body[-1])
        inner, outer = source.line(start), source.line(source.offset(node.lineno, node.col_offset))
        moved = source.text[start:end].replace("\n" + inner, "\n" + outer)
        yield Mutation(start - len(inner), end, outer + moved, -2.0)


def _docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _names(tree: ast.Module) -> list[str]:
    """Return parameters and local variables, in order of appearance."""
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg not in ("self", "cls"):
            found[node.arg] = None
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = None
    return list(found)


def _unused(tree: ast.Module) -> list[str]:
    """Return parameters that nothing reads."""
    read = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    given = [n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)]
    return [name for name in given if name not in read and name not in ("self", "cls") and name[0] != "_"]


_SLIPS: list[tuple[Any, Callable[[Any, Source], Iterator[Mutation]]]] = [
    (ast.Compare, _comparisons),
    (ast.BinOp, _arithmetic),
    (ast.BoolOp, _logic),
    (ast.Constant, _constants),
    (ast.UnaryOp, _prefixed),
    (ast.Call, _arguments),
    (ast.Call, _calls),
    (ast.Slice, _bounds),
    (ast.Subscript, _indexed),
    ((ast.If, ast.While), _conditions),
    (ast.AugAssign, _swapped_sign),
]


# What a token that the model did not even list among its alternatives is taken to be worth.
UNLISTED = 2.0
# A token that is not known at all.
UNKNOWN = -20.0


def mutations(text: str) -> list[Mutation]:
    """Return the small changes that a Python unit allows, in order of place; none if it does not parse."""
    shift = len(text) - len(text.lstrip(" \t")) if text[:1] in " \t" else 0
    dedented = textwrap.dedent(text)
    try:
        tree = ast.parse(dedented)
    except (SyntaxError, ValueError):
        return []
    found: dict[tuple[int, int, str], Mutation] = {}
    for change in of(tree, Source(text, dedented, shift)):
        key = change.start, change.end, change.new
        if text[change.start : change.end] != change.new and (key not in found or change.prior > found[key].prior):
            found[key] = change
    return [found[key] for key in sorted(found)]


def mutated(text: str, scores: Sequence[TokenScore]) -> list[Candidate]:
    """Return the unit with each mutation, and the margin that the model's scores give it."""
    found = []
    for change in mutations(text):
        margin, listed = _margin(change, text, scores)
        if listed or not change.listed:
            whole = text[: change.start] + change.new + text[change.end :]
            found.append(Candidate(whole, "small change", margin + change.prior))
    return found


def _margin(change: Mutation, text: str, scores: Sequence[TokenScore]) -> tuple[float, bool]:
    """What the model loses by the new token, and whether it listed it."""
    token = next((s for s in reversed(scores) if s.start <= change.start), None)
    if token is None:
        return UNKNOWN, False
    wanted = (change.new + text[change.end : change.end + 20]).strip()
    for other in token.alternatives:
        said = other.text.strip()
        if said and (wanted.startswith(said) or (change.new and said.startswith(change.new.strip()))):
            return other.logprob - token.logprob, True
    least = min((other.logprob for other in token.alternatives), default=-10.0)
    return least - token.logprob - UNLISTED, False
