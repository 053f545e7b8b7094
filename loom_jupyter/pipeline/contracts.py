"""What one node hands to the next."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from loom_jupyter.context.context_map import Rewrite

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]
Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=2, max_length=60)]


class Node(StrEnum):
    """The stations of a run, in their fixed order."""

    ARCHITECT = "architect"
    EXPLORER = "explorer"
    CODER = "coder"
    CHECK = "check"
    REVIEW = "review"


class Intent(StrEnum):
    """What the user wants done."""

    CHANGE = "change"
    CREATE = "create"
    EXPLAIN = "explain"


class TaskSpec(BaseModel):
    """Architect → Explorer: the user's words, made into a task.

    Attributes
    ----------
    goal
        One sentence.
    acceptance
        What must hold afterwards.
    terms
        Words that the code in question may contain. They may add evidence and never remove any.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    intent: Intent
    goal: Line
    acceptance: list[Line] = Field(default_factory=list, max_length=6)
    terms: list[Term] = Field(default_factory=list, max_length=12)


def with_answer(request: str, answer: str) -> str:
    """Return the user's words, with what the user answered to the Architect's question."""
    return f"{request.rstrip(' .!')}. {answer.strip()}" if answer.strip() else request


class Proposal(BaseModel):
    """Coder → check → review: new text for some of the map's targets.

    Attributes
    ----------
    summary
        One line for the journal.
    passed
        True if the check passed with it, False if it failed, None if there was no check.
    answer
        The reply to a question (intent ``explain``), when nothing is to be changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rewrites: tuple[Rewrite, ...] = ()
    summary: str = ""
    passed: bool | None = None
    answer: str = ""


class Trial(BaseModel):
    """What became of some rewrites in the staged copy.

    Attributes
    ----------
    passed
        True or False; None when there was no check to ask.
    reason
        One line: why it was refused or failed, or what passed.
    output
        What the check printed, trimmed.
    gate
        True if the gate (syntax, undefined names) refused it before any check ran.
    score
        Orders failures: the share of the tests that pass, from 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: bool | None
    reason: str
    output: str = ""
    gate: bool = False
    score: float = 0.0
    seconds: float = 0.0
