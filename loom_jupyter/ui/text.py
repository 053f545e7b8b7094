"""A run's document in plain text: for terminals, text-only front ends and ``text/plain``."""

from __future__ import annotations

from collections.abc import Iterator

from loom_jupyter.runs.compose import say
from loom_jupyter.runs.document import Change, DiffRow, Document, Evidence, EvidenceFile
from loom_jupyter.runs.families import BLOCKS
from loom_jupyter.runs.format import cut
from loom_jupyter.runs.messages import joined

BAR = 16
FILES_SHOWN = 5
ROW_LIMIT = 400
"""Rows of one file's diff that are shown."""
SIGNS = {"same": " ", "added": "+", "removed": "−", "note": " "}


def page(document: Document) -> str:
    """Return the whole run as text."""
    parts = [head(document), steps(document), f"  {joined(document.bar.text)}", result(document)]
    parts += [*map(diff, document.changes), evidence(document)]
    return "\n".join(part for part in parts if part)


def head(document: Document) -> str:
    """Return the line above the steps."""
    chips = [f"{chip.text} ({chip.command})" if chip.command else str(chip.text) for chip in document.head.chips]
    return " · ".join(["Loom", *filter(None, [joined(document.head.model)]), *chips])


def steps(document: Document) -> str:
    """Return the five steps, one line each."""
    return "\n".join(
        f"  {step.mark} {step.name!s:<10}{step.time:>7}  {cut(joined(step.text), 120)}"
        + (f"   {cut(joined(step.aside), 80)}" if step.aside else "")
        for step in document.steps
    )


def result(document: Document) -> str:
    """Return error, answer and notices of a run."""
    ending = document.outcome
    sentences = awaited(document) + (
        [str(said) for said in (ending.tried, ending.best, ending.next) if said] if ending else []
    )
    for notice in document.notices:
        sentences += [str(notice.text), *(notice.below.split("\n") if notice.below else [])]
    answer = document.answer.split("\n") if document.answer else []
    return "\n".join([*(f"  {sentence}" for sentence in sentences), *answer])


def awaited(document: Document) -> list[str]:
    """Return what a run that waits wants to know, and how to tell it."""
    if document.question is not None:
        return [str(say("ask.question", question=document.question.text)), str(document.question.hint)]
    plan = document.plan
    return [*task_lines(document), str(plan.hint)] if plan is not None and plan.hint else []


def task_lines(document: Document) -> list[str]:
    """Return the Architect's task, one line per part."""
    return [f"{line.name!s:<7} {line.text}" for line in document.plan.lines] if document.plan else []


def candidate_lines(document: Document) -> list[str]:
    """Return a line for each candidate: its number, what became of it, how it was made and why it failed."""
    return [f"{tried.number:>3}  {tried.word!s:<9}  {tried.text}" for tried in document.candidates]


def diff(change: Change, limit: int | None = ROW_LIMIT) -> str:
    """Return one file's diff with line numbers."""
    rows = [f"{number:>6} {sign} {text}".rstrip() for _, number, sign, text in diff_rows(change, limit)]
    return "\n".join([f"  {change.name}  +{change.added} −{change.removed}", *rows])


def diff_rows(change: Change, limit: int | None = ROW_LIMIT) -> Iterator[tuple[str, str, str, str]]:
    """Yield kind, line number, sign and text of a diff's rows; a note says how many `limit` leaves out."""
    gap = DiffRow("note", None, "⋯")
    every = [row for part in change.parts for row in (gap, *part.rows)][1:]
    for row in every[:limit]:
        yield row.kind, "" if row.number is None else str(row.number), SIGNS[row.kind], row.text
    if limit is not None and len(every) > limit:
        yield "note", "", " ", str(say("changes.more_lines", count=len(every) - limit))


def evidence(document: Document) -> str:
    """Return the ledger's first files with their bars."""
    found = document.evidence
    if found is None:
        return ""
    rows = [_evidence_line(found, file) for file in found.files[:FILES_SHOWN]]
    left = found.total - len(rows)
    more = [f"     {say('evidence.more_files', count=left)}"] if left > 0 else []
    return "\n".join([f"  {say('evidence')}", *rows, *more])


def _evidence_line(found: Evidence, file: EvidenceFile) -> str:
    bar = "".join(BLOCKS[share.family] * round(found.width(file, share) * BAR) for share in file.bar)
    short = file.name if len(file.name) <= 32 else "…" + file.name[-31:]
    return f"  {file.rank:>2} {short:<32} {bar:<{BAR}} {file.points:>6}  {cut(file.why, 80)}"
