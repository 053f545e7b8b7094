"""How the families of ledger rules look: one colour, one pattern and one sign each, wherever evidence is shown.

The style sheet of sidebar and notebook is made from this table. After a change here:
``python -m loom_jupyter.runs.families > labextension/style/families.css``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from loom_jupyter.context.ledger_view import COLOURS, SHADES
from loom_jupyter.context.rules import FAMILIES, Family
from loom_jupyter.events import EvidenceRow

__all__ = ["BLOCKS", "COLOURS", "FAMILIES", "css", "family_of", "in_order"]

BLOCKS: dict[str, str] = {family: SHADES[family] for family in FAMILIES}
"""How a family looks where there is no colour."""
_LIGHT, _DARK = "rgb(255 255 255 / 38%)", "rgb(0 0 0 / 28%)"
# What tells bars apart for eyes that tell no colours apart.
_PATTERNS: dict[Family, str] = {
    "mention": "",
    "term": f"repeating-linear-gradient(90deg, transparent 0 3px, {_LIGHT} 3px 4px)",
    "symbol": f"repeating-linear-gradient(45deg, transparent 0 3px, {_LIGHT} 3px 5px)",
    "git": f"repeating-linear-gradient(0deg, transparent 0 2px, {_LIGHT} 2px 3px)",
    "history": f"repeating-linear-gradient(-45deg, transparent 0 4px, {_DARK} 4px 5px)",
    "check": "radial-gradient(rgb(255 255 255 / 50%) 1px, transparent 1.4px) 0 0 / 4px 4px",
    "notebook": f"repeating-linear-gradient(90deg, transparent 0 5px, {_DARK} 5px 6px)",
}


def family_of(row: EvidenceRow) -> str:
    """Return the family of a row's rule; ``term`` for one of another version."""
    return row.family if row.family in FAMILIES else "term"


def in_order(families: Iterable[str]) -> tuple[str, ...]:
    """Return each family once, in the order of the rules' table."""
    found = set(families)
    return tuple(family for family in FAMILIES if family in found)


def css() -> str:
    """Return the style sheet: a class ``loom-f-…`` for each family."""
    return "".join(
        f".loom-f-{family} {{\n  background: {' '.join(filter(None, [_PATTERNS[family], COLOURS[family]]))};\n}}\n"
        for family in FAMILIES
    )


if __name__ == "__main__":
    sys.stdout.write("/* Made by `python -m loom_jupyter.runs.families`. */\n" + css())
