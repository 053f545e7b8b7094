"""What a run that is over has to say: what was tried, the best it found, what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from loom_jupyter.events import CandidateTried, RunState
from loom_jupyter.runs.view import RunView
from loom_jupyter.ui import figures, plain

_VERDICTS = {
    "passed": "passed",
    "failed": "failed the check",
    "refused": "refused by the gate",
    "unchecked": "unchecked",
}


@dataclass(frozen=True)
class Outcome:
    """The end of a run in sentences; empty ones do not apply."""

    failed: bool
    tried: str = ""
    best: str = ""
    remedy: str = ""
    notices: tuple[str, ...] = ()


def outcome(view: RunView) -> Outcome:
    """Say how the run ended."""
    notices = (*view.notices, *view.refused[-1:])
    if view.at_work:
        return Outcome(False, notices=notices)
    unsolved = view.proposal is not None and view.proposal.passed is False
    if view.state is not RunState.FAILED and not (unsolved and view.state is RunState.REVIEW):
        return Outcome(False, notices=notices)
    return Outcome(
        failed=True,
        tried=_tried(view.candidates),
        best=_best(view),
        remedy=view.error or _next_step(view),
        notices=notices,
    )


def candidate_lines(candidates: Iterable[CandidateTried]) -> list[str]:
    """Return a line for each candidate: its number, how it was made, what became of it and why."""
    return [
        f"{c.number:>3}  {c.verdict:<9}  {plain.line(c.kind, 30)} in {plain.line(c.place, 60)}: "
        + plain.line(c.reason, 80)
        for c in candidates
    ]


def _tried(candidates: tuple[CandidateTried, ...]) -> str:
    if not candidates:
        return ""
    kinds: Counter[str] = Counter(candidate.verdict for candidate in candidates)
    verdicts = ", ".join(f"{kinds[key]} {said}" for key, said in _VERDICTS.items() if kinds[key])
    return f"{figures.counted(candidates[-1].number, 'candidate')} tried: {verdicts}."


def _best(view: RunView) -> str:
    if view.proposal is not None and view.proposal.files:
        reason = view.after.summary if view.after else view.proposal.summary
        return f"Best candidate (below): {reason}" if reason else ""
    failed = [candidate for candidate in view.candidates if candidate.verdict == "failed"]
    return f"Last to reach the check: {failed[-1].place}: {failed[-1].reason}" if failed else ""


def _next_step(view: RunView) -> str:
    if view.proposal is not None and view.proposal.files:
        return "The check still fails with it: accept it as a start, or name the place with --tag and run again."
    return view.reason or "Name the file with --tag, or say what should hold with --check, and run again."
