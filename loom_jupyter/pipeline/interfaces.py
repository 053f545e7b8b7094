"""What the nodes tell while they work, and what deterministic code lends them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from loom_jupyter.context.context_map import ContextMap, Offer, Relation, Rewrite
from loom_jupyter.context.intent import RequestIntent, read_intent
from loom_jupyter.errors import Cancelled
from loom_jupyter.models.protocol import Message, Model, Reply, Usage
from loom_jupyter.pipeline.contracts import Node, TaskSpec, Trial
from loom_jupyter.pipeline.prompts import render


class Observer(Protocol):
    """Hears what happens. The runner's turns it into events."""

    def started(self, node: Node, note: str = "") -> None:
        """A node begins."""

    def text(self, node: Node, piece: str) -> None:
        """A piece of a reply."""

    def usage(self, node: Node, usage: Usage) -> None:
        """Tokens of one call."""

    def repaired(self, node: Node, note: str) -> None:
        """A reply was repaired, retried or replaced."""

    def finished(self, node: Node, summary: str, data: dict[str, Any]) -> None:
        """A node is done."""

    def planned(self, spec: TaskSpec) -> None:
        """The Architect's task."""

    def candidate(
        self, number: int, limit: int, place: str, kind: str, verdict: str, reason: str, seconds: float
    ) -> None:
        """The Coder's search tried one candidate."""


class TaskEnvironment(Protocol):
    """What deterministic code lends the Explorer and the Coder. The Architect gets none of it."""

    def offers(self, spec: TaskSpec) -> Sequence[Offer]:
        """Return the units worth choosing among, best first."""
        ...

    def map(self, spec: TaskSpec, chosen: Sequence[Offer]) -> ContextMap:
        """Return the Context Map for the chosen units."""
        ...

    @property
    def expands(self) -> bool:
        """Whether the Explorer may look around the units that it is offered."""
        ...

    def expand(self, asked: Sequence[tuple[Offer, Relation]]) -> Sequence[Offer]:
        """Return what stands in these relations to these units, within a budget."""
        ...

    @property
    def checked(self) -> bool:
        """Whether a check can judge a trial."""
        ...

    def trial(self, rewrites: Sequence[Rewrite]) -> Trial:
        """Try rewrites in the staged copy: gate, then check."""
        ...


class UserInput(Protocol):
    """The user, as far as a run may wait for one."""

    @property
    def may_be_asked(self) -> bool:
        """Whether somebody is there and the request gives deterministic code nothing to go by."""
        ...

    def answer(self, question: str) -> str:
        """Return the user's answer; empty to go on with the best guess."""
        ...

    def approve(self, spec: TaskSpec) -> TaskSpec:
        """Return the task as the user wants it."""
        ...


class NoUserInput:
    """Nobody is there to be asked."""

    may_be_asked = False

    def answer(self, question: str) -> str:  # noqa: ARG002 - the protocol's
        """Leave it to the best guess."""
        return ""

    def approve(self, spec: TaskSpec) -> TaskSpec:
        """Take the task as it is."""
        return spec


@dataclass
class Talk:
    """One node's way to its model: the shared opening of every prompt, streaming, usage and Stop in one place."""

    model: Model
    node: Node
    request: str
    observer: Observer
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def intent(self) -> RequestIntent:
        """What the request asks for."""
        return read_intent(self.request)

    def messages(self, instruction: str, *more: Message) -> list[Message]:
        """Return the prompt. All nodes share its beginning, so that the KV cache keeps it."""
        opening = render("request", request=self.request)
        return [
            {"role": "system", "content": render("system")},
            {"role": "user", "content": f"{opening}\n\n{instruction}"},
            *more,
        ]

    def ask(self, messages: Sequence[Message], max_tokens: int, **options: Any) -> Reply:
        """Ask the model, streaming to the observer."""
        self.check_stop()
        reply = self.model.chat(
            messages,
            max_tokens=max_tokens,
            on_text=lambda piece: self.observer.text(self.node, piece),
            cancel=self.cancel,
            **options,
        )
        self.observer.usage(self.node, reply.usage)
        return reply

    def check_stop(self) -> None:
        """Raise `Cancelled` if the user pressed Stop."""
        if self.cancel.is_set():
            raise Cancelled
