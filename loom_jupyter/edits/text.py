"""Edits of lines that leave every other byte as it was: line ends, final newline, what is masked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from loom_jupyter.edits.matching import matching_blocks
from loom_jupyter.errors import EditError, NotTextError

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")


def require_whole(path: str, text: str) -> None:
    """Refuse a text that holds half a character (a lone surrogate), which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotTextError(
            f"{path} would hold half a character ({text[error.start]!r}), which no encoding has; run again."
        ) from error


def split_lines(text: str) -> list[str]:
    r"""Split after ``\n``, ``\r\n`` and ``\r``, as the map counts lines; ends are kept.

    Other characters that :meth:`str.splitlines` takes for line ends, such as a form feed, stay inside a line,
    as they do for parsers and editors.
    """
    return _LINE.findall(text)


def bare(line: str) -> str:
    """Return a line without its end."""
    return line.rstrip("\r\n")


@dataclass(frozen=True, slots=True)
class LineEdit:
    """New text for a range of lines.

    Attributes
    ----------
    start, end
        Lines, 1-based, both included. ``end = start - 1`` inserts before `start`; ``0, 0`` fills an empty text.
    new
        Replaces them; a final line end is optional.
    seen
        The range as its author saw it. It may have been decoded in another way than here; a line that `new`
        repeats from it stands for the file's own line.
    """

    start: int
    end: int
    new: str
    seen: str = ""


def replace_lines(path: str, text: str, edits: Sequence[LineEdit]) -> str:
    """Replace line ranges; every other line stays as it is.

    Parameters
    ----------
    path
        Names the file in errors.
    edits
        In any order, not overlapping.

    Notes
    -----
    New lines take the line end that prevails in the range, else in the file. Lines of the range that the new
    text repeats keep their own. A text without a final newline stays without one.
    """
    lines = split_lines(text)
    prevailing = _line_end(lines)
    floor = len(lines) + 1
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end), reverse=True):
        start, end = edit.start, edit.end
        if not lines and start <= 1 and end <= 1:
            start, end = 1, 0
        if not 1 <= start <= end + 1 <= len(lines) + 1:
            raise EditError(f"{path} has {len(lines)} lines and none numbered {start}-{end}; run again.")
        if max(start, end + 1) > floor:
            raise EditError(f"{path}: two rewrites overlap at line {end}; ask for one of them at a time.")
        floor = start
        _splice(lines, start - 1, end, edit, prevailing)
    return "".join(lines)


def _splice(lines: list[str], first: int, last: int, edit: LineEdit, prevailing: str) -> None:
    old = lines[first:last]
    open_end = last == len(lines) and bool(lines) and bare(lines[-1]) == lines[-1]
    ending = _line_end(old, prevailing)
    seen = _bare_lines(edit.seen)
    fresh = _merge(old, seen if len(seen) == len(old) else [bare(line) for line in old], edit.new, ending)
    if open_end and fresh:
        if first == last:
            lines[-1] = closed(lines[-1], ending)
        fresh[-1] = bare(fresh[-1])
    lines[first:last] = fresh


def _bare_lines(text: str) -> list[str]:
    return [bare(line) for line in split_lines(text)]


def _merge(old: list[str], seen: list[str], new: str, ending: str) -> list[str]:
    """Take over old lines, ends included, wherever the new text repeats them."""
    fresh = _bare_lines(new)
    merged = [line + ending for line in fresh]
    for a, b, size in matching_blocks(seen, fresh):
        merged[b : b + size] = [closed(line, ending) for line in old[a : a + size]]
    return merged


def closed(line: str, ending: str) -> str:
    """Return a line that has an end: its own, else `ending`."""
    return line + ending if bare(line) == line else line


def _line_end(lines: Sequence[str], default: str = "\n") -> str:
    ends = Counter(line[len(bare(line)) :] for line in lines)
    del ends[""]
    return ends.most_common(1)[0][0] if ends else default
