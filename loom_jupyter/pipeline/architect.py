"""The Architect: the user's words become a task. It is given nothing that can reach a file."""

from __future__ import annotations

from typing import Any

from loom_jupyter.pipeline.contracts import Intent, TaskSpec
from loom_jupyter.pipeline.decide import decide
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.talk import Talk

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


def plan(talk: Talk) -> TaskSpec:
    """Return the task; the user's own words where no reply was usable."""
    spec = decide(talk, render("architect"), TaskSpec, _LIMITS, max_tokens=240)
    if spec is None:
        spec = TaskSpec(intent=Intent.CHANGE, goal=" ".join(talk.request.split())[:400])
        talk.observer.repaired(talk.node, "the request's own words are the task")
    talk.observer.planned(spec)
    return spec
