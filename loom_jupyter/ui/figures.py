"""How Loom writes figures: the same in panel, saved notebook and terminal."""

from __future__ import annotations


def seconds(value: float) -> str:
    """Write a duration: ``0.4 s``, ``61 s``, ``12 min``."""
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


def tokens(number: int, rate: float | None) -> str:
    """Write tokens and their rate: ``412 tok · 27/s``."""
    return f"{number:,} tok" + (f" · {rate:.0f}/s" if rate else "")


def percent(fraction: float) -> str:
    """Write a fraction: ``42 %``."""
    return f"{fraction * 100:.0f} %"
