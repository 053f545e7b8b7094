"""The rules: what counts as evidence, what it is worth, and why, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal, get_args

from loom_jupyter.errors import SettingsError

Family = Literal["mention", "term", "symbol", "git", "history", "check", "notebook"]
FAMILIES: tuple[Family, ...] = get_args(Family)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes
    ----------
    points
        What one piece of evidence is worth; for a rule that divides, the factor.
    sentence
        What it says, for people.
    """

    name: str
    points: float
    family: Family
    sentence: str


TABLE = (
    Rule("tagged", 40, "mention", "You named this file with a tag."),
    Rule("path mentioned", 24, "mention", "The request names this file or its path."),
    Rule("named by the check", 20, "check", "The check's output points at this line."),
    Rule("changed in git", 8, "git", "The file differs from the last commit."),
    Rule("term in path", 8, "term", "A word of the request stands in the path."),
    Rule("term in symbol", 7, "symbol", "A word of the request stands in the name of something defined here."),
    Rule("term in heading", 5, "term", "A word of the request stands in a heading."),
    Rule("term in import", 4, "term", "A word of the request stands in an import."),
    Rule("term in content", 2, "term", "A word of the request stands in the text."),
    Rule("term from the Architect", 2, "term", "A word that the Architect added stands here."),
    Rule("test, halved", -0.5, "term", "A test counts half unless the request is about tests."),
)


def rules(overrides: Mapping[str, float]) -> dict[str, Rule]:
    """Return the rules by name, with the points that the user set.

    Raises
    ------
    SettingsError
        If an override names no rule.
    """
    out = {r.name: r for r in TABLE}
    for name, points in overrides.items():
        if name not in out:
            near = get_close_matches(name, out, 1, 0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"the rules are {', '.join(out)}."
            raise SettingsError(f"[tool.loom.rules] has no rule '{name}': {hint}")
        out[name] = replace(out[name], points=points)
    return out
