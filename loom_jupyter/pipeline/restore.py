"""Undo what small models do to a unit unasked: they drop decorators and docstrings, and repeat code."""

from __future__ import annotations

import ast

from loom_jupyter.context.definitions import Definition, docstring, first_line
from loom_jupyter.context.intent import RequestIntent


def restored(code: str, original: str, intent: RequestIntent) -> str:
    """Return rewritten Python with the decorators and docstring of the unit that it replaces.

    Nothing is put back where the request speaks of such things, or where the rewrite has its own.
    """
    old, new = _unit(original), _unit(code)
    if old is None or new is None or old.name != new.name or type(old) is not type(new):
        return code
    lines = code.splitlines(keepends=True)
    if docstring(old) and not docstring(new) and not intent.asks_about_docstrings:
        lines = _with_docstring(lines, new, original, old)
    if old.decorator_list and not new.decorator_list and not intent.asks_about_decorators:
        first, last = old.decorator_list[0].lineno, old.lineno
        lines[new.lineno - 2 : new.lineno - 2] = original.splitlines(keepends=True)[first - 2 : last - 2]
    return "".join(lines)


def _unit(text: str) -> Definition | None:
    """Return the only definition in a text; its lines count from 2."""
    try:
        (body,) = ast.parse("if True:\n" + (text if text[:1] in " \t" else _indented(text))).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    nodes = body.body if isinstance(body, ast.If) else []
    return nodes[0] if len(nodes) == 1 and isinstance(nodes[0], Definition) else None


def _indented(text: str) -> str:
    """Indent every line: strings over several lines change, but neither names nor line numbers."""
    return "".join(f" {line}" for line in text.splitlines(keepends=True))


def _with_docstring(lines: list[str], new: Definition, original: str, old: Definition) -> list[str]:
    found, first = docstring(old), new.body[0]
    if found is None or found.end_lineno is None or first.lineno == new.lineno or found.lineno == old.lineno:
        return lines
    start = min([first.lineno, *(d.lineno for d in getattr(first, "decorator_list", []))])
    text = original.splitlines(keepends=True)[found.lineno - 2 : found.end_lineno - 1]
    return [*lines[: start - 2], *text, *lines[start - 2 :]]


def only_new(code: str, unit: str) -> str:
    """Return new Python code without a repetition of the unit behind which it will stand."""
    old = _unit(unit)
    try:
        body = ast.parse("if True:\n" + (code if code[:1] in " \t" else _indented(code))).body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError, IndexError):
        return code
    nodes = body.body if isinstance(body, ast.If) else []
    again = [node for node in nodes if old is not None and isinstance(node, Definition) and node.name == old.name]
    if not again or len(again) == len(nodes):
        return code
    lines = code.splitlines(keepends=True)
    for node in reversed(again):
        del lines[first_line(node) - 2 : (node.end_lineno or node.lineno) - 1]
    return "".join(lines).strip("\n") + "\n"
