"""Chat messages to prompt text, by the template that the model's file carries."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from loom_jupyter.models.protocol import Message, ModelError

if TYPE_CHECKING:
    from loom_jupyter.models.engine import Engine


class ChatTemplate:
    """The chat template of one model.

    Parameters
    ----------
    source
        Jinja2 source from the GGUF file.
    bos, eos
        Texts of the begin and end tokens.
    """

    def __init__(self, source: str | None, bos: str, eos: str) -> None:
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        if not source:
            raise ModelError(
                "The model has no chat template, so it cannot be asked; take an 'Instruct' or 'Chat' model."
            )
        self.bos = bos
        self._format: Any = Jinja2ChatFormatter(template=source, eos_token=eos, bos_token=bos)

    @classmethod
    def of(cls, engine: Engine) -> ChatTemplate:
        """Return the template that a loaded model's file carries."""
        return cls(engine.metadata.get("tokenizer.chat_template"), engine.bos, engine.eos)

    def render(self, messages: Sequence[Message], has_control: Callable[[str], bool]) -> list[tuple[str, bool]]:
        """Return the prompt as pieces ``(text, control)``; only pieces with `control` may hold control tokens.

        A file that happens to contain ``<|im_end|>`` must not end the message that quotes it: such text comes as a
        piece of its own.
        """
        if not any(has_control(m["content"]) for m in messages):
            return [(self._render(messages), True)]
        marks = {f"loom-{secrets.token_hex(8)}-{i}": m["content"] for i, m in enumerate(messages)}
        marked: list[Message] = [
            {"role": m["role"], "content": mark} for mark, m in zip(marks, messages, strict=True)
        ]
        rest, pieces = self._render(marked), []
        for mark, content in marks.items():
            before, found, rest = rest.partition(mark)
            if not found:
                raise ModelError("The text contains the model's own control tokens; remove them and run again.")
            pieces += [(before, True), (content, False)]
        return [*pieces, (rest, True)]

    def _render(self, messages: Sequence[Message]) -> str:
        try:
            return str(self._format(messages=list(messages)).prompt)
        except Exception as error:
            merged = _without_system(messages)
            if merged is None:
                raise ModelError(f"The model's chat template failed ({error}); take another model.") from error
            return self._render(merged)


def _without_system(messages: Sequence[Message]) -> list[Message] | None:
    """Put the system message at the head of the first user message: some templates know no system role."""
    if len(messages) < 2 or messages[0]["role"] != "system" or messages[1]["role"] != "user":
        return None
    first: Message = {"role": "user", "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
    return [first, *messages[2:]]
