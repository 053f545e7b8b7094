"""A run as HTML: the parts of the live panel, and the page that a saved notebook keeps.

Everything that a model, a file or a check wrote passes through `plain.markup`, so it is text and never markup.
Without its style sheet (an untrusted notebook, GitHub) the same HTML still reads from top to bottom.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs.events import EvidenceRow, ProposedFile, RankedFile
from loom_jupyter.runs.view import RunView, StepState
from loom_jupyter.ui import diffs, families, figures, plain
from loom_jupyter.ui.outcome import Outcome, outcome
from loom_jupyter.ui.plain import markup
from loom_jupyter.ui.rail import Line, model_line, rail, status

FILES_SHOWN = 8
ROWS_SHOWN = 30
OUTPUT_LINES = 200
PROPOSED_SHOWN = 20


@cache
def style() -> str:
    """Return the style sheet, as a ``<style>`` element."""
    return f"<style>{files('loom_jupyter.ui').joinpath('style.css').read_text('utf-8')}</style>"


def page(view: RunView, now: float) -> str:
    """Return the whole run as static HTML, complete in itself."""
    body = head(view) + rail_list(view, now) + state(view, now) + result(view) + changes(view)
    return f'{style()}<div class="loom-run loom-page">{body}{evidence(view, view.proposal is None)}{details(view)}</div>'


def head(view: RunView) -> str:
    """Return the line above the rail."""
    return (
        f'<div class="loom-head"><b>Loom</b> <span class="loom-dim">{markup(model_line(view.model))}</span></div>'
    )


def rail_list(view: RunView, now: float) -> str:
    """Return Architect · Explorer · Coder · Check · Review."""
    return f'<ol class="loom-rail" aria-label="Steps">{"".join(map(_rail_item, rail(view, now)))}</ol>'


def _rail_item(line: Line) -> str:
    text = markup(plain.line(line.text))
    return (
        f'<li class="loom-{line.state.value}"><span class="loom-mark" aria-hidden="true">{line.mark}</span> '
        f'<span class="loom-name">{line.name}<span class="loom-hidden"> ({line.state.value})</span></span> '
        f'<span class="loom-time">{line.time}</span> <span class="loom-text" title="{text}">{text}</span> '
        f'<span class="loom-aside">{markup(plain.line(line.aside, 80))}</span></li>'
    )


def state(view: RunView, now: float) -> str:
    """Return the line under the rail: what is awaited and how far it is."""
    said = status(view, now)
    meter = ""
    if view.at_work:
        width = f"{(said.fraction or 0) * 100:.1f}"
        meter = (
            f'<span class="loom-meter" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
            f'aria-valuenow="{width}" aria-label="Progress"><i style="width: {width}%"></i></span>'
        )
    return f'<div class="loom-status">{meter}<span class="loom-dim">{markup(said.text)}</span></div>'


def announcement(view: RunView) -> str:
    """Return what a screen reader says: it changes with the step, not with the clock."""
    active = [step.node.value for step in view.steps if step.state is StepState.ACTIVE]
    said = f"{active[0]} is at work" if active and view.at_work else (view.state or "queued")
    return f'<div class="loom-hidden" role="status" aria-live="polite">Loom: {markup(said)}</div>'


def stream(view: RunView) -> str:
    """Return the end of what the model is writing, in a box whose height never changes."""
    step = next((s for s in reversed(view.steps) if s.text), view.step(Node.ARCHITECT))
    for candidate in view.steps:
        if candidate.state is StepState.ACTIVE and candidate.text:
            step = candidate
    lines = "\n".join(plain.lines(step.text)[-12:])
    return (
        f'<div class="loom-run loom-section loom-stream"><span class="loom-title">'
        f"{step.node.value.capitalize()} writes</span><pre>{markup(lines)}</pre></div>"
    )


# --- result ---


def result(view: RunView) -> str:
    """Return what a person must read first once the run is over: error, answer, refusals, notices."""
    said = outcome(view)
    parts = [_failure(said) if said.failed else "", _answer(view)]
    parts += [f'<div class="loom-notice">{markup(plain.line(text))}</div>' for text in said.notices]
    body = "".join(parts)
    return f'<div class="loom-section">{body}</div>' if body else ""


def _failure(said: Outcome) -> str:
    rows = "".join(f"<div>{markup(plain.line(text))}</div>" for text in (said.tried, said.best) if text)
    return f'{rows}<div class="loom-error" role="alert">{markup(plain.line(said.remedy, 2_000))}</div>'


def _answer(view: RunView) -> str:
    answer = view.proposal.answer if view.proposal else ""
    return f'<pre class="loom-answer">{markup(chr(10).join(plain.lines(answer)))}</pre>' if answer else ""


# --- changes ---


def changes(view: RunView) -> str:
    """Return the proposal's diffs, file by file."""
    if view.proposal is None or not view.proposal.files:
        return ""
    shown = view.proposal.files[:PROPOSED_SHOWN]
    left = len(view.proposal.files) - len(shown)
    more = f'<div class="loom-dim">… {left} more files: `%loom diff` shows them all</div>' if left else ""
    body = "".join(diff(file) for file in shown)
    return f'<div class="loom-section"><span class="loom-title">Changes</span>{body}{more}</div>'


def diff(file: ProposedFile, limit: int | None = diffs.ROW_LIMIT) -> str:
    """Return one file's diff with line numbers."""
    rows = "".join(_diff_row(row) for row in diffs.rows(file.diff, limit))
    return (
        f'<div class="loom-file"><span class="loom-code">{markup(plain.line(file.path, 200))}</span> '
        f'<span><span class="loom-plus">+{file.added}</span> <span class="loom-minus">−{file.removed}</span></span>'
        f'</div><pre class="loom-diff" tabindex="0" aria-label="Diff of {markup(plain.line(file.path, 200))}">{rows}</pre>'
    )


def _diff_row(row: diffs.Row) -> str:
    number = "" if row.number is None else str(row.number)
    # Padding, so that the columns stand even where no style sheet is applied.
    return f'<span class="loom-{row.kind}"><i>{number:>5}</i><b> {diffs.SIGNS[row.kind]} </b>{markup(row.text)}\n</span>'


# --- evidence ---


def evidence(view: RunView, is_open: bool = True) -> str:
    """Return the ledger's top files, each of which opens to its rows."""
    if not view.files:
        return ""
    shown = view.files[:FILES_SHOWN]
    longest = max(file.score for file in shown)
    body = "".join(_evidence_file(file, longest) for file in shown)
    left = max(view.total, len(view.files)) - len(shown)
    more = (
        f'<div class="loom-dim">{figures.counted(left, "more file")} with evidence: `%loom ledger`</div>'
        if left > 0
        else ""
    )
    title = f'<summary>Evidence <span class="loom-dim">{figures.counted(view.total, "file")}</span></summary>'
    opened = " open" if is_open else ""
    return (
        f'<details class="loom-section loom-evidence-section"{opened}>{title}'
        f'<div class="loom-evidence">{body}</div>{more}{_legend(shown)}</details>'
    )


def _evidence_file(file: RankedFile, longest: float) -> str:
    bar = "".join(
        f'<span class="loom-f-{share.family}" style="width: {share.width * 100:.1f}%" '
        f'title="{share.family} {share.points:g}"></span>'
        for share in families.shares(file, longest)
    )
    path, why = markup(plain.line(file.path, 200)), markup(plain.line(families.why(file), 200))
    rows = "".join(_evidence_row(row) for row in file.rows[:ROWS_SHOWN])
    return (
        f'<details><summary><span class="loom-rank">{file.rank}</span> <span class="loom-path" title="{path}">{path}</span> '
        f'<span class="loom-bar" aria-hidden="true">{bar}</span> <span class="loom-score">{figures.points(file.score)}</span> '
        f'<span class="loom-why loom-dim" title="{why}">{why}</span></summary><ul class="loom-rows">{rows}</ul></details>'
    )


def _evidence_row(row: EvidenceRow) -> str:
    kind = families.family_of(row)
    return (
        f'<li><span class="loom-chip loom-f-{kind}" aria-hidden="true"></span> <span>{markup(plain.line(row.rule, 60))}</span> '
        f'<span class="loom-points">{row.points:+g}</span> <span class="loom-dim">{markup(plain.line(families.place(row), 200))}</span></li>'
    )


def _legend(shown: tuple[RankedFile, ...]) -> str:
    used = {families.family_of(row) for file in shown for row in file.rows}
    chips = "".join(
        f'<span><i class="loom-chip loom-f-{kind}"></i>{kind}</span> '
        for kind in families.FAMILIES
        if kind in used
    )
    return f'<div class="loom-legend" aria-hidden="true">{chips}</div>'


# --- details ---


def details(view: RunView) -> str:
    """Return what is there for who asks: the check's output and what each node wrote."""
    parts = []
    if view.after is not None and view.after.output:
        parts.append(_folded("Check output", view.after.output))
    parts += [_folded(f"{step.node.value.capitalize()}'s text", step.text) for step in view.steps if step.text]
    return "".join(parts)


def _folded(title: str, text: str) -> str:
    lines = plain.lines(text)
    note = f"… {len(lines) - OUTPUT_LINES:,} lines before these\n" if len(lines) > OUTPUT_LINES else ""
    body = markup("\n".join(lines[-OUTPUT_LINES:]))
    return f'<details class="loom-section loom-output"><summary>{markup(title)}</summary><pre>{note}{body}</pre></details>'
