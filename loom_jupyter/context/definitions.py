"""A named unit of a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple


class Symbol(NamedTuple):
    """A function, class, section, notebook cell, … with the lines that it spans.

    Attributes
    ----------
    name
        Qualified with the enclosing units: ``Class.method``.
    start, end
        Lines, 1-based, both included; within the cell for notebooks.
    signature
        Its first line, or the heading.
    doc
        First line of its documentation; empty where there is none.
    cell
        Cell id, for notebooks.
    base
        Lines of the notebook's cells before this one; 0 elsewhere. ``base + start`` is the line that the index
        counts in.
    """

    name: str
    kind: str
    start: int
    end: int
    signature: str = ""
    doc: str = ""
    cell: str | None = None
    base: int = 0


CALLABLE = frozenset({"function", "method", "macro"})
CONTAINER = frozenset({"class", "impl", "struct", "trait", "interface", "enum", "namespace", "module", "type"})


# Definitions in Python source: their names, where they begin, and whether anything is in them.

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef


def definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield functions, classes and what classes define, by their qualified names; not what functions hold."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            yield f"{prefix}{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from definitions(node, f"{prefix}{node.name}.")


def first_line(node: Definition) -> int:
    """Return the line (1-based) at which a definition begins, decorators included."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def docstring(node: Definition) -> ast.Expr | None:
    """Return the statement that is a definition's docstring."""
    first = node.body[0]
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
        return None
    return first if isinstance(first.value.value, str) else None


def empty(function: Function) -> bool:
    """Whether a function holds nothing but ``pass``, ``...``, constants, or that it is not implemented."""
    return all(map(_nothing, function.body))


def _nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass)
