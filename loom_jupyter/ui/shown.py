"""Something to show: HTML in a notebook, text everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loom_jupyter.runs.events import ProposedFile
from loom_jupyter.ui import html, plain
from loom_jupyter.ui.tags import Html, join, tag


class Shown:
    """Text with an HTML form. ``str(x)`` is the text, so that it can be saved or searched.

    Parameters
    ----------
    text
        What terminals show.
    body
        What notebooks show; None for the text itself.
    """

    def __init__(self, text: str, body: Html | None = None) -> None:
        self._text = text
        self.body = tag("pre", text) if body is None else body

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return join([html.style(), tag("div", self.body, cls="run")])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Shown:
    """Show rows of text in columns."""
    cells = [[plain.line(cell, 300) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [list(columns), *cells]
    ]
    return Shown("\n".join(lines))


def diff(diffs: dict[str, str]) -> Shown:
    """Show unified diffs by path, in full; the text is the unified diff itself."""
    files = [
        ProposedFile(path=path, added=_count(text, "+"), removed=_count(text, "-"), diff=text)
        for path, text in diffs.items()
    ]
    return Shown(plain.visible("".join(diffs.values())).rstrip(), join(html.diff(file, None) for file in files))


def _count(text: str, sign: str) -> int:
    return sum(line.startswith(sign) and not line.startswith(sign * 3) for line in text.splitlines())
