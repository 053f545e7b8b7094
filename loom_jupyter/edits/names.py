"""Names that Python code reads and nothing defines."""

from __future__ import annotations

import builtins
from collections.abc import Set

from loom_jupyter.edits import statements

_KNOWN = frozenset(dir(builtins)) | {
    *("__file__", "__name__", "__doc__", "__path__", "__package__", "__spec__", "__loader__", "__builtins__"),
    *("__debug__", "__class__", "__module__", "__qualname__", "__annotations__", "__dict__", "WindowsError"),
}
NOTEBOOK = frozenset({"get_ipython", "display", "In", "Out", "_", "__", "___", "exit", "quit"})
"""Names that IPython gives every cell."""


def newly_undefined(before: str, after: str, known: Set[str] = frozenset()) -> frozenset[str]:
    """Return the names that `after` reads without a definition and `before` did not."""
    found = undefined(after, known)
    return found - undefined(before, known) if found else found


def undefined(source: str, known: Set[str] = frozenset()) -> frozenset[str]:
    """Return the global names that Python code reads and nothing in it defines.

    Empty where a star import, ``exec`` or ``globals()`` could define anything, and where the code does not parse.

    Parameters
    ----------
    known
        Names that need no definition, besides the builtins.
    """
    try:
        parts = list(statements.module(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    if any(part.anything for part in parts):
        return frozenset()
    read = frozenset[str]().union(*(part.names[0] for part in parts))
    return read.difference(_KNOWN, known, *(part.names[1] for part in parts))
