"""Unified diffs, read back into the parts that a front end shows and the hunks that a user can leave out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loom_jupyter.runs.document import DiffRow, Part, RowKind
from loom_jupyter.runs.format import cut, exact

_RANGE = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_CELL = re.compile(r"\+\+\+ .* \(cell ([^)]+)\)$")
_KINDS: dict[str, RowKind] = {" ": "same", "+": "added", "-": "removed"}


def parts(diff: str) -> tuple[Part, ...]:
    """Return the parts of one file's unified diff, their lines made fit to be shown."""
    return tuple(
        Part(cell, old, new, tuple(_rows(old, new, lines))) for cell, old, new, lines in _taken_apart(diff)
    )


def before(diff: str) -> list[tuple[int, tuple[str, ...]]]:
    """Return the lines that a diff was made of, part by part, exactly as they are, each with its first number."""
    return [
        (old, tuple(line[1:] for line in lines if line[0] in " -") or ("",))
        for _, old, _, lines in _taken_apart(diff)
    ]


def hunks(parts: tuple[Part, ...]) -> Iterator[tuple[str | None, int]]:
    """Yield cell and first line of lines that change together, in the order that Accept counts them in."""
    for part in parts:
        line, inside = part.new_start, False
        for row in part.rows:
            if row.kind == "note":
                continue
            if row.kind != "same" and not inside:
                yield part.cell, line
            inside = row.kind != "same"
            line += row.kind != "removed"


def _taken_apart(diff: str) -> Iterator[tuple[str | None, int, int, list[str]]]:
    """Yield cell, first old and new line, and the lines of each part.

    The lines are counted: one that begins with ``--- `` may be a line that was removed.
    """
    cell: str | None = None
    found: tuple[str | None, int, int, list[str]] | None = None
    old = new = 0  # lines that the part still lacks
    for line in diff.split("\n"):
        if old > 0 or new > 0:
            if line[:1] in ("\\", " ", "+", "-") and found and line:
                found[3].append(line)
                old -= line[0] in " -"
                new -= line[0] in " +"
            continue
        if line.startswith("\\") and found:
            found[3].append(line)
        elif given := _RANGE.match(line):
            if found:
                yield found
            old, new = int(given[2] or 1), int(given[4] or 1)
            found = cell, int(given[1]), int(given[3]), []
        elif line.startswith("+++ "):
            named = _CELL.match(line)
            cell = named[1] if named else None
    if found:
        yield found


def _rows(old: int, new: int, lines: list[str]) -> Iterator[DiffRow]:
    for line in lines:
        if line[0] == "\\":
            yield DiffRow("note", None, exact(line))
            continue
        kind = _KINDS[line[0]]
        text = exact(cut(line[1:].removesuffix("\r")))
        yield DiffRow(kind, old if kind == "removed" else new, text)
        old += kind != "added"
        new += kind != "removed"
