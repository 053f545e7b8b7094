"""Code that is yet to be written: functions that hold nothing but ``pass``, ``...`` or a docstring.

Asked to rewrite a working function, a small model copies it, and the search looks where it doubts it. In a stub
there is nothing to copy: it is written anew, and the search goes on around what was written.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator

from loom_jupyter.context.definitions import Function, empty

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
