"""Change a notebook's cells inside its JSON text; every byte outside a changed ``source`` stays as it is."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from loom_jupyter.errors import EditError

_DECODER = json.JSONDecoder(strict=False)
_SPACE = re.compile(r"[ \t\r\n]*")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell and where it stands in the notebook's text.

    Attributes
    ----------
    id
        The cell's id; ``cell-<position>`` in notebooks older than nbformat 4.5.
    span
        Of the whole cell.
    source_span
        Of the value of ``source``.
    """

    id: str
    kind: str
    source: str
    span: Span
    source_span: Span


def cells(path: str, text: str) -> list[Cell]:
    """Find the cells of a notebook.

    Raises
    ------
    EditError
        The text is not a notebook of format 4, it is nested too deeply, or two cells share an id.
    """
    try:
        members = _members(text, _skip(text, 0))
        found = [_cell(text, number, span) for number, span in enumerate(_elements(text, members["cells"][0]))]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise EditError(f"{path} is not a notebook of format 4; open and save it in Jupyter first.") from error
    except RecursionError as error:
        raise EditError(
            f"{path} is nested too deeply to be read; clear its outputs and metadata first."
        ) from error
    if len({cell.id for cell in found}) < len(found):
        raise EditError(f"{path} has two cells with the same id; open and save it in Jupyter first.")
    return found


def find(path: str, text: str, cell_id: str) -> Cell:
    """Return the cell of that id, or say that it is gone."""
    for cell in cells(path, text):
        if cell.id == cell_id:
            return cell
    raise EditError(f"{path} has no cell {cell_id}; run again to map the notebook as it is now.")


def with_source(text: str, cell: Cell, source: str) -> str:
    """Return the notebook's text with another source in one cell, written in the style of the old one."""
    start, end = cell.source_span
    return text[:start] + _render(text[start:end], text, start, source) + text[end:]


def with_new_cell(path: str, text: str, after: str | None, source: str) -> str:
    """Return the notebook's text with a code cell more: after the cell of that id, or at the end.

    The new cell's id follows from its source and its place, so that a replay gives the same bytes.
    """
    present = cells(path, text)
    if not present:
        raise EditError(f"{path} has no cell to add another one after; add an empty cell first.")
    before = present[-1] if after is None else find(path, text, after)
    ids = {cell.id for cell in present}
    salt = 0
    while (name := hashlib.sha256(f"{salt}{before.id}\0{source}".encode()).hexdigest()[:8]) in ids:
        salt += 1
    fresh: dict[str, Any] = {"cell_type": "code", "execution_count": None}
    if "id" in _members(text, before.span[0]):
        fresh["id"] = name
    fresh |= {"metadata": {}, "outputs": [], "source": _after_newlines(source)}
    lead = _lead(text, before.span[0])
    unit = lead[: len(lead) // 2] if lead else None
    body = json.dumps(fresh, indent=unit, ensure_ascii=False, separators=(",", ": "))
    if lead:
        body = ("\n" + lead + body.replace("\n", "\n" + lead)).replace("\n", _line_end(text))
    at = before.span[1]
    return text[:at] + "," + body + text[at:]


def without_cell(path: str, text: str, cell_id: str) -> str:
    """Return the notebook's text without a cell, and without the comma that goes with it."""
    present = cells(path, text)
    number = next(n for n, cell in enumerate(present) if cell.id == cell_id)
    start, end = present[number].span
    if number:
        start = present[number - 1].span[1]
    elif len(present) > 1:
        end = present[1].span[0]
    return text[:start] + text[end:]


def _cell(text: str, number: int, span: Span) -> Cell:
    members = _members(text, span[0])
    source = _value(text, members["source"])
    if isinstance(source, list):
        source = "".join(source)
    if not isinstance(source, str):
        raise TypeError("source is neither text nor a list of lines")
    name = str((_value(text, members["id"]) if "id" in members else "") or f"cell-{number}")
    return Cell(name, str(_value(text, members["cell_type"])), source, span, members["source"])


def _render(old: str, text: str, start: int, source: str) -> str:
    if not old.startswith("["):
        return _dump(old, source)
    spans = _elements(old, 0)
    lines = _after_newlines(source)
    if not lines:
        return "[]"
    known = {_value(old, span): old[slice(*span)] for span in spans}
    parts = [known.get(line) or _dump(old, line) for line in lines]
    if spans:
        opening, closing = old[1 : spans[0][0]], old[spans[-1][1] : -1]
        between = old[spans[0][1] : spans[1][0]] if len(spans) > 1 else "," + (opening or " ")
        return "[" + opening + between.join(parts) + closing + "]"
    lead = _lead(text, start)
    if not lead:
        return "[" + ", ".join(parts) + "]"
    end, unit = _line_end(text), lead[: max(1, len(lead) // 3)]
    return "[" + ",".join(f"{end}{lead}{unit}{part}" for part in parts) + f"{end}{lead}]"


def _after_newlines(source: str) -> list[str]:
    return [line for line in re.split(r"(?<=\n)", source) if line]


def _dump(old: str, value: str) -> str:
    """Write a string the way the old value is written: plain, or with non-ASCII letters escaped."""
    escaped = bool(re.search(r"\\u(?!00[01])", old)) and old.isascii()
    return json.dumps(value, ensure_ascii=escaped)


def _lead(text: str, at: int) -> str:
    """Return the blanks that begin the line of a position; empty where the JSON stands on one line."""
    begin = text.rfind("\n", 0, at) + 1
    lead = re.match(r"[ \t]*", text[begin:at])
    return lead.group() if begin and lead else ""


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value(text: str, span: Span) -> Any:
    return _DECODER.raw_decode(text, span[0])[0]


def _members(text: str, at: int) -> dict[str, Span]:
    """Locate the values of the object that begins at a position."""
    found: dict[str, Span] = {}
    at = _expect(text, at, "{")
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _expect(text, _skip(text, at), ":")
        end = _DECODER.raw_decode(text, at)[1]
        found[key] = (at, end)
        at = _next(text, end)
    return found


def _elements(text: str, at: int) -> list[Span]:
    """Locate the values of the array that begins at a position."""
    found: list[Span] = []
    at = _expect(text, at, "[")
    while text[at] != "]":
        end = _DECODER.raw_decode(text, at)[1]
        found.append((at, end))
        at = _next(text, end)
    return found


def _next(text: str, at: int) -> int:
    at = _skip(text, at)
    return _expect(text, at, ",") if text[at] == "," else at


def _expect(text: str, at: int, sign: str) -> int:
    if text[at] != sign:
        raise ValueError(f"{sign} expected at {at}")
    return _skip(text, at + 1)
