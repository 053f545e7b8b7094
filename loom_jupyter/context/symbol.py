"""A named unit of a file."""

from __future__ import annotations

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
