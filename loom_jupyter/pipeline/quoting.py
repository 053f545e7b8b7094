"""Examples that no pattern could read in the user's words: the model points at them, and may only quote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from loom_jupyter.pipeline.decide import decide
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.talk import Talk

MOST = 3


class Quote(BaseModel):
    """A call, what it should give and what it gives now; empty where the words do not say."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    call: str
    expected: str
    actual: str = ""


class _Quotes(BaseModel):
    model_config = ConfigDict(extra="ignore")

    examples: list[Quote] = Field(max_length=MOST)


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
        "properties": {"examples": {"type": "array", "maxItems": min(MOST, len(calls)), "items": item}},
        "required": ["examples"],
        "additionalProperties": False,
    }
    prompt = render("quote", calls=calls, values=values)
    found = decide(talk, prompt, _Quotes, schema, max_tokens=200)
    return found.examples if found is not None else []
