"""The ipywidgets of a panel. Imported when the first panel fills, never before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from loom_jupyter.events import RunState
from loom_jupyter.runs.view import RunView
from loom_jupyter.ui import figures, html
from loom_jupyter.ui.asking import Asking, Press
from loom_jupyter.ui.evidence import evidence

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run

w: Any = ipywidgets  # has no types

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Widgets:
    """A column of HTML parts, and a row of buttons that are there only while they can act."""

    def __init__(self, press: Press, reload: Callable[[], None]) -> None:
        self._style = w.HTML(html.style())
        self._live = w.HTML()
        self._rail = w.HTML()
        self._stream = w.HTML()
        self._evidence = w.HTML()
        self._result = w.HTML()
        self._changes = w.HTML()
        parts = [self._style, self._live, self._rail, self._evidence, self._stream, self._result, self._changes]
        self._content = w.VBox(parts)
        for name in ("loom-run", "loom-page"):
            self._content.add_class(name)
        self._stop = _button("Stop", "End this run now; nothing is written", "stop")
        self._accept = _button("Accept", "Write these changes into the workspace", "check", "success")
        self._merge = _button(
            "Accept merged", "Write these changes on top of your own, which do not touch them", "check", "success"
        )
        self._reject = _button("Reject", "Drop these changes", "times")
        self._undo = _button("Undo", "Restore the files as they were before", "undo")
        self._reload = _button("Reload", "Load the changed modules of this kernel again", "refresh")
        self._reload.on_click(lambda _: reload())
        _keep_reachable(self._reload)
        self._text = w.ToggleButton(
            value=True, description="Text", tooltip="Show what the model writes", layout={"width": "auto"}
        )
        self._bar = w.HBox([self._stop])
        self._press = press
        self._asking: Asking | None = None
        self._accepted = w.Label("Accepted", layout={"min_width": "7em"})
        for button, act in {
            self._stop: lambda run: run.stop(),
            self._accept: lambda run: run.accept(),
            self._merge: lambda run: run.accept(merged=True),
            self._reject: lambda run: run.reject(),
            self._undo: lambda run: run.undo(),
        }.items():
            self._wire(button, act, press)
        self._text.observe(self._toggle_text, "value")

    def _wire(self, button: Any, act: Callable[[Run], None], press: Press) -> None:
        def pressed(_: Any) -> None:
            if button in self._bar.children:  # the second click of two comes when it cannot act any more
                press(act)

        button.on_click(pressed)
        _keep_reachable(button)

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

    def show(self, view: RunView, now: float, reloadable: int = 0) -> None:
        """Bring every widget up to date; what did not change is not sent."""
        _put(self._live, html.announcement(view))
        _put(self._rail, html.steps(view, now))
        _put(self._result, html.result(view))
        _put(self._evidence, evidence(view))
        _put(self._stream, html.stream(view) if view.at_work else "")
        _put(self._changes, html.changes(view))
        children = self._buttons(view)
        if reloadable and self._undo in children:
            self._reload.description = f"Reload {figures.counted(reloadable, 'module')}"
            children = (*children, self._reload)
        if children != self._bar.children:
            self._bar.children = children

    def _buttons(self, view: RunView) -> tuple[Any, ...]:
        asked = self._asked(view)
        if asked:
            return (*asked, self._stop)
        if view.at_work:
            return (self._stop, self._text)
        if view.proposal is None or not view.proposal.files:
            return ()
        if view.state is RunState.REVIEW:
            return (self._merge if view.mergeable else self._accept, self._reject)
        if view.proposal.cell is not None:
            return ()  # it stands in the notebook
        # The words stand where Accept stood, so that a second click there does not undo.
        return (self._accepted, self._undo) if view.state is RunState.ACCEPTED else ()

    def _asked(self, view: RunView) -> tuple[Any, ...]:
        """Return what answers a run that waits; made for the first that does."""
        if self._asking is None and view.awaits is not None:
            self._asking = Asking(self._press, _button)
            for part in self._asking.parts:
                _keep_reachable(part)
        return self._asking.shown(view) if self._asking is not None else ()

    def _toggle_text(self, change: Any) -> None:
        self._stream.layout.display = "" if change["new"] else "none"


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
