"""The Explorer: chooses among the units that deterministic code offers, by id only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from loom_jupyter.context.context_map import Offer, Relation
from loom_jupyter.models.protocol import Message
from loom_jupyter.pipeline.interfaces import Talk, TaskEnvironment
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.structured_output import decide

MOST_TARGETS = 3
# A check can judge small changes of more targets than are worth reading: of 18 faults the right function was among
# the first 3 of the ranking 15 times, among the first 8 17 times.
SEARCHED = 8


ROUNDS, LOOKS = 2, 2
"""How often the Explorer may look further, and at how many relations at once."""
_LOOKS = {
    Relation.CALLERS: "callers of",
    Relation.CALLEES: "callees of",
    Relation.TESTS: "tests of",
    Relation.DEFINITIONS: "definitions in",
}


class _Choice(BaseModel):
    model_config = ConfigDict(extra="ignore")

    targets: list[str] = Field(min_length=1, max_length=MOST_TARGETS)
    look: list[str] = Field(default_factory=list, max_length=LOOKS)


def choose(
    talk: Talk, offers: Sequence[Offer], most: int = MOST_TARGETS, environment: TaskEnvironment | None = None
) -> list[Offer]:
    """Return the chosen offers, likeliest first, filled up from the ranking to `most`.

    The model's own choice among the first few adds next to nothing to the ranking (the right function was chosen
    12 times of 18, and ranked first 11 times), so the search gets both. An id that
    was not offered cannot be said under the grammar; from a backend without one it is ignored.

    Parameters
    ----------
    environment
        Answers when the model asks to look further; None if it may not.
    """
    if len(offers) <= 1:
        return list(offers)
    known = {offer.id: offer for offer in offers}
    instruction = render("explorer", offers=offers, look=environment is not None)
    said: list[Message] = []
    choice = _asked(talk, instruction, known, said, look=environment is not None)
    for left in reversed(range(ROUNDS)):
        looks = _relations(choice, known) if environment is not None and choice is not None else []
        fresh = (
            [offer for offer in environment.expand(looks) if offer.id not in known]
            if environment and looks
            else []
        )
        if choice is None or not fresh:
            break
        known |= {offer.id: offer for offer in fresh}
        said += [
            {"role": "assistant", "content": choice.model_dump_json()},
            {"role": "user", "content": render("explorer_more", offers=fresh, look=left > 0)},
        ]
        choice = _asked(talk, instruction, known, said, look=left > 0) or choice
    named = dict.fromkeys(choice.targets) if choice else {}
    chosen = [known[name] for name in named if name in known]
    if not chosen:
        talk.observer.repaired(talk.node, "the ranking decides: no usable choice")
    return list(dict.fromkeys([*chosen, *offers]))[:most]


def _asked(
    talk: Talk, instruction: str, known: Mapping[str, Offer], said: Sequence[Message], *, look: bool
) -> _Choice | None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "targets": {
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_TARGETS,
                "items": {"enum": list(known)},
            }
        },
        "required": ["targets"],
        "additionalProperties": False,
    }
    if look:
        looks = [f"{words} {name}" for name in known for words in _LOOKS.values()]
        schema["properties"]["look"] = {"type": "array", "maxItems": LOOKS, "items": {"enum": looks}}
        schema["required"] = ["targets", "look"]
    choice = decide(talk, instruction, _Choice, schema, max_tokens=90 if look else 60, before=said)
    return choice.model_copy(update={"look": []}) if choice is not None and not look else choice


def _relations(choice: _Choice, known: Mapping[str, Offer]) -> list[tuple[Offer, Relation]]:
    """Read what the model asks to see; what was not offered is ignored."""
    by_words = {f"{words} {name}": (known[name], rel) for name in known for rel, words in _LOOKS.items()}
    return [by_words[asked] for asked in dict.fromkeys(choice.look) if asked in by_words]
