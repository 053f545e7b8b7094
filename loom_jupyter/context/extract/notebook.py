"""Notebooks: each cell is a symbol; outputs are never read."""

from __future__ import annotations

import json
from typing import NamedTuple


class Cell(NamedTuple):
    """One cell.

    Attributes
    ----------
    id
        Its id; ``cell-<position>`` in notebooks older than nbformat 4.5.
    base
        Lines of the cells before it.
    """

    id: str
    kind: str
    source: str
    base: int


class NotNotebook(ValueError):  # noqa: N818 - says what the file is not
    """The file is no notebook of format 4."""


def cells(text: str) -> tuple[str, list[Cell]]:
    """Return the notebook's language and its cells."""
    try:
        book = json.loads(text)
        found = book["cells"]
        meta = book.get("metadata", {})
        language = str(meta.get("language_info", meta.get("kernelspec", {})).get("name", "python"))
        out: list[Cell] = []
        base = 0
        for position, cell in enumerate(found):
            source = cell["source"]
            source = "".join(source) if isinstance(source, list) else str(source)
            # A task is no evidence for itself.
            if source.lstrip().startswith("%%loom"):
                continue
            out.append(Cell(str(cell.get("id") or f"cell-{position}"), str(cell["cell_type"]), source, base))
            base += source.count("\n") + 1
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotNotebook(str(error)) from error
    return ("python" if language.startswith(("python", "ipython")) else language.lower()), out
