"""Where a workspace and one of its runs stand, for ``%loom`` and for a run that a cell ends with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loom_jupyter.runs.view import view_of
from loom_jupyter.ui import html, plain, text
from loom_jupyter.ui.links import links
from loom_jupyter.ui.shown import Shown
from loom_jupyter.ui.tags import join, tag

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run


def status(root: str, model: str | None, run: Run | None, notices: Sequence[str] = ()) -> Shown:
    """Show a workspace, what there is to say of its settings, and its newest run."""
    lines = [f"Workspace  {plain.line(root)}", f"Model      {plain.line(model or 'the default')}"]
    lines += [f"Settings   {plain.line(notice, 1_000)}" for notice in notices]
    if run is None:
        lines.append("No run yet: write %%loom and, under it, what should be different.")
        return Shown("\n".join(lines))
    shown = of_run(run)
    return Shown("\n".join([*lines, str(shown)]), join([tag("pre", "\n".join(lines)), shown.body]))


def of_run(run: Run) -> Shown:
    """Show a run."""
    view, now = view_of(run.events()), time.time()
    title = f"{run.id} · {plain.line(run.task, 200)}"
    return Shown(
        f"{title}\n{text.page(view, now)}",
        join([tag("div", title, cls="dim"), html.body(view, now, links(view.root, Path.cwd()))]),
    )
