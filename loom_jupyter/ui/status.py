"""What ``%loom`` commands and a cell's last line show: a run, a workspace, a table, diffs; HTML and text alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loom_jupyter.events import ProposedFile
from loom_jupyter.runs import format
from loom_jupyter.runs.compose import change, document_of
from loom_jupyter.runs.document import Document
from loom_jupyter.ui import html, text
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
        self._body = tag("pre", text) if body is None else body

    @property
    def body(self) -> Html:
        """What notebooks show, without the style sheet."""
        return self._body

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return join([html.style(), tag("div", self.body, cls="run")])


class ShownRun(Shown):
    """A run as it was at a moment: its document, laid out when somebody looks."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._title = f"{document.run} · {document.title}"
        self._cwd = Path.cwd()  # the notebook's folder, as a rule

    @property
    def body(self) -> Html:
        """What notebooks show, without the style sheet."""
        links = html.links(self._document.root, self._cwd)
        return join([tag("div", self._title, cls="dim"), html.body(self._document, links)])

    def __str__(self) -> str:
        return f"{self._title}\n{text.page(self._document)}"


def of_run(run: Run) -> Shown:
    """Show a run."""
    return ShownRun(document_of(run.events()))


def status(root: str, model: str | None, run: Run | None, notices: Sequence[str] = ()) -> Shown:
    """Show a workspace, what there is to say of its settings, and its newest run."""
    lines = [f"Workspace  {format.line(root)}", f"Model      {format.line(model or 'the default')}"]
    lines += [f"Settings   {format.line(notice, 1_000)}" for notice in notices]
    if run is None:
        lines.append("No run yet: write %%loom and, below it, what should be different.")
        return Shown("\n".join(lines))
    shown = of_run(run)
    return Shown("\n".join([*lines, str(shown)]), join([tag("pre", "\n".join(lines)), shown.body]))


def plan(run: Run) -> Shown:
    """Show a run's task, and how to go on where the run waits for that."""
    document = document_of(run.events())
    awaited = document.plan is not None and document.plan.hint is not None
    return Shown("\n".join(text.awaited(document) if awaited else text.task_lines(document)))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Shown:
    """Show rows of text in columns."""
    cells = [[format.line(cell, 300) for cell in row] for row in rows]
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
    body = join(html.diff(change(file), None) for file in files)
    return Shown(format.exact("".join(diffs.values())).rstrip(), body)


def replay(done: Replay) -> Shown:
    """Show what a replay came to; both diffs where they differ."""
    if done.same and not done.model:
        return Shown(
            f"Run {done.run_id} replayed: the same proposal, byte for byte "
            f"({done.calls} answers from its recording; no model, no check)."
        )
    other = format.line(done.model or "the replay", 80)
    same = "the same diff" if done.same else "another diff"
    head = f"Run {done.run_id} on {other}: {same} ({format.line(done.summary, 200)})."
    if done.same:
        return Shown(head)
    parts = [("the run", diff(done.recorded)), (other, diff(done.replayed))]
    answer = f"\n{format.visible(done.answer)}" if done.answer else ""
    said = head + answer + "".join(f"\n\n--- {name}:\n{str(shown) or 'no changes'}" for name, shown in parts)
    body = [tag("p", head + answer), *(join([tag("h4", name), shown.body]) for name, shown in parts)]
    return Shown(said, join(body))


def _count(text: str, sign: str) -> int:
    return sum(line.startswith(sign) and not line.startswith(sign * 3) for line in text.splitlines())
