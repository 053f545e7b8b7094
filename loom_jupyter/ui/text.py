"""A run in plain text: for terminals, text-only front ends and ``text/plain``."""

from __future__ import annotations

from loom_jupyter.events import Action, ProposedFile, RankedFile, TaskPlanned
from loom_jupyter.runs.view import RunView
from loom_jupyter.ui import diffs, families, figures, plain
from loom_jupyter.ui.outcome import outcome
from loom_jupyter.ui.rail import model_line, rail, status

BAR = 16
FILES_SHOWN = 5
BELOW = 200
"""Lines shown below a notice's sentence."""


def page(view: RunView, now: float) -> str:
    """Return the whole run as text."""
    parts = [head(view), rail_text(view, now), f"  {plain.line(status(view, now).text)}", result(view)]
    parts += [changes(view), evidence(view.files, view.total)]
    return "\n".join(part for part in parts if part)


def head(view: RunView) -> str:
    """Return the line above the rail."""
    model = plain.line(model_line(view.model))
    chips = [plain.line(f"{chip.text} ({chip.command})" if chip.command else chip.text, 80) for chip in view.chips]
    return " · ".join(["Loom", *filter(None, [model]), *chips])


def rail_text(view: RunView, now: float) -> str:
    """Return the five steps, a line each."""
    return "\n".join(
        f"  {line.mark} {line.name:<10}{line.time:>7}  {plain.line(line.text, 120)}"
        + (f"   {plain.line(line.aside, 80)}" if line.aside else "")
        for line in rail(view, now)
    )


def result(view: RunView) -> str:
    """Return error, answer and notices of a run."""
    said = outcome(view)
    asked = [f"  {line}" for line in awaited(view)]
    parts = [said.tried, said.best, said.remedy] if said.failed else []
    sentences = asked + [f"  {plain.line(text, 2_000)}" for text in parts if text]
    for notice in said.notices:
        sentence, _, below = notice.partition("\n")
        sentences += [
            f"  {plain.line(sentence, 2_000)}",
            *(f"  {line}" for line in plain.lines(below)[:BELOW] if below),
        ]
    if view.proposal is not None and view.proposal.answer:
        sentences += plain.lines(view.proposal.answer)
    return "\n".join(sentences)


def awaited(view: RunView) -> list[str]:
    """Return what a run that waits wants to know, and how to tell it."""
    if view.awaits is Action.ANSWER:
        return [
            f"Architect asks: {plain.line(view.question, 500)}",
            'Answer with `loom answer "…"`, or without words to let it guess.',
        ]
    if view.awaits is Action.APPROVE and view.plan is not None:
        return [*task(view.plan), "`loom plan --ok` goes on; `loom plan --goal …` changes it and goes on."]
    return []


def task(planned: TaskPlanned) -> list[str]:
    """Return the Architect's task, a line a part."""
    parts = [("intent", planned.intent.value), ("goal", planned.goal)]
    parts += [("accept", line) for line in planned.acceptance]
    parts += [("terms", ", ".join(planned.terms))] if planned.terms else []
    return [f"{name:<7} {plain.line(value, 500)}" for name, value in parts]


def changes(view: RunView) -> str:
    """Return the proposal's diffs."""
    return "\n".join(diff(file) for file in view.proposal.files) if view.proposal else ""


def diff(file: ProposedFile, limit: int | None = diffs.ROW_LIMIT) -> str:
    """Return one file's diff with line numbers."""
    rows = [
        f"{'' if row.number is None else row.number:>6} {diffs.SIGNS[row.kind]} {row.text}".rstrip()
        for row in diffs.rows(file.diff, limit)
    ]
    return "\n".join([f"  {plain.path(file.path)}  +{file.added} −{file.removed}", *rows])


def evidence(files: tuple[RankedFile, ...], total: int) -> str:
    """Return the ledger's top files with their bars."""
    if not files:
        return ""
    longest = max(file.score for file in files)
    rows = [_evidence_line(file, longest) for file in files[:FILES_SHOWN]]
    left = max(total, len(files)) - len(rows)
    more = [f"     {figures.counted(left, 'more file')} with evidence"] if left > 0 else []
    return "\n".join(["  Evidence", *rows, *more])


def _evidence_line(file: RankedFile, longest: float) -> str:
    bar = "".join(families.BLOCKS[s.family] * round(s.width * BAR) for s in families.shares(file, longest))
    path = plain.path(file.path)
    short = path if len(path) <= 32 else "…" + path[-31:]
    why = plain.line(families.why(file), 80)
    return f"  {file.rank:>2} {short:<32} {bar:<{BAR}} {figures.points(file.score):>6}  {why}"
