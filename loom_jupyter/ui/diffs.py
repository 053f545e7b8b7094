"""A unified diff as rows that can be shown with line numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from loom_jupyter.ui.plain import cut, exact

ROW_LIMIT = 400
"""Rows of one file's diff that are shown."""

Kind = Literal["same", "added", "removed", "gap", "note"]
SIGNS: dict[Kind, str] = {"same": " ", "added": "+", "removed": "−", "gap": " ", "note": " "}

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@ ?(.*)")


@dataclass(frozen=True)
class Row:
    """One line of a diff; `number` is its line in the old file if removed, else in the new one."""

    kind: Kind
    number: int | None
    text: str


def rows(diff: str, limit: int | None = ROW_LIMIT) -> list[Row]:
    """Return the rows of one file's unified diff; a note says how many were left out beyond `limit`."""
    every = list(_rows(diff))
    if limit is None or len(every) <= limit:
        return every
    note = f"… {len(every) - limit:,} more lines: `%loom diff` shows them all"
    return [*every[:limit], Row("note", None, note)]


def _rows(diff: str) -> Iterator[Row]:
    old = new = 0
    inside = False
    for raw in diff.split("\n"):
        hunk = _HUNK.match(raw)
        if hunk:
            if inside:
                yield Row("gap", None, "⋯")
            old, new, inside = int(hunk[1]), int(hunk[2]), True
        elif inside and raw:
            kind, number = _place(raw[0], old, new)
            yield Row(kind, number, exact(cut(raw[1:].removesuffix("\r"))) if kind != "note" else exact(raw))
            old += kind in ("same", "removed")
            new += kind in ("same", "added")


def _place(sign: str, old: int, new: int) -> tuple[Kind, int | None]:
    if sign == "+":
        return "added", new
    if sign == "-":
        return "removed", old
    return ("note", None) if sign == "\\" else ("same", new)
