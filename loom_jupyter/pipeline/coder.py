"""The Coder: a search among cheap, different, plausible rewrites that the check decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from loom_jupyter.context.context_map import ContextMap, Rewrite, Target, place
from loom_jupyter.pipeline.candidates import UnitWriter, shown
from loom_jupyter.pipeline.contracts import Intent, Proposal, TaskSpec, Trial
from loom_jupyter.pipeline.doubts import Candidate
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.talk import Desk, Talk

REPAIR_ROUNDS = 2
# Most candidates of a target that the check is asked about, and how many it gets although time is up.
TRIES = 60
SURE_TRIES = 8
OUTPUT_CHARS = 700


@dataclass
class _Search:
    """What was tried so far, over all targets of a run."""

    talk: Talk
    desk: Desk
    limit: int
    tried: int = 0
    refused: int = 0
    best: tuple[Trial, Rewrite] | None = None

    def attempt(self, target: Target, candidate: Candidate) -> Trial:
        """Try one candidate and remember it if it is the best so far."""
        self.talk.check_stop()
        rewrite = Rewrite(target=target, text=candidate.text)
        trial = self.desk.trial([rewrite])
        if trial.gate:
            self.refused += 1
            return trial
        self.tried += 1
        if self.best is None or trial.score > self.best[0].score or trial.passed:
            self.best = trial, rewrite
        verdict = {True: "passed", False: "failed", None: "unchecked"}[trial.passed]
        self.talk.observer.candidate(
            self.tried,
            max(self.limit, self.tried),
            place(target.path, target.symbol, 0, 0),
            candidate.kind,
            verdict,
            trial.reason,
            trial.seconds,
        )
        return trial


def write(
    talk: Talk,
    spec: TaskSpec,
    context_map: ContextMap,
    desk: Desk,
    budget: float,
    clock: Callable[[], float] = time.monotonic,
) -> Proposal:
    """Return the first candidate that passes the check, or the best there is.

    Parameters
    ----------
    budget
        Seconds that the search may take; each target but the last gets half of what is left.
    """
    if spec.intent is Intent.EXPLAIN:
        return _explain(talk, context_map)
    search = _Search(talk, desk, limit=TRIES * len(context_map.targets))
    end = clock() + budget
    for i, target in enumerate(context_map.targets):
        last = i == len(context_map.targets) - 1
        share = end if last else clock() + (end - clock()) / 2
        if _solved(search, UnitWriter(talk, context_map, target), _alarm(clock, share)):
            return _proposal(search)
        if clock() > end:
            break
    _repair(search, context_map, end, clock)
    return _proposal(search)


def _alarm(clock: Callable[[], float], end: float) -> Callable[[], bool]:
    return lambda: clock() > end


def _solved(search: _Search, writer: UnitWriter, time_is_up: Callable[[], bool]) -> bool:
    """Try one target's candidates; True if nothing more needs to be tried."""
    before = search.tried
    for candidate in writer.candidates(checked=search.desk.checked):
        trial = search.attempt(writer.target, candidate)
        if trial.passed or (trial.passed is None and not trial.gate):
            return True
        tries = search.tried - before
        if tries >= TRIES or (tries >= SURE_TRIES and time_is_up()):
            return False
    return False


def _repair(search: _Search, context_map: ContextMap, end: float, clock: Callable[[], float]) -> None:
    """Show the model its best attempt and what the check said, at most `REPAIR_ROUNDS` times."""
    for attempt in range(REPAIR_ROUNDS):
        if search.best is None or clock() > end:
            return
        trial, rewrite = search.best
        writer = UnitWriter(search.talk, context_map, rewrite.target)
        temperature = 0.0 if attempt == 0 else 0.7
        candidate = writer.repair(rewrite.text, trial.reason, trial.output[-OUTPUT_CHARS:], temperature)
        if candidate and search.attempt(rewrite.target, candidate).passed:
            return


def _proposal(search: _Search) -> Proposal:
    if search.best is None:
        return Proposal(summary=f"no usable candidate ({search.refused} refused)")
    trial, rewrite = search.best
    where = place(rewrite.target.path, rewrite.target.symbol, 0, 0)
    return Proposal(rewrites=(rewrite,), summary=f"{where}: {trial.reason}", passed=trial.passed)


def _explain(talk: Talk, context_map: ContextMap) -> Proposal:
    parts = [*map(shown, context_map.targets), *map(shown, context_map.excerpts)]
    reply = talk.ask(talk.messages(render("explain", excerpts=parts)), max_tokens=500)
    return Proposal(summary="answered", answer=reply.text.strip())
