"""A run's document as HTML: the parts of the live panel, and the page that a saved notebook keeps.

What a model, a file or a check wrote goes through `tags.tag`, so it is text and never markup. Without its style
sheet (an untrusted notebook, GitHub) the same HTML still reads from top to bottom.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from textwrap import TextWrapper
from urllib.parse import quote

from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs import families, format
from loom_jupyter.runs.compose import say
from loom_jupyter.runs.document import (
    Change,
    Chip,
    Document,
    Evidence,
    EvidenceFile,
    Notice,
    Row,
    Share,
    Step,
)
from loom_jupyter.runs.messages import Message, joined
from loom_jupyter.ui.tags import Html, join, prose, tag
from loom_jupyter.ui.text import ROW_LIMIT, awaited, candidate_lines, diff_rows

STREAM_LINES, STREAM_WIDTH = 5, 120
FILES_SHOWN = 6
PROPOSED_SHOWN = 20
MAX_PATH = 1_000
"""Characters of a path that is linked; no file system knows longer ones."""


@cache
def style() -> Html:
    """Return the style sheet, as a ``<style>`` element."""
    sheet = files("loom_jupyter.ui").joinpath("style.css").read_text("utf-8")
    return Html(f"<style>{sheet}{families.css()}</style>")


@dataclass(frozen=True)
class Links:
    """Where links lead: JupyterLab opens what a relative link in a saved output names, at the line.

    Attributes
    ----------
    base
        The workspace's folder as seen from the notebook; None where links lead nowhere (in widgets, which
        JupyterLab does not resolve).
    """

    base: str | None = None

    def to(self, path: str, line: int | None = None, words: str = "") -> Html:
        """Return `words` (the path, if empty) as a link to a line of a file, or as they are."""
        text = words or format.path(path)
        if self.base is None or len(path) > MAX_PATH or path.startswith("<"):  # <notebook> names no file
            return tag("span", text)
        # Quoted whole, so that no path can be taken for another scheme. Lines count from 0 (RFC 5147).
        href = quote(f"{self.base}/{path}") + (f"#line={line - 1}" if line else "")
        return tag("a", text, href=href)


NOWHERE = Links()


def links(root: str, start: Path) -> Links:
    """Return links into the workspace `root` for a notebook in the folder `start`."""
    try:
        return Links(Path(os.path.relpath(root, start)).as_posix() if root else None)
    except ValueError:  # another drive
        return NOWHERE


def page(document: Document, links: Links = NOWHERE) -> Html:
    """Return the whole run as static HTML, complete in itself."""
    return join([style(), body(document, links)])


def body(document: Document, links: Links = NOWHERE) -> Html:
    """Return the whole run without the style sheet."""
    parts = [steps(document), result(document), changes(document, links), evidence(document, links=links)]
    return tag("div", *parts, details(document), cls="run page")


# --- head, steps and bar ---


def steps(document: Document) -> Html:
    """Return what is there from the first moment on."""
    model = tag("span", joined(document.head.model), cls="dim")
    head = tag("div", tag("b", "Loom"), model, *map(_chip, document.head.chips), cls="head")
    rows = tag("ol", *map(_step, document.steps), cls="steps", aria_label=str(say("steps")))
    return join([head, rows, _bar(document)])


def _chip(chip: Chip) -> Html:
    return tag("span", str(chip.text), tag("code", chip.command) if chip.command else Html(), cls="label")


def _step(step: Step) -> Html:
    text = joined(step.text)
    return tag(
        "li",
        tag("span", step.mark, cls="mark", aria_hidden="true"),
        tag("span", str(step.name), tag("span", f"({step.spoken})", cls="hidden"), cls="name"),
        tag("span", step.time, cls="time"),
        tag("span", text, cls="text", title=text),
        tag("span", joined(step.aside), cls="aside"),
        cls=step.state.value,
    )


def _bar(document: Document) -> Html:
    meter = _meter(document.bar.fraction or 0.0) if document.at_work else Html()
    return tag("div", meter, tag("span", joined(document.bar.text), cls="dim"), cls="status")


def _meter(fraction: float) -> Html:
    done = f"{fraction * 100:.1f}"
    known = {"aria_valuemin": "0", "aria_valuemax": "100", "aria_valuenow": done}
    label = str(say("bar.progress"))
    part = tag("i", style=f"width: {done}%")
    return tag("span", part, cls="meter", role="progressbar", aria_label=label, **known)


def announcement(document: Document) -> Html:
    """Return what a screen reader says: it changes with the step, not with the clock."""
    return tag("div", str(document.bar.spoken), cls="hidden", role="status", aria_live="polite")


def stream(document: Document) -> Html:
    """Return the end of what is being written or tried, in a box whose height never changes."""
    text = next((text for text in document.texts if text.node is document.writing), None)
    if document.writing is Node.CODER and document.candidates:
        title, lines = say("live.tries"), candidate_lines(document)[-STREAM_LINES:]
    elif text is not None:
        title = say("live.writes", name=say(f"node.{text.node.value}"))
        lines = [part for line in text.text.split("\n") for part in _wrap(line) or [""]]
    else:
        title, lines = say("live.nothing"), []
    written = tag("pre", "\n".join(lines[-STREAM_LINES:]))
    return tag("div", tag("span", str(title), cls="title"), written, cls="section stream")


_wrap = TextWrapper(STREAM_WIDTH, drop_whitespace=False, replace_whitespace=False, expand_tabs=False).wrap


# --- result ---


def result(document: Document) -> Html:
    """Return what a person must read first once the run is over: error, answer, refusals, notices."""
    parts = []
    if document.outcome is not None:
        ending = document.outcome
        parts += [tag("div", str(sentence)) for sentence in (ending.tried, ending.best) if sentence]
        parts.append(tag("div", prose(str(ending.next)), cls="error", role="alert"))
    if document.answer:
        parts.append(tag("pre", document.answer, cls="answer"))
    parts += map(_notice, document.notices)
    parts += [tag("div", prose(line), cls="notice") for line in awaited(document)]
    return tag("div", *parts, cls="section") if parts else Html()


def _notice(notice: Notice) -> Html:
    """Return a sentence, and what it shows below."""
    below = tag("pre", notice.below, tabindex="0") if notice.below else Html()
    return tag("div", prose(str(notice.text)), below, cls="notice")


# --- changes ---


def changes(document: Document, links: Links = NOWHERE) -> Html:
    """Return the proposal's diffs, file by file."""
    if not document.changes:
        return Html()
    if document.cell is not None:
        links = NOWHERE  # a cell has no file to open
    shown = [diff(change, links=links) for change in document.changes[:PROPOSED_SHOWN]]
    left = len(document.changes) - PROPOSED_SHOWN
    more = _more(say("changes.more_files", count=left)) if left > 0 else Html()
    return tag("div", *shown, more, cls="section changes")


def diff(change: Change, limit: int | None = ROW_LIMIT, links: Links = NOWHERE) -> Html:
    """Return one file's diff with line numbers."""
    size = tag("span", tag("span", f"+{change.added}", cls="plus"), tag("span", f"−{change.removed}", cls="minus"))
    rows = join(_diff_row(*row) for row in diff_rows(change, limit))
    title = tag("div", tag("span", links.to(change.path, change.line), cls="code"), size, cls="file")
    return join([title, tag("pre", rows, cls="diff", tabindex="0", role="region", aria_label=str(change.label))])


def _diff_row(kind: str, number: str, sign: str, text: str) -> Html:
    # Padded, so that the columns line up even where no style sheet is applied.
    return tag("span", tag("i", f"{number:>5}"), tag("b", f" {sign} "), text + "\n", cls=kind, sep="")


# --- evidence ---


def evidence(document: Document, links: Links = NOWHERE) -> Html:
    """Return the ledger's first files, a stacked bar per file that opens to its rows; before that, their place."""
    found = document.evidence
    if found is None:
        return _evidence_awaited() if document.at_work else Html()
    shown = found.files[:FILES_SHOWN]
    title = tag("summary", str(say("evidence")), tag("span", str(found.title), cls="dim"))
    rows = tag("div", *(_file(found, file, links) for file in shown), cls="evidence")
    left = found.total - len(shown)
    more = _more(say("evidence.more", count=left)) if left else Html()
    cls = "section awaited" if document.at_work else "section"
    return tag("details", title, rows, more, _legend(shown), cls=cls, open=True)


def _evidence_awaited() -> Html:
    title = tag("div", str(say("evidence")), cls="title")
    return tag("div", title, tag("div", str(say("evidence.awaited")), cls="dim"), cls="section awaited")


def _more(message: Message) -> Html:
    return tag("div", prose(str(message)), cls="dim more")


def _file(found: Evidence, file: EvidenceFile, links: Links) -> Html:
    bar = (_share(share, found.width(file, share)) for share in file.bar)
    summary = tag(
        "summary",
        tag("span", str(file.rank), cls="rank"),
        tag("span", links.to(file.path, file.line), cls="path", title=file.name),
        tag("span", *bar, cls="bar", aria_hidden="true"),
        tag("span", file.points, cls="score"),
        tag("span", file.why, cls="why dim", title=file.why),
    )
    return tag("details", summary, tag("ul", *(_row(row, links) for row in file.rows), cls="rows"))


def _share(share: Share, width: float) -> Html:
    title = f"{share.family} {share.points}"
    return tag("span", cls=f"f-{share.family}", style=f"width: {width * 100:.1f}%", title=title)


def _row(row: Row, links: Links) -> Html:
    place = links.to(row.path, row.line, row.text) if row.line else tag("span", row.text)
    return tag(
        "li",
        tag("span", cls=f"chip f-{row.family}", aria_hidden="true"),
        tag("span", row.rule),
        tag("span", row.points, cls="points"),
        tag("span", place, cls="dim"),
    )


def _legend(shown: tuple[EvidenceFile, ...]) -> Html:
    used = families.in_order(share.family for file in shown for share in file.bar)
    chips = (tag("span", tag("i", cls=f"chip f-{family}"), family) for family in used)
    return tag("div", *chips, cls="legend", aria_hidden="true")


# --- details ---


def details(document: Document) -> Html:
    """Return what is there for who asks: the check's output, the candidates, what each node wrote."""
    parts = []
    if document.output is not None:
        earlier = f"{document.output.earlier}\n" if document.output.earlier else ""
        parts.append(_folded(document.output.title, earlier + document.output.text))
    if document.candidates:
        parts.append(_folded(say("candidates"), "\n".join(candidate_lines(document))))
    parts += [_folded(text.title, text.text) for text in document.texts]
    return join(parts)


def _folded(title: Message, text: str) -> Html:
    return tag("details", tag("summary", str(title)), tag("pre", text), cls="section output")
