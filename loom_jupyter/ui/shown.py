"""Something to show: HTML in a notebook, text everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from loom_jupyter.events import Action, ProposedFile
from loom_jupyter.runs.view import view_of
from loom_jupyter.ui import html, plain, text
from loom_jupyter.ui.tags import Html, join, tag

if TYPE_CHECKING:
    from loom_jupyter.runs.replay import Replay
    from loom_jupyter.runs.run import Run


class Shown:
    """Text with an HTML form. ``str(x)`` is the text, so that it can be saved or searched.

    Parameters
    ----------
    text
        What terminals show.
    body
        What notebooks show; None for the text itself.
    """

    def __init__(self, text: str, body: Html | None = None) -> None:
        self._text = text
        self.body = tag("pre", text) if body is None else body

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return join([html.style(), tag("div", self.body, cls="run")])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Shown:
    """Show rows of text in columns."""
    cells = [[plain.line(cell, 300) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [list(columns), *cells]
    ]
    return Shown("\n".join(lines))


def diff(diffs: Mapping[str, str]) -> Shown:
    """Show unified diffs by path, in full; the text is the unified diff itself."""
    files = [
        ProposedFile(path=path, added=_count(text, "+"), removed=_count(text, "-"), diff=text)
        for path, text in diffs.items()
    ]
    return Shown(plain.exact("".join(diffs.values())).rstrip(), join(html.diff(file, None) for file in files))


def plan(run: Run) -> Shown:
    """Show a run's task, and how to go on where the run waits for that."""
    view = view_of(run.events())
    lines = text.awaited(view) if view.awaits is Action.APPROVE else text.task(view.plan) if view.plan else []
    return Shown("\n".join(lines))


def replay(done: Replay) -> Shown:
    """Show what a replay came to; both diffs where they differ."""
    if done.same and not done.model:
        return Shown(
            f"Run {done.run_id} replayed: the same proposal, byte for byte "
            f"({done.calls} answers from its recording; no model, no check)."
        )
    other = plain.line(done.model or "the replay", 80)
    same = "the same diff" if done.same else "another diff"
    head = f"Run {done.run_id} on {other}: {same} ({plain.line(done.summary, 200)})."
    if done.same:
        return Shown(head)
    parts = [("the run", diff(done.recorded)), (other, diff(done.replayed))]
    answer = f"\n{plain.visible(done.answer)}" if done.answer else ""
    text = head + answer + "".join(f"\n\n--- {name}:\n{str(shown) or 'no changes'}" for name, shown in parts)
    body = [tag("p", head + answer), *(join([tag("h4", name), shown.body]) for name, shown in parts)]
    return Shown(text, join(body))


def _count(text: str, sign: str) -> int:
    return sum(line.startswith(sign) and not line.startswith(sign * 3) for line in text.splitlines())
