"""Where the syntax nodes of a Python unit stand in its own, perhaps indented, text."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from loom_jupyter.context.definitions import Definition, Function, docstring, empty
from loom_jupyter.models.protocol import TokenScore

# The indentation behind which a docstring would begin, at most.
INDENTED = 12
_QUOTES = ('"', "'", "#")


class Source:
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

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return where an expression or a statement begins and ends."""
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

    def line(self, at: int) -> str:
        """Return the blanks that begin the line of an offset."""
        begin = self.text.rfind("\n", 0, at) + 1
        rest = self.text[begin:]
        return rest[: len(rest) - len(rest.lstrip(" \t"))]


@dataclass(frozen=True, slots=True)
class Undocumented:
    """A unit's text without its docstring.

    Attributes
    ----------
    cut, length
        Where the docstring's lines stood in the whole text, and how many characters they were.
    """

    text: str
    cut: int = 0
    length: int = 0

    def placed(self, scores: Sequence[TokenScore]) -> list[TokenScore]:
        """Return the scores of this text's tokens where they stand in the whole one.

        What the model would rather have written in place of the docstring, another one, is left out.
        """
        found = []
        for score in scores:
            others = score.alternatives
            if self.length and self.cut <= score.start <= self.cut + INDENTED:
                others = tuple(other for other in others if not other.text.strip().startswith(_QUOTES))
            found.append(replace(score, start=self.offset(score.start), alternatives=others))
        return found

    def offset(self, at: int) -> int:
        """Return where a character of this text stands in the whole one."""
        return at + self.length if self.length and at >= self.cut else at


def undocumented(text: str) -> Undocumented:
    """Take the docstring of a function or class out, if other statements stand behind it on lines of their own."""
    try:
        body = ast.parse(textwrap.dedent(text)).body
    except (SyntaxError, ValueError):
        return Undocumented(text)
    unit = body[0] if len(body) == 1 else None
    if not isinstance(unit, Definition) or len(unit.body) < 2:
        return Undocumented(text)
    doc, after = docstring(unit), unit.body[1]
    if doc is None or not doc.end_lineno or doc.lineno == unit.lineno or after.lineno == doc.end_lineno:
        return Undocumented(text)
    lines = text.splitlines(keepends=True)
    begin = sum(map(len, lines[: doc.lineno - 1]))
    length = sum(map(len, lines[doc.lineno - 1 : doc.end_lineno]))
    return Undocumented(text[:begin] + text[begin + length :], begin, length)


# Code that is yet to be written: functions that hold nothing but ``pass``, ``...`` or a docstring.
#
# Asked to rewrite a working function, a small model copies it, and the search looks where it doubts it. In a
# stub
# there is nothing to copy: it is written afresh, and the search goes on around what was written.

# The functions of a longer file are written one by one.
SHORT_FILE = 80


def unwritten(text: str) -> bool:
    """Whether at least half of a Python unit's functions have no body; a hook among many is meant to be empty."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError):
        return False
    found = [empty(node) for node in _functions(tree) if not _declared(node)]
    return any(found) and 2 * sum(found) >= len(found)


def _functions(tree: ast.AST) -> Iterator[Function]:
    """Yield the functions of a unit; those of a protocol are no stubs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and any(_name(base) == "Protocol" for base in node.bases):
            continue
        if isinstance(node, Function):
            yield node
        yield from _functions(node)


def short(text: str) -> bool:
    """Whether a file is short enough to be written as one unit."""
    return text.count("\n") <= SHORT_FILE


# Such functions are meant to be empty.
_DECLARED = frozenset({"overload", "abstractmethod"})


def _declared(function: Function) -> bool:
    return any(_name(decorator) in _DECLARED for decorator in function.decorator_list)


def _name(node: ast.expr) -> str:
    """Return the last part of a dotted name, without its subscript."""
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
