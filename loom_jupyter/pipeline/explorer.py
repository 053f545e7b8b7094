"""The Explorer: chooses among the units that deterministic code offers, by id only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from loom_jupyter.context.context_map import Offer
from loom_jupyter.pipeline.decide import decide
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.talk import Talk

MOST_TARGETS = 3
# A check can judge small changes of more targets than are worth reading: of 18 faults the right function was among
# the first 3 of the ranking 15 times, among the first 8 17 times.
SEARCHED = 6


class _Choice(BaseModel):
    model_config = ConfigDict(extra="ignore")

    targets: list[str] = Field(min_length=1, max_length=MOST_TARGETS)


def choose(talk: Talk, offers: Sequence[Offer], most: int = MOST_TARGETS) -> list[Offer]:
    """Return the chosen offers, likeliest first, filled up from the ranking to `most`.

    The model's own choice among the first few adds next to nothing to the ranking (the right function was chosen
    12 times of 18, and ranked first 11 times), so the search gets both. An id that
    was not offered cannot be said under the grammar; from a backend without one it is ignored.
    """
    if len(offers) <= 1:
        return list(offers)
    by_id = {offer.id: offer for offer in offers}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "targets": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_TARGETS,
                "items": {"enum": list(by_id)},
            }
        },
        "required": ["targets"],
        "additionalProperties": False,
    }
    choice = decide(talk, render("explorer", offers=offers), _Choice, schema, max_tokens=60)
    named = dict.fromkeys(choice.targets) if choice else {}
    chosen = [by_id[name] for name in named if name in by_id]
    if not chosen:
        talk.observer.repaired(talk.node, "the ranking decides: no usable choice")
    return list(dict.fromkeys([*chosen, *offers]))[:most]
