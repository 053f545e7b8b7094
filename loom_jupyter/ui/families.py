"""Families of ledger rules: one colour, one pattern and one letter each, everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from loom_jupyter.events import EvidenceRow, RankedFile

FAMILIES = ("mention", "term", "symbol", "git", "history", "check", "notebook")
BLOCKS = dict(zip(FAMILIES, "█▓▒░▚▞▤", strict=True))
"""How a family looks where there is no colour."""


@dataclass(frozen=True)
class Share:
    """What one family adds to a file's score; `width` is its part of the longest bar, 0 to 1."""

    family: str
    points: float
    width: float


def shares(file: RankedFile, longest: float) -> list[Share]:
    """Split a file's bar by family. Rows that take points away shorten all its parts alike."""
    gains: dict[str, float] = {}
    for row in file.rows:
        if row.points > 0:
            gains[family_of(row)] = gains.get(family_of(row), 0.0) + row.points
    total = sum(gains.values())
    if total <= 0 or longest <= 0 or file.score <= 0:
        return []
    scale = file.score / total / longest
    return [Share(kind, gains[kind], gains[kind] * scale) for kind in FAMILIES if kind in gains]


def family_of(row: EvidenceRow) -> str:
    """Return the family of a row's rule; ``term`` for one of another version."""
    return row.family if row.family in FAMILIES else "term"


def why(file: RankedFile, most: int = 3) -> str:
    """Return the strongest evidence of a file in a few words."""
    best = sorted(file.rows, key=lambda row: -abs(row.points))[:most]
    return " · ".join(place(row) or row.rule for row in best)


def place(row: EvidenceRow) -> str:
    """Return what a row saw and where: ``tariff() l.12``."""
    said = row.detail or row.symbol or row.rule
    return f"{said} l.{row.line}" if row.line else said
