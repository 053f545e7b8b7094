"""IPython's own syntax in a cell, made plain Python so that the cell can be judged."""

from __future__ import annotations

import ast
import re
import warnings

_CELL_MAGIC = re.compile(r"\A\s*+%%(\w+)")
_PYTHON_CELLS = frozenset({"time", "timeit", "capture", "prun"})
_ASSIGNED = re.compile(r"^([\w \t\f,.\[\]]++=) *+[%!].*$", re.M)
_LINE = re.compile(r"^([ \t\f]*+)(?:[%!?].*|[\w.]++\?{1,2}[ \t\f\r]*+)$", re.M)


def plain(source: str) -> str:
    """Return a cell as plain Python, line for line.

    Line magics, shell lines and help requests become ``pass``, what they assign becomes None. A cell of another
    language (``%%bash``) becomes empty. A cell that is plain Python already stays as it is.
    """
    if found := _CELL_MAGIC.match(source):
        if found[1] not in _PYTHON_CELLS:
            return ""
        body = source.lstrip().partition("\n")[2]
        source = "\n" + body
    if _parses(source):
        return source
    return _LINE.sub(r"\1pass", _ASSIGNED.sub(r"\1 None", source))


def _parses(source: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
