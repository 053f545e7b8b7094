"""A run as HTML: the parts of the live panel, and the page that a saved notebook keeps.

What a model, a file or a check wrote goes through `tags.tag`, so it is text and never markup. Without its style
sheet (an untrusted notebook, GitHub) the same HTML still reads from top to bottom.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from textwrap import TextWrapper

from loom_jupyter.events import ProposedFile
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs.view import Chip, RunView, Step, StepState
from loom_jupyter.ui import diffs, plain, text
from loom_jupyter.ui.evidence import evidence
from loom_jupyter.ui.links import NOWHERE, Links
from loom_jupyter.ui.outcome import candidate_lines, outcome
from loom_jupyter.ui.rail import Line, model_line, rail, status
from loom_jupyter.ui.tags import Html, join, prose, tag

OUTPUT_LINES = 200
STREAM_LINES, STREAM_WIDTH = 5, 120
PROPOSED_SHOWN = 20


@cache
def style() -> Html:
    """Return the style sheet, as a ``<style>`` element."""
    return Html(f"<style>{files('loom_jupyter.ui').joinpath('style.css').read_text('utf-8')}</style>")


def page(view: RunView, now: float, links: Links = NOWHERE) -> Html:
    """Return the whole run as static HTML, complete in itself."""
    return join([style(), body(view, now, links)])


def body(view: RunView, now: float, links: Links = NOWHERE) -> Html:
    """Return the whole run without the style sheet."""
    parts = [steps(view, now), result(view), changes(view, links), evidence(view, links=links), details(view)]
    return tag("div", *parts, cls="run page")


def steps(view: RunView, now: float) -> Html:
    """Return head, rail and status: what is there from the first moment on."""
    return join([head(view), rail_list(view, now), state(view, now)])


def head(view: RunView) -> Html:
    """Return the line above the rail."""
    model = tag("span", plain.line(model_line(view.model)), cls="dim")
    return tag("div", tag("b", "Loom"), model, *map(_chip, view.chips), cls="head")


def _chip(chip: Chip) -> Html:
    command = tag("code", plain.line(chip.command, 60)) if chip.command else Html()
    return tag("span", plain.line(chip.text, 40), command, cls="label")


def rail_list(view: RunView, now: float) -> Html:
    """Return Architect · Explorer · Coder · Check · Review."""
    return tag("ol", *map(_rail_item, rail(view, now)), cls="rail", aria_label="Steps")


def _rail_item(line: Line) -> Html:
    text = plain.line(line.text)
    return tag(
        "li",
        tag("span", line.mark, cls="mark", aria_hidden="true"),
        tag("span", line.name, tag("span", f"({line.state.value})", cls="hidden"), cls="name"),
        tag("span", line.time, cls="time"),
        tag("span", text, cls="text", title=text),
        tag("span", plain.line(line.aside, 80), cls="aside"),
        cls=line.state.value,
    )


def state(view: RunView, now: float) -> Html:
    """Return the line under the rail: what is awaited and how far it is."""
    said = status(view, now)
    meter = _meter(said.fraction or 0.0) if view.at_work else Html()
    return tag("div", meter, tag("span", plain.line(said.text), cls="dim"), cls="status")


def _meter(fraction: float) -> Html:
    done = f"{fraction * 100:.1f}"
    known = {"aria_valuemin": "0", "aria_valuemax": "100", "aria_valuenow": done, "aria_label": "Progress"}
    return tag("span", tag("i", style=f"width: {done}%"), cls="meter", role="progressbar", **known)


def announcement(view: RunView) -> Html:
    """Return what a screen reader says: it changes with the step, not with the clock."""
    active = [step.node.value.capitalize() for step in view.steps if step.state is StepState.ACTIVE]
    said = f"{active[0]} is at work" if active and view.at_work else str(view.state or "queued")
    return tag("div", f"Loom: {said}", cls="hidden", role="status", aria_live="polite")


def stream(view: RunView) -> Html:
    """Return the end of what is being written or tried, in a box whose height never changes."""
    step = _writer(view)
    if step is not None and step.node is Node.CODER and view.candidates:
        title, lines = "Coder tries", candidate_lines(view.candidates[-STREAM_LINES:])
    elif step is not None and step.text:
        title = f"{step.node.value.capitalize()} writes"
        lines = [part for line in plain.lines(step.text) for part in _wrap(line) or [""]]
    else:
        title, lines = "Nothing written yet", []
    text = "\n".join(lines[-STREAM_LINES:])
    return tag("div", tag("span", title, cls="title"), tag("pre", text), cls="section stream")


_wrap = TextWrapper(STREAM_WIDTH, drop_whitespace=False, replace_whitespace=False, expand_tabs=False).wrap


def _writer(view: RunView) -> Step | None:
    """Return the node that is at work, or else the one that wrote last."""
    active = [step for step in view.steps if step.state is StepState.ACTIVE]
    wrote = [step for step in view.steps if step.text]
    return active[-1] if active else max(wrote, key=lambda step: step.last_ts, default=None)


# --- result ---


def result(view: RunView) -> Html:
    """Return what a person must read first once the run is over: error, answer, refusals, notices."""
    said = outcome(view)
    parts = [tag("div", plain.line(part)) for part in (said.tried, said.best) if said.failed and part]
    if said.failed:
        parts.append(tag("div", prose(plain.line(said.remedy, 2_000)), cls="error", role="alert"))
    if view.proposal is not None and view.proposal.answer:
        parts.append(tag("pre", "\n".join(plain.lines(view.proposal.answer)), cls="answer"))
    parts += [_notice(notice) for notice in said.notices]
    parts += [tag("div", prose(line), cls="notice") for line in text.awaited(view)]
    return tag("div", *parts, cls="section") if parts else Html()


def _notice(text: str) -> Html:
    """Return a sentence, and what it shows below."""
    sentence, _, below = text.partition("\n")
    lines = plain.lines(below.strip("\n"))[:OUTPUT_LINES]
    shown = tag("pre", "\n".join(lines), tabindex="0") if below.strip() else Html()
    return tag("div", prose(plain.line(sentence, 2_000)), shown, cls="notice")


# --- changes ---


def changes(view: RunView, links: Links = NOWHERE) -> Html:
    """Return the proposal's diffs, file by file."""
    proposed = view.proposal.files if view.proposal else []
    if not proposed:
        return Html()
    if view.proposal and view.proposal.cell:
        links = NOWHERE  # a cell is no file
    left = len(proposed) - PROPOSED_SHOWN
    more = (
        tag("div", prose(f"… {left} more files: `%loom diff` shows them all"), cls="dim") if left > 0 else Html()
    )
    shown = [diff(file, links=links) for file in proposed[:PROPOSED_SHOWN]]
    return tag("div", *shown, more, cls="section changes")


def diff(file: ProposedFile, limit: int | None = diffs.ROW_LIMIT, links: Links = NOWHERE) -> Html:
    """Return one file's unified diff with line numbers."""
    rows = diffs.rows(file.diff, limit)
    first = next((row.number for row in rows if row.kind in ("added", "removed")), None)
    size = tag("span", tag("span", f"+{file.added}", cls="plus"), tag("span", f"−{file.removed}", cls="minus"))
    label = f"Diff of {plain.path(file.path)}"
    return join(
        [
            tag("div", tag("span", links.to(file.path, first), cls="code"), size, cls="file"),
            tag("pre", join(map(_diff_row, rows)), cls="diff", tabindex="0", role="region", aria_label=label),
        ]
    )


def _diff_row(row: diffs.Row) -> Html:
    number = "" if row.number is None else str(row.number)
    # Padded, so that the columns stand even where no style sheet is applied.
    return tag(
        "span",
        tag("i", f"{number:>5}"),
        tag("b", f" {diffs.SIGNS[row.kind]} "),
        row.text + "\n",
        cls=row.kind,
        sep="",
    )


# --- details ---


def details(view: RunView) -> Html:
    """Return what is there for who asks: the check's output, the candidates, what each node wrote."""
    parts = []
    if view.after is not None and view.after.output:
        parts.append(_folded("Check output", view.after.output))
    if view.candidates:
        parts.append(_folded("Candidates", "\n".join(candidate_lines(view.candidates))))
    parts += [_folded(f"{step.node.value.capitalize()}'s text", step.text) for step in view.steps if step.text]
    return join(parts)


def _folded(title: str, text: str) -> Html:
    lines = plain.lines(text)
    if len(lines) > OUTPUT_LINES:
        lines = [f"… {len(lines) - OUTPUT_LINES:,} lines before these", *lines[-OUTPUT_LINES:]]
    return tag("details", tag("summary", title), tag("pre", "\n".join(lines)), cls="section output")
