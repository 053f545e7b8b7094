"""Ask a model for a decision in JSON: constrained, read leniently, retried with the error, never fatal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from loom_jupyter.models.protocol import Message
from loom_jupyter.pipeline.interfaces import Talk
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.reply import ReplyError, read_reply

T = TypeVar("T", bound=BaseModel)
TRIES = 3


def decide(
    talk: Talk,
    instruction: str,
    model: type[T],
    schema: Mapping[str, Any],
    max_tokens: int,
    before: Sequence[Message] = (),
) -> T | None:
    """Return the model's decision, or None after `TRIES` unusable replies (each is told to the observer).

    Parameters
    ----------
    before
        What was said already after the instruction.
    """
    more: list[Message] = []
    for attempt in range(TRIES):
        reply = talk.ask(
            talk.messages(instruction, *before, *more),
            max_tokens,
            schema=schema,
            temperature=0.0 if attempt == 0 else 0.6,
        )
        try:
            reading = read_reply(reply.text, model, asked=instruction)
        except ReplyError as error:
            talk.observer.repaired(talk.node, f"reply {attempt + 1} of {TRIES} was unusable: {error}")
            more = [
                {"role": "assistant", "content": reply.text[:500]},
                {"role": "user", "content": render("retry", error=str(error))},
            ]
            continue
        for note in reading.repairs:
            talk.observer.repaired(talk.node, note)
        return reading.value
    return None
