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
    Rule("folder named", 8, "mention", "The request names the folder, as a path or as the scope before a colon."),
    Rule("named by the check", 20, "check", "The check's output points at this line."),
    Rule("in the traceback", 20, "notebook", "The notebook's last exception passed through this line."),
    Rule("live variable", 8, "notebook", "The request names a live variable of the notebook; here is what it is."),
    Rule("earlier cell", 4, "notebook", "A cell that shares names with the request is this, or calls this."),
    Rule("loaded here", 4, "notebook", "The notebook's kernel has imported this module."),
    Rule("changed in git", 8, "git", "The file differs from the last commit."),
    Rule("term in path", 10, "term", "A word of the request stands in the path; rare words count more."),
    Rule("term in symbol", 2, "symbol", "A word of the request stands in the name of something defined here."),
    Rule("term in heading", 2, "term", "A word of the request stands in a heading."),
    Rule("term in import", 0.5, "term", "A word of the request stands in an import."),
    Rule("term in content", 0.5, "term", "A word of the request stands in the text."),
    Rule(
        "term in old commits",
        0.3,
        "history",
        "Messages of commits that touched this file use a word of the request.",
    ),
    Rule("term in prose", 0.25, "term", "A word of the request stands in a comment, docstring or message."),
    Rule("synonym", 1, "term", "Another word for one of the request stands here."),
    Rule("identifier used", 3, "symbol", "An identifier of the request is used here, exactly as written."),
    Rule("identifier defined", 2, "symbol", "An identifier of the request is defined here."),
    Rule("words joined", 3, "symbol", "Neighbouring words of the request are one identifier here."),
    Rule("similar commit", 2, "history", "An earlier commit that touched this file says something similar."),
    Rule("named in fitting docs", 2, "term", "Documentation that fits the request names what is defined here."),
    Rule("path in words", 3, "term", "The path is made of words of the request."),
    Rule("directory relevance", 5, "term", "The best files of this folder fit the request."),
    Rule("just changed", 4.5, "history", "The very last commits touched this file."),
    Rule("often changed", 5.5, "history", "Many of the last few hundred commits touched this file."),
    Rule("term from the Architect", 1, "term", "A word that the Architect added stands here."),
    Rule("test, counts less", -0.6, "term", "A test counts less unless the request is about tests."),
    Rule("documentation, counts less", -0.7, "term", "Documentation counts less unless the request is about it."),
    Rule("configuration, counts less", -0.7, "term", "Data and configuration count less unless asked for."),
)
# Points of the rules 'term in …' except 'term from the Architect' are weights of a field: together, saturated and
# weighed by rarity, they give the best file FIELDS points. The points of the rules after them go to the file that
# shows most of the evidence; the others get their share. How they were chosen: tests/benchmarks/README.md.
FIELDS = 24.0
# What the points are multiplied with when the request is in plain words: those share less with the code, so that
# folders and documentation tell more, and what happened to be changed tells less.
PLAIN = {"directory relevance": 1.6, "named in fitting docs": 1.0, "just changed": 0.5, "often changed": 0.5}
CODE = {"named in fitting docs": 0.0}


def rules(overrides: Mapping[str, float]) -> dict[str, Rule]:
    """Return the rules by name, with the points that the user set.

    Raises
    ------
    SettingsError
        If an override names no rule.
    """
    out = {r.name: r for r in TABLE}
    for name, points in overrides.items():
        if (why := refusal(name)) is not None:
            raise SettingsError(f"{why}.")
        out[name] = replace(out[name], points=points)
    return out


def refusal(name: str) -> str | None:
    """Return why points cannot be given to `name`, or None if it is a rule."""
    names = [rule.name for rule in TABLE]
    if name in names:
        return None
    near = get_close_matches(name[:80], names, 1, 0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"the rules are {', '.join(names)}"
    return f"[tool.loom.rules] has no rule {name[:80]!r} ({hint})"
