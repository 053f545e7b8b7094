"""The Architect: the user's words become a task. It is given nothing that can reach a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from loom_jupyter.pipeline.contracts import Intent, TaskSpec
from loom_jupyter.pipeline.interfaces import Talk
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.structured_output import decide

_LIMITS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "intent": {"enum": [intent.value for intent in Intent]},
        "goal": {"type": "string", "minLength": 1, "maxLength": 160},
        "acceptance": {
            "type": "array",
            "maxItems": 2,
            "items": {"type": "string", "minLength": 1, "maxLength": 100},
        },
        "terms": {"type": "array", "maxItems": 5, "items": {"type": "string", "minLength": 2, "maxLength": 40}},
    },
    "required": ["intent", "goal", "acceptance", "terms"],
    "additionalProperties": False,
}


_QUESTION: dict[str, Any] = {
    "type": "object",
    "properties": {"question": {"type": "string", "maxLength": 160}},
    "required": ["question"],
    "additionalProperties": False,
}


class _Question(BaseModel):
    model_config = ConfigDict(extra="ignore")

    question: Annotated[str, StringConstraints(strip_whitespace=True, max_length=400)]


def question(talk: Talk) -> str:
    """Return what the user must be asked before the request can be acted on; empty if nothing.

    Small models ask needlessly: call this only where deterministic code has nothing to go by either.
    """
    asked = decide(talk, render("question"), _Question, _QUESTION, max_tokens=80)
    return asked.question if asked is not None else ""


def plan(talk: Talk) -> TaskSpec:
    """Return the task; the user's own words where no reply was usable."""
    spec = decide(talk, render("architect"), TaskSpec, _LIMITS, max_tokens=240)
    if spec is None:
        spec = TaskSpec(intent=Intent.CHANGE, goal=" ".join(talk.request.split())[:400])
        talk.observer.repaired(talk.node, "the request's own words are the task")
    talk.observer.planned(spec)
    return spec


# Examples that no pattern could read in the user's words: the model points at them, and may only quote.

MAX_EXAMPLES = 3


class Quote(BaseModel):
    """A call, what it should give and what it gives now; empty where the words do not say."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    call: str
    expected: str
    actual: str = ""


class _Quotes(BaseModel):
    model_config = ConfigDict(extra="ignore")

    examples: list[Quote] = Field(max_length=MAX_EXAMPLES)


def quotes(talk: Talk, calls: Sequence[str], values: Sequence[str]) -> list[Quote]:
    """Return what the model takes for examples.

    Parameters
    ----------
    calls, values
        What stands in the words and may be said; the grammar allows nothing else.
    """
    part = {"call": {"enum": [*calls]}, "expected": {"enum": [*values]}, "actual": {"enum": ["", *values]}}
    item = {"type": "object", "properties": part, "required": [*part], "additionalProperties": False}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"examples": {"type": "array", "maxItems": min(MAX_EXAMPLES, len(calls)), "items": item}},
        "required": ["examples"],
        "additionalProperties": False,
    }
    prompt = render("quote", calls=calls, values=values)
    found = decide(talk, prompt, _Quotes, schema, max_tokens=200)
    return found.examples if found is not None else []
