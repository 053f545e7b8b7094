"""The panel in the cell: ipywidgets that show the run's document, and a static page that outlives them.

The cell has two outputs. The first shows the run: widgets while it is at work, then plain HTML, so that a saved
notebook shows the outcome. The second holds the buttons that can still act.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython import display as ipython

from loom_jupyter.errors import LoomError
from loom_jupyter.events import Event, RunState, StateChanged
from loom_jupyter.runs.compose import Composer, document_of
from loom_jupyter.runs.document import Document
from loom_jupyter.runs.messages import joined
from loom_jupyter.runs.view import RunView, reduce
from loom_jupyter.ui import html, text
from loom_jupyter.ui.status import Shown

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run
    from loom_jupyter.ui.widgets import Widgets

FRAME = 1 / 15
"""Seconds between two updates, at least."""
CLOCK = 0.5
"""Seconds after which the clock is redrawn though nothing happened."""

display: Any = ipython.display  # has no types

Bundle = dict[str, Any]


@dataclass(frozen=True)
class Reloading:
    """How to load the kernel's modules again that a run changed.

    Attributes
    ----------
    loaded
        Counts them.
    reload
        Loads them and says what came of it.
    """

    loaded: Callable[[Path, list[str]], int]
    reload: Callable[[Run], str]


def panel(task: str, *, live: bool, reloading: Reloading | None = None) -> Panel | Note:
    """Return what shows a run in the current cell: a panel, or a note where no front end can show one."""
    return Panel(task, reloading) if live else Note()


class Note:
    """Says that a run has begun and, above the next prompt, how it ended: what terminal IPython can show."""

    def follow(self, run: Run) -> None:
        """Name the run, and wait for its end without a thread of its own."""
        display(Shown(f"Run {run.id} runs in the background; %loom shows its progress."))
        leave: list[Callable[[], None]] = []

        def heard(event: Event) -> None:
            if isinstance(event, StateChanged) and not event.state.at_work:
                display(Shown(f"Run {run.id}: {self._end(run, event)}"))
                for unsubscribe in leave:
                    unsubscribe()

        leave.append(run.subscribe(heard))

    def _end(self, run: Run, event: StateChanged) -> str:
        said = f"{joined(document_of(run.events()).bar.text)}."
        if event.state is RunState.REVIEW:
            return f"{said} `%loom diff` shows it, `%loom accept` takes it."
        return f"{said} {run.error or ''}".rstrip()

    def close(self) -> None:
        """Nothing is shown yet, so there is nothing to take back."""


class Panel:
    """Shows one run in the output of the current cell.

    Create it first, in the cell's own thread: it takes its place in the notebook at once. `follow` fills it.
    """

    def __init__(self, task: str, reloading: Reloading | None = None) -> None:
        self._view = RunView(task=task)
        self._composer = Composer()
        self._reloading = reloading
        self._cwd = Path.cwd()  # the notebook's folder, as a rule
        self._lock = threading.RLock()  # held for what is shown, by the thread that works on the run too
        self._drawing = threading.RLock()  # held while pages are made, which takes time with their length
        self._dirty = threading.Event()
        self._thread: threading.Thread | None = None
        self._widgets: Widgets | None = None
        self._run: Run | None = None
        self._reloaded = False
        self._kept: Bundle | None = None
        self._place = display(self._page(self._document()), raw=True, display_id=True)

    def follow(self, run: Run) -> None:
        """Show what `run` does, until nothing more can happen to it."""
        self._run = run
        run.subscribe(self._on_event)
        self._place.update(self._page(self._document()), raw=True)
        from loom_jupyter.ui.widgets import Widgets  # takes its time

        widgets = Widgets(self._press, self._reload)
        with self._drawing:
            self._place.update({**self._page(self._document()), **widgets.content_view()}, raw=True)
            self._bar = display(widgets.bar_view(), raw=True, display_id=True)
            self._widgets = widgets
        self._draw()

    def close(self) -> None:
        """Take the panel out of the cell again, when no run came of it."""
        self._place.update({"text/html": "", "text/plain": ""}, raw=True)

    # --- events: called from the thread that works on the run, which must not wait ---

    def _on_event(self, event: Event) -> None:
        with self._lock:
            self._view = reduce(self._view, event)
            if self._view.at_work:
                self._dirty.set()
                self._ensure_thread()
                return
        self._draw()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_drawing, name="loom-panel", daemon=True)
            self._thread.start()

    def _keep_drawing(self) -> None:
        while True:
            self._dirty.wait(CLOCK)
            self._dirty.clear()
            self._draw()
            with self._lock:
                if not self._view.at_work:
                    self._thread = None
                    return
            time.sleep(FRAME)

    def _draw(self) -> None:
        with self._drawing:
            if self._widgets is None:
                return
            document = self._document()
            if not document.at_work:
                # Widgets end with their kernel; what stays in the notebook is plain HTML. It comes before the
                # buttons, and once: what the user has opened in it would close.
                page = self._page(document)
                if page != self._kept:
                    self._place.update(page, raw=True)
                    self._kept = page
            self._widgets.show(document, self._reloadable())
            if not document.at_work and not self._widgets.can_act:
                self._bar.update({"text/html": "", "text/plain": ""}, raw=True)
                self._widgets.close_bar()

    def _document(self) -> Document:
        with self._lock:
            view = self._view
        with self._drawing:
            return self._composer.compose(view, time.time())

    def _page(self, document: Document) -> Bundle:
        links = html.links(document.root, self._cwd)
        return {"text/html": html.page(document, links), "text/plain": text.page(document)}

    def _reloadable(self) -> int:
        """Return how many modules of the kernel can be loaded again: once, after Accept."""
        view = self._view
        if view.state is not RunState.ACCEPTED or view.proposal is None or self._reloading is None:
            return 0
        paths = [file.path for file in view.proposal.files]
        return 0 if self._reloaded else self._reloading.loaded(Path(view.root), paths)

    # --- buttons: called from the kernel's main thread or a subshell ---

    def _reload(self) -> None:
        assert self._run is not None
        assert self._reloading is not None
        said = self._reloading.reload(self._run)
        with self._lock:
            self._reloaded = True
            self._view = replace(self._view, notices=(*self._view.notices, said))
        self._draw()

    def _press(self, act: Callable[[Run], None]) -> None:
        assert self._run is not None
        try:
            act(self._run)
        except LoomError as error:
            with self._lock:
                if str(error) not in self._view.refused:
                    self._view = replace(self._view, refused=(*self._view.refused, str(error)))
            self._draw()
