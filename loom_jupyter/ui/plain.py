"""Text of models, files and checks made fit to be shown: nothing in it acts, nothing in it is hidden."""

from __future__ import annotations

import html
import re

LINE_LIMIT = 400
"""Characters of a line that are shown."""

# Terminal escapes, other control characters, zero-width characters and marks that turn the direction of writing.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]"
)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def visible(text: str) -> str:
    """Drop terminal colours and show other hidden characters by name, as ``⟨U+202E⟩``."""
    text = _ANSI.sub("", text.replace("\r\n", "\n"))
    return _HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def cut(line: str, limit: int = LINE_LIMIT) -> str:
    """Shorten a line, saying by how much."""
    return line if len(line) <= limit else f"{line[:limit]} … ({len(line) - limit:,} more characters)"


def line(text: str, limit: int = LINE_LIMIT) -> str:
    """Return `text` as one line that is safe to print."""
    return visible(cut(" ".join(text.split()), limit))


def lines(text: str) -> list[str]:
    """Return the lines of `text`, each safe to print and none endless."""
    return [visible(cut(part)) for part in text.replace("\r\n", "\n").split("\n")]


def markup(text: str) -> str:
    """Return `text` for HTML, as text and never as markup."""
    return html.escape(visible(text), quote=True)
