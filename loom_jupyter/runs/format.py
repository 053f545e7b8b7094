"""How Loom writes figures, and text that others wrote: the same in notebook, sidebar and terminal."""

from __future__ import annotations

from loom_jupyter.invisible import exact, name, visible

__all__ = [
    "LINE_LIMIT", "count", "counted", "cut", "exact", "gigabytes", "line", "lines", "path", "percent", "points",
    "seconds", "signed", "tokens", "visible", "window",
]  # fmt: skip

LINE_LIMIT = 400
"""Characters of a line that are shown."""

# --- figures ---


def seconds(value: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> seconds(0.42), seconds(120), seconds(720)
    ('0.4 s', '120 s', '12 min')
    """
    if value < 99.95:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"


def count(value: int) -> str:
    """Write a number of things with thousands separated: ``1,140``."""
    return f"{value:,}"


def counted(value: int, thing: str) -> str:
    """Write a number and its noun: ``1 file``, ``3 files``."""
    return f"{value:,} {thing}" if value == 1 else f"{value:,} {thing}s"


def gigabytes(value: int) -> str:
    """Write bytes as ``1.9`` (GB, that is 2**30 bytes), ``24`` from ten on."""
    size = value / 2**30
    return f"{size:.1f}" if size < 9.95 else f"{size:.0f}"


def window(tokens: int) -> str:
    """Write a context window: ``16k``, ``512``."""
    return f"{tokens // 1024}k" if tokens >= 1024 else str(tokens)


def points(value: float) -> str:
    """Write a score: ``92.4``."""
    return f"{value:.1f}"


def signed(value: float) -> str:
    """Write the points of one piece of evidence: ``+7``, ``−2.5``."""
    return f"{round(value, 1):+g}".replace("-", "−")


def tokens(number: int, rate: float | None) -> str:
    """Write tokens and their rate: ``412 tok · 27/s``."""
    return f"{number:,} tok" + (f" · {rate:.0f}/s" if rate else "")


def percent(fraction: float) -> str:
    """Write a fraction: ``42 %``."""
    return f"{fraction * 100:.0f} %"


# --- text of models, files and checks, made fit to be shown: nothing in it acts, nothing in it is hidden ---


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
