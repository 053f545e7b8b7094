"""The ipywidgets of a panel. Imported when the first panel fills, never before: ipywidgets takes its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from loom_jupyter.events import Action, RunState
from loom_jupyter.pipeline.contracts import Intent
from loom_jupyter.runs import format
from loom_jupyter.runs.compose import say
from loom_jupyter.runs.document import Document, Offer, Plan
from loom_jupyter.ui import html

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run

w: Any = ipywidgets  # has no types

Press = Callable[[Callable[["Run"], None]], None]
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDE = {"width": "32em"}


class Widgets:
    """A column of HTML parts, and a row of buttons that are there only while they can act."""

    def __init__(self, press: Press, reload: Callable[[], None]) -> None:
        self._style = w.HTML(html.style())
        self._live = w.HTML()
        self._steps = w.HTML()
        self._stream = w.HTML()
        self._evidence = w.HTML()
        self._result = w.HTML()
        self._changes = w.HTML()
        parts = [self._style, self._live, self._steps, self._evidence, self._stream, self._result, self._changes]
        self._content = w.VBox(parts)
        for name in ("loom-run", "loom-page"):
            self._content.add_class(name)
        self._stop = self._action(Action.STOP, "stop", press, lambda run: run.stop())
        self._accept = self._action(Action.ACCEPT, "check", press, lambda run: run.accept(), "success")
        self._merge = self._action(
            Action.ACCEPT, "check", press, lambda run: run.accept(merged=True), "success", merged=True
        )
        self._reject = self._action(Action.REJECT, "times", press, lambda run: run.reject())
        self._undo = self._action(Action.UNDO, "undo", press, lambda run: run.undo())
        self._reload = _button("Reload", "Load the changed modules of this kernel again", "refresh")
        self._reload.on_click(lambda _: reload())
        _keep_reachable(self._reload)
        self._text = w.ToggleButton(
            value=True, description="Text", tooltip="Show what the model writes", layout={"width": "auto"}
        )
        self._text.observe(self._toggle_text, "value")
        self._bar = w.HBox([self._stop])
        self._press = press
        self._asking: Asking | None = None
        self._accepted = w.Label(str(say("end.accepted")), layout={"min_width": "7em"})

    def _action(
        self,
        action: Action,
        icon: str,
        press: Press,
        act: Callable[[Run], None],
        style: str = "",
        *,
        merged: bool = False,
    ) -> Any:
        """Return the button of an action."""
        name = f"{action.value}{'_merged' if merged else ''}"
        button = _button(str(say(f"action.{name}")), str(say(f"action.{name}.why")), icon, style)

        def pressed(_: Any) -> None:
            if button in self._bar.children:  # the second click of two comes when it cannot act any more
                press(act)

        button.on_click(pressed)
        _keep_reachable(button)
        return button

    def content_view(self) -> dict[str, Any]:
        """Return the mimebundle entry that shows the column."""
        return {WIDGET_VIEW: self._content._repr_mimebundle_()[WIDGET_VIEW]}

    def bar_view(self) -> dict[str, Any]:
        """Return the mimebundle that shows the buttons, and nothing where there are no widgets."""
        return {WIDGET_VIEW: self._bar._repr_mimebundle_()[WIDGET_VIEW], "text/html": "", "text/plain": ""}

    @property
    def can_act(self) -> bool:
        """Whether any button is left."""
        return bool(self._bar.children)

    def close_bar(self) -> None:
        """Give the buttons up. The column stays: a page that is loaded again asks for it."""
        buttons = (self._stop, self._accept, self._merge, self._reject, self._undo, self._reload, self._text)
        for widget in (self._bar, *buttons, self._accepted):
            widget.close()
        for widget in self._asking.parts if self._asking else ():
            widget.close()

    def show(self, document: Document, reloadable: int = 0) -> None:
        """Bring every widget up to date; what did not change is not sent."""
        _put(self._live, html.announcement(document))
        _put(self._steps, html.steps(document))
        _put(self._result, html.result(document))
        _put(self._evidence, html.evidence(document))
        _put(self._stream, html.stream(document) if document.at_work else "")
        _put(self._changes, html.changes(document))
        children = self._buttons(document)
        if reloadable and self._undo in children:
            self._reload.description = f"Reload {format.counted(reloadable, 'module')}"
            children = (*children, self._reload)
        if children != self._bar.children:
            self._bar.children = children

    def _buttons(self, document: Document) -> tuple[Any, ...]:
        asked = self._asked(document)
        buttons = tuple(found for offer in document.actions if (found := self._button_of(offer)) is not None)
        if document.at_work and not asked:
            return (*buttons, self._text)
        if document.state is RunState.ACCEPTED and buttons:
            # The word is where Accept was, so that a second click there does not undo.
            return (self._accepted, *buttons)
        return (*asked, *buttons)

    def _button_of(self, offer: Offer) -> Any:
        if offer.action is Action.ACCEPT:
            return self._merge if offer.merged else self._accept
        return {Action.STOP: self._stop, Action.REJECT: self._reject, Action.UNDO: self._undo}.get(offer.action)

    def _asked(self, document: Document) -> tuple[Any, ...]:
        """Return what answers a run that waits; made for the first that does."""
        waits = any(document.offers(action) for action in (Action.ANSWER, Action.APPROVE))
        if self._asking is None and waits:
            self._asking = Asking(self._press)
            for part in self._asking.parts:
                _keep_reachable(part)
        return self._asking.shown(document) if self._asking is not None else ()

    def _toggle_text(self, change: Any) -> None:
        self._stream.layout.display = "" if change["new"] else "none"


class Asking:
    """A row for an answer and a form for a task; `shown` gives the one that a document asks for.

    Parameters
    ----------
    press
        Carries out what a press asks of the run.
    """

    def __init__(self, press: Press) -> None:
        self._press = press
        self._document: Document | None = None
        self._plan: Plan | None = None
        self._text = w.Text(placeholder="Your answer", layout=WIDE)
        self._text.on_msg(self._submitted)
        self._answer = _button("Answer", str(say("action.answer.why")), "reply", "primary")
        self._guess = _button("Guess", "Continue with the best guess", "forward")
        self._answer.on_click(lambda _: self._say(self._text.value))
        self._guess.on_click(lambda _: self._say(""))
        self._intent = w.Dropdown(options=[i.value for i in Intent], description="intent")
        self._goal = w.Text(description="goal", layout=WIDE)
        self._accept = w.Textarea(description="accept", rows=2, placeholder="one statement per line", layout=WIDE)
        self._terms = w.Text(description="terms", placeholder="words that the code may contain", layout=WIDE)
        self._continue = _button(str(say("action.approve")), str(say("action.approve.why")), "play", "primary")
        self._continue.on_click(lambda _: self._approve())
        self._row = w.HBox([self._text, self._answer, self._guess])
        self._form = w.VBox([self._intent, self._goal, self._accept, self._terms, self._continue])

    @property
    def parts(self) -> tuple[Any, ...]:
        """All widgets."""
        return (self._row, *self._row.children, self._form, *self._form.children)

    def shown(self, document: Document) -> tuple[Any, ...]:
        """Return what is to be shown of it."""
        self._document = document
        if self._waits_for(Action.ANSWER):
            return (self._row,)
        if self._waits_for(Action.APPROVE) and document.plan is not None:
            if document.plan != self._plan:
                self._fill(document.plan)
            return (self._form,)
        return ()

    def _waits_for(self, action: Action) -> bool:
        return self._document is not None and self._document.offers(action) is not None

    def _fill(self, plan: Plan) -> None:
        self._plan = plan
        self._intent.value = plan.intent.value
        self._goal.value = plan.goal
        self._accept.value = "\n".join(plan.acceptance)
        self._terms.value = ", ".join(plan.terms)

    def _submitted(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        if content.get("event") == "submit":
            self._say(self._text.value)

    def _say(self, text: str) -> None:
        if self._waits_for(Action.ANSWER):  # the second of two presses comes when nothing is asked any more
            self._press(lambda run: run.answer(text))

    def _approve(self) -> None:
        if not self._waits_for(Action.APPROVE):
            return
        changes = {
            "intent": self._intent.value,
            "goal": self._goal.value,
            "acceptance": [line.strip() for line in self._accept.value.splitlines() if line.strip()],
            "terms": [word.strip() for word in self._terms.value.split(",") if word.strip()],
        }
        self._press(lambda run: run.approve(**changes))


def _button(label: str, tooltip: str, icon: str, style: str = "") -> Any:
    return w.Button(description=label, tooltip=tooltip, icon=icon, button_style=style, layout={"width": "auto"})


def _keep_reachable(button: Any) -> None:
    """Let presses be handled where the front end sends them: a subshell, which a busy cell does not hold up.

    ipykernel 7.4 sends them to the shell that published last for the button, and that one waits for the cell.
    """
    if button.comm is not None:
        vars(button.comm).pop("_reply_subshell_id", None)


def _put(widget: Any, value: str) -> None:
    if widget.value != value:
        widget.value = value
