"""Where the syntax nodes of a Python unit stand in its own, perhaps indented, text."""

from __future__ import annotations

import ast


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
