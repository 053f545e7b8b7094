"""Examples that no pattern could read in the user's words: the model points at them, and may only quote."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from loom_jupyter.pipeline.decide import decide
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.talk import Talk

MOST = 3
_PART = {"type": "string", "maxLength": 120}
_QUOTES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "examples": {
            "type": "array",
            "maxItems": MOST,
            "items": {
                "type": "object",
                "properties": {"call": _PART, "expected": _PART, "actual": _PART},
                "required": ["call", "expected", "actual"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["examples"],
    "additionalProperties": False,
}


class Quote(BaseModel):
    """A call, what it should give and what it gives now; empty where the words do not say."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    call: str
    expected: str
    actual: str = ""


class _Quotes(BaseModel):
    model_config = ConfigDict(extra="ignore")

    examples: list[Quote] = Field(max_length=MOST)


def quotes(talk: Talk) -> list[Quote]:
    """Return what the model takes for examples; whether they stand in the words is for the caller to see."""
    found = decide(talk, render("quote"), _Quotes, _QUOTES, max_tokens=200)
    return found.examples if found is not None else []
