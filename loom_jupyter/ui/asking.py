"""The ipywidgets by which a user answers a run that waits: the Architect's question, and the task's editor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from loom_jupyter.events import Action, TaskPlanned
from loom_jupyter.pipeline.contracts import Intent
from loom_jupyter.runs.view import RunView

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run

w: Any = ipywidgets  # has no types

Press = Callable[[Callable[["Run"], None]], None]
WIDE = {"width": "32em"}


class Asking:
    """A row for an answer and a form for a task; `shown` gives the one that a view asks for.

    Parameters
    ----------
    press
        Carries out what a press asks of the run.
    button
        Makes a button.
    """

    def __init__(self, press: Press, button: Callable[..., Any]) -> None:
        self._press = press
        self._awaits: Action | None = None
        self._planned: TaskPlanned | None = None
        self._text = w.Text(placeholder="Your answer", layout=WIDE)
        self._text.on_msg(self._submitted)
        self._answer = button("Answer", "Tell the Architect", "reply", "primary")
        self._guess = button("Guess", "Go on with the best guess", "forward")
        self._answer.on_click(lambda _: self._say(self._text.value))
        self._guess.on_click(lambda _: self._say(""))
        self._intent = w.Dropdown(options=[i.value for i in Intent], description="intent")
        self._goal = w.Text(description="goal", layout=WIDE)
        self._accept = w.Textarea(description="accept", rows=2, placeholder="one statement a line", layout=WIDE)
        self._terms = w.Text(description="terms", placeholder="words that the code may contain", layout=WIDE)
        self._continue = button("Continue", "Look for the places to change", "play", "primary")
        self._continue.on_click(lambda _: self._approve())
        self._row = w.HBox([self._text, self._answer, self._guess])
        self._form = w.VBox([self._intent, self._goal, self._accept, self._terms, self._continue])

    @property
    def parts(self) -> tuple[Any, ...]:
        """All widgets."""
        return (self._row, *self._row.children, self._form, *self._form.children)

    def shown(self, view: RunView) -> tuple[Any, ...]:
        """Return what is to be shown of it."""
        self._awaits = view.awaits
        if view.awaits is Action.ANSWER:
            return (self._row,)
        if view.awaits is Action.APPROVE and view.plan is not None:
            if view.plan != self._planned:
                self._fill(view.plan)
            return (self._form,)
        return ()

    def _fill(self, planned: TaskPlanned) -> None:
        self._planned = planned
        self._intent.value = planned.intent.value
        self._goal.value = planned.goal
        self._accept.value = "\n".join(planned.acceptance)
        self._terms.value = ", ".join(planned.terms)

    def _submitted(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        if content.get("event") == "submit":
            self._say(self._text.value)

    def _say(self, text: str) -> None:
        if self._awaits is Action.ANSWER:  # the second of two presses comes when nothing is asked any more
            self._press(lambda run: run.answer(text))

    def _approve(self) -> None:
        if self._awaits is not Action.APPROVE:
            return
        changes = {
            "intent": self._intent.value,
            "goal": self._goal.value,
            "acceptance": [line.strip() for line in self._accept.value.splitlines() if line.strip()],
            "terms": [word.strip() for word in self._terms.value.split(",") if word.strip()],
        }
        self._press(lambda run: run.approve(**changes))
