"""Every sentence that Loom shows of a run: an id, an English template, and the values it was filled with.

A front end may translate a message by its id; who does not just prints it. All templates are in `TEXTS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

TEXTS: dict[str, str | tuple[str, str]] = {
    "said": "{text}",
    # The five steps and what they are doing.
    "node.architect": "Architect",
    "node.explorer": "Explorer",
    "node.coder": "Coder",
    "node.check": "Check",
    "node.review": "Review",
    "step.waiting": "waiting",
    "step.active": "running",
    "step.done": "done",
    "step.failed": "failed",
    "step.stopped": "stopped",
    "step.skipped": "skipped",
    "steps": "Steps",
    "architect.reading": "reading the task",
    "architect.asks": "asks you: {question}",
    "architect.task": "{intent}: {goal}",
    "explorer.choosing": "choosing places",
    "explorer.files": ("{count} file", "{count} files"),
    "explorer.files_of": "{count} of {total} files",
    "explorer.targets": ("{count} target", "{count} targets"),
    "tokens": "{count} tok",
    "tokens.rate": "{rate} tok/s",
    "tokens.per_second": "{rate}/s",
    "coder.writing": "writing",
    "coder.reading": "reading the code",
    "coder.candidate": "candidate {number}",
    "check.none": "no check",
    "check.running": "running",
    "check.before_change": "before the change",
    "check.before": "before: {summary}",
    "check.passed": "passed",
    "check.failed": "failed",
    "check.verdict": "{verdict}: {summary}",
    "review.answered": "answered",
    "review.waiting": "waiting for you",
    "review.accepted": "accepted",
    "review.rejected": "rejected",
    "review.undone": "undone",
    "review.size": ("{count} file, +{added} −{removed}", "{count} files, +{added} −{removed}"),
    # The model.
    "model.window": "window {tokens}",
    "model.memory": "{used} of {available} GB",
    "model.memory_of": "{used} of {available} GB on {device}",
    "loading.download": "downloading {name}",
    "loading.verify": "verifying {name}",
    "loading.plan": "planning memory for {name}",
    "loading.load": "loading {name}",
    # The line below the steps.
    "bar.limit": "{spent} of ≤ {limit}",
    "bar.step": "{name} is running",
    "bar.queued": "queued",
    "bar.queued_why": "queued: {reason}",
    "bar.reading": "reading the workspace",
    "bar.model": "preparing the model",
    "bar.proposal": "preparing the proposal",
    "bar.copy": "preparing the staged copy",
    "bar.answer": "Waiting for your answer",
    "bar.approve": "Waiting for your approval of the task",
    "end.answered": "Answered",
    "end.review": "Waiting for your review",
    "end.accepted": "Accepted",
    "end.rejected": "Rejected, nothing was written",
    "end.undone": "Undone, the files are as they were",
    "end.stopped": "Stopped, nothing was written",
    "end.failed": "Failed, nothing was written",
    "bar.progress": "Progress",
    "short.step": "Loom ◐ {name} {pace}",
    "short.work": "Loom ◐ {text}",
    "short.state": "Loom · {state}",
    "spoken": "Loom: {text}",
    # A state in a word, for lists of runs.
    "state.queued": "queued",
    "state.running": "running",
    "state.waiting": "waiting for you",
    "state.review": "waiting for review",
    "state.accepted": "accepted",
    "state.rejected": "rejected",
    "state.undone": "undone",
    "state.stopped": "stopped",
    "state.failed": "failed",
    # What a run that has ended says.
    "outcome.tried": ("{count} candidate tried: {verdicts}.", "{count} candidates tried: {verdicts}."),
    "outcome.best": "Best candidate (below): {reason}",
    "outcome.closest": "Last candidate to reach the check: {place}: {reason}",
    "outcome.still_fails": (
        "The check still fails with this change: accept it as a starting point, "
        "or tag the file where the change belongs (`--tag`) and run again."
    ),
    "outcome.next": (
        "Tag the file where the change belongs (`--tag`), or name a check that fails now (`--check`), "
        "and run again."
    ),
    "verdict.passed": "{count} passed",
    "verdict.failed": "{count} failed the check",
    "verdict.refused": "{count} refused by the gate",
    "verdict.unchecked": "{count} unchecked",
    "candidate.passed": "passed",
    "candidate.failed": "failed",
    "candidate.refused": "refused",
    "candidate.unchecked": "unchecked",
    "candidates.line": "{kind} in {place}: {reason}",
    "candidates": "Candidates",
    "refused": "{action} was refused.",
    "process_ended": (
        "The kernel that worked on this run has ended. Press Stop to close the run, then run the task again."
    ),
    # What a run that waits wants to know.
    "ask.question": "Architect asks: {question}",
    "ask.answer_with": 'Answer with `loom answer "…"`, or without words to let it guess.',
    "ask.approve_with": "`loom plan --ok` continues; `loom plan --goal …` changes the task and continues.",
    "task.intent": "intent",
    "task.goal": "goal",
    "task.accept": "accept",
    "task.terms": "terms",
    # Evidence and changes.
    "evidence": "Evidence",
    "evidence.awaited": "The files that matter, and why, as soon as the workspace has been searched.",
    "evidence.files": ("{count} file", "{count} files"),
    "evidence.more": ("{count} more file: `%loom ledger`", "{count} more files: `%loom ledger`"),
    "evidence.more_files": ("{count} more file with evidence", "{count} more files with evidence"),
    "evidence.place": "{what} l.{line}",
    "changes.more_files": (
        "… {count} more file: `%loom diff` shows all",
        "… {count} more files: `%loom diff` shows all",
    ),
    "changes.more_lines": (
        "… {count} more line: `%loom diff` shows all",
        "… {count} more lines: `%loom diff` shows all",
    ),
    "changes.diff": "Diff of {path}",
    "changes.line": "line {line}",
    "changes.cell_line": "cell {cell}, line {line}",
    # What was written on the way.
    "output": "Check output",
    "output.earlier": ("… {count} earlier line", "… {count} earlier lines"),
    "text.of": "Text of the {name}",
    "live.writes": "{name} is writing",
    "live.tries": "Coder is trying",
    "live.nothing": "Nothing written yet",
    # What can be done.
    "action.stop": "Stop",
    "action.stop.why": "End this run now; nothing is written",
    "action.accept": "Accept",
    "action.accept.why": "Write these changes into the workspace",
    "action.accept_merged": "Accept merged",
    "action.accept_merged.why": "Write these changes on top of your own edits, which do not touch them",
    "action.reject": "Reject",
    "action.reject.why": "Drop these changes",
    "action.undo": "Undo",
    "action.undo.why": "Restore the files as they were before",
    "action.answer": "Answer",
    "action.answer.why": "Tell the Architect",
    "action.approve": "Continue",
    "action.approve.why": "Look for the places to change",
}
"""Every template by its id; a pair is the form for one and the form for any other count."""


@dataclass(frozen=True)
class Message:
    """A sentence, or a part of one, that can be translated.

    Attributes
    ----------
    id
        Its key in `TEXTS`.
    text, plural
        The English template, and its form for many; None where nothing is counted.
    count
        What chooses between the two.
    values
        What the names in braces stand for, ready to be shown: nothing in them is hidden, no line is endless.
    """

    id: str
    text: str
    values: dict[str, str | Message] = field(default_factory=dict)
    plural: str | None = None
    count: int | None = None

    def __str__(self) -> str:
        template = self.text if self.plural is None or self.count == 1 else self.plural
        return template.format_map({name: str(value) for name, value in self.values.items()})


Line: TypeAlias = tuple[Message, ...]
"""Parts of a line; ` · ` stands between them."""


def joined(line: Line, separator: str = " · ") -> str:
    """Return a line in English."""
    return separator.join(filter(None, map(str, line)))
