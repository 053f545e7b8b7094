"""Names that Python code reads and nothing defines."""

from __future__ import annotations

import builtins
import re
import symtable
from collections.abc import Set
from difflib import SequenceMatcher

from loom_jupyter.edits.text import common_ends

_KNOWN = frozenset(dir(builtins)) | {
    *("__file__", "__name__", "__doc__", "__path__", "__package__", "__spec__", "__loader__", "__builtins__"),
    *("__debug__", "__class__", "__module__", "__qualname__", "__annotations__", "__dict__", "WindowsError"),
}
NOTEBOOK = frozenset({"get_ipython", "display", "In", "Out", "_", "__", "___", "exit", "quit"})
"""Names that IPython gives every cell."""
_STAR = re.compile(r"^\s*from\s+\S+\s+import\s+\*|\bexec\s*\(|\bglobals\s*\(\)", re.M)
_WORD = re.compile(r"[^\W\d]\w*")
# An assignment is a lone "=" or ":="; a string may hold names or stop to hold them.
_WORD_OR_SIGN = re.compile(r"""[^\W\d]\w*|(?<![=!<>])=(?!=)|["'#]""")


def newly_undefined(before: str, after: str, known: Set[str] = frozenset()) -> frozenset[str]:
    """Return the names that `after` reads without a definition and `before` did not.

    Only names on lines that changed are looked at, which makes this cheap enough for every candidate.
    """
    old, new = _changed(before, after)
    if _names(old) == _names(new):
        return frozenset()
    suspects = frozenset(_WORD.findall(old) + _WORD.findall(new))
    found = undefined(after, known, suspects)
    return found - undefined(before, known, found) if found and before else found


def undefined(source: str, known: Set[str] = frozenset(), suspects: Set[str] | None = None) -> frozenset[str]:
    """Return the global names that Python code reads and nothing in it defines.

    Empty where a star import, ``exec`` or ``globals()`` could define anything, and where the code does not parse.

    Parameters
    ----------
    known
        Names that need no definition, besides the builtins.
    suspects
        Look at these names only.
    """
    if _STAR.search(source):
        return frozenset()
    try:
        tables = [symtable.symtable(source, "<candidate>", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    read: set[str] = set()
    defined: set[str] = set()
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        names = set(table.get_identifiers())
        for name in names if suspects is None else names & suspects:
            role = _role(table.lookup(name), top=table.get_type() == "module")
            if role is not None:
                (defined if role else read).add(name)
    return frozenset(read - defined - _KNOWN - known)


def _role(symbol: symtable.Symbol, *, top: bool) -> bool | None:
    """Tell whether a scope defines a global name (True), reads it (False) or has it for itself (None)."""
    # In a function that is called "top", symtable takes local names for global ones.
    if not top and not symbol.is_declared_global() and (symbol.is_local() or not symbol.is_global()):
        return None
    bound = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    return bound or (top and symbol.is_annotated())


def _changed(before: str, after: str) -> tuple[str, str]:
    """Return the lines that a change takes away, and those that it brings."""
    old, new = before.splitlines(), after.splitlines()
    first, last = common_ends(old, new)
    old, new = old[first : len(old) - last], new[first : len(new) - last]
    gone: list[str] = []
    come: list[str] = []
    for tag, a1, a2, b1, b2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            gone += old[a1:a2]
            come += new[b1:b2]
    return "\n".join(gone), "\n".join(come)


def _names(lines: str) -> list[str]:
    """Return the words and the signs that define, in order: where they are the same, so is what is defined."""
    return _WORD_OR_SIGN.findall(lines)
