"""Text of models, files and checks made fit to be shown: nothing in it acts, nothing in it is hidden."""

from __future__ import annotations

import html
import re

from loom_jupyter.invisible import exact, name, visible

__all__ = ["LINE_LIMIT", "cut", "exact", "line", "lines", "markup", "path", "text_markup", "visible"]

LINE_LIMIT = 400
"""Characters of a line that are shown."""

# MathJax sets what lies between two of these in one piece of text; an element around one parts them.
_MATHEMATICS = re.compile(r"\$|\\(?=[(\[]|begin\b)")


def cut(line: str, limit: int = LINE_LIMIT) -> str:
    """Shorten a line, saying by how much."""
    return line if len(line) <= limit else f"{line[:limit]} … ({len(line) - limit:,} more characters)"


def line(text: str, limit: int = LINE_LIMIT) -> str:
    """Return `text` as one line that is safe to print."""
    return visible(cut(" ".join(text.split()), limit))


def path(text: str, limit: int = 200) -> str:
    """Return a path, or another name, as it is: one line with nothing hidden in it."""
    return name(cut(text, limit))


def lines(text: str) -> list[str]:
    """Return the lines of `text`, each safe to print and none endless."""
    return [visible(cut(part)) for part in text.replace("\r\n", "\n").split("\n")]


def markup(text: str) -> str:
    """Return `text` for HTML, as text and never as markup."""
    return html.escape(visible(text), quote=True)


def text_markup(text: str) -> str:
    """Return `text` for the inside of an element: as `markup` does, and never set as mathematics."""
    return _MATHEMATICS.sub(lambda found: f"<bdi>{found[0]}</bdi>", markup(text))
