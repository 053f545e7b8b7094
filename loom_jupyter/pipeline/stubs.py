"""Code that is yet to be written: functions that hold nothing but ``pass``, ``...`` or a docstring.

Asked to rewrite a working function, a small model copies it, and the search looks where it doubts it. In a stub
there is nothing to copy: it is written anew, and the search goes on around what was written.
"""

from __future__ import annotations

import ast
import textwrap

# The functions of a longer file are written one by one.
SHORT_FILE = 80


def unwritten(text: str) -> bool:
    """Whether a Python unit holds a function without a body."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError):
        return False
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _empty(node) for node in ast.walk(tree)
    )


def short(text: str) -> bool:
    """Whether a file is short enough to be written as one unit."""
    return text.count("\n") <= SHORT_FILE


def _empty(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return not any(isinstance(d, ast.Name) and d.id in _DECLARED for d in function.decorator_list) and all(
        _nothing(statement) for statement in function.body
    )


# Such functions are meant to be empty.
_DECLARED = frozenset({"overload", "abstractmethod"})


def _nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Raise):
        raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
        return isinstance(raised, ast.Name) and raised.id == "NotImplementedError"
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
