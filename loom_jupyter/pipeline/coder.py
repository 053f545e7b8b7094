"""The Coder: a search among cheap, different, plausible rewrites that the check decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from loom_jupyter.context.context_map import ContextMap, Rewrite, Target, place
from loom_jupyter.models.protocol import Message
from loom_jupyter.pipeline.contracts import Intent, Proposal, TaskSpec, Trial
from loom_jupyter.pipeline.explorer import MOST_TARGETS
from loom_jupyter.pipeline.interfaces import Talk, TaskEnvironment
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.search.branch import Candidate
from loom_jupyter.pipeline.search.candidates import UnitWriter, shown
from loom_jupyter.pipeline.search.crossover import crossed, hunks, with_hunks
from loom_jupyter.pipeline.search.lines import FREE
from loom_jupyter.pipeline.search.source import unwritten

REPAIR_ROUNDS = 2
# Most candidates of a target that the check is asked about, and how many it gets although time is up.
TRIES = 150
SURE_TRIES = 8
# A change of more hunks is not made smaller hunk by hunk.
MOST_HUNKS = 8
# Of one round of samples for a unit that is yet to be written.
TEMPERATURES = (0.4, 0.6, 0.8, 1.0) * 4
# What so many samples side by side take, in drafts one after the other (two cores, 1.5B).
ROUNDS = ((16, 6.0), (8, 4.7), (4, 2.8))
# What is tried around an attempt that was written; where no test passes with it, the small changes only.
NEAR = 80
# Whole texts by the model, which may be crossed, and how many crossings are tried in a row without any gain.
WRITTEN = ("rewrite", "repair", "sample")
CROSSINGS = 60


@dataclass(frozen=True)
class _Timer:
    clock: Callable[[], float]
    end: float

    @property
    def left(self) -> float:
        return self.end - self.clock()

    @property
    def up(self) -> bool:
        return self.left < 0


@dataclass
class _Search:
    """What was tried so far, over all targets of a run."""

    talk: Talk
    environment: TaskEnvironment
    limit: int
    timer: _Timer
    tried: int = 0
    refused: int = 0
    why: str = ""
    best: tuple[Trial, Rewrite] | None = None
    best_of: dict[Target, tuple[Trial, Rewrite]] = field(default_factory=dict)
    written: dict[Target, list[tuple[float, str]]] = field(default_factory=dict)

    @property
    def ended(self) -> str:
        """Why nothing more is tried."""
        return "time is up" if self.timer.up else "nothing is left to try"

    def attempt(self, target: Target, candidate: Candidate) -> Trial:
        """Try one candidate and remember it if it is the best so far."""
        self.talk.check_stop()
        rewrite = Rewrite(target=target, text=candidate.text)
        trial = self.environment.trial([rewrite])
        if trial.gate:
            self.refused += 1
            self.why = trial.reason
            return trial
        self.tried += 1
        if self.best is None or trial.score > self.best[0].score or trial.passed:
            self.best = trial, rewrite
        if candidate.kind in WRITTEN:
            self.written.setdefault(target, []).append((trial.score, candidate.text))
        if target not in self.best_of or trial.score > self.best_of[target][0].score:
            self.best_of[target] = trial, rewrite
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
    environment: TaskEnvironment,
    budget: float,
    clock: Callable[[], float] = time.monotonic,
) -> Proposal:
    """Return the first candidate that passes the check, or the best there is.

    First the small changes of every target, which need no writing; then target after target all the rest.

    Parameters
    ----------
    budget
        Seconds that the search may take; each target but the last gets half of what is left.
    """
    if spec.intent is Intent.EXPLAIN:
        return _explain(talk, context_map)
    begin = clock()
    end = begin + budget
    search = _Search(talk, environment, TRIES * len(context_map.targets), _Timer(clock, end))
    writers = [UnitWriter(talk, context_map, target) for target in context_map.targets]
    for n, writer in enumerate(writers):
        if n >= MOST_TARGETS and clock() > begin + budget / 4:
            break
        candidates = _likeliest(environment, writer)
        # Of the tries alone: a unit that took long to be read is made use of.
        share = clock() + (end - clock()) / (4 if n == 0 else 8)
        sure = SURE_TRIES if n == 0 else 1
        if _solved(search, writer, candidates, _Timer(clock, share), sure):
            return _proposal(search)  # a small change
    for i, writer in enumerate(writers):
        share = end if i == len(writers) - 1 else clock() + (end - clock()) / 2
        if environment.checked and writer.unwritten:
            solved = _written(search, writer, _Timer(clock, share))
        else:
            solved = _solved(search, writer, writer.others(checked=environment.checked), _Timer(clock, share))
        if solved or clock() > end:
            break
    else:
        _repair(search, context_map, end, clock)
    _shrink(search)
    return _proposal(search)


def _likeliest(environment: TaskEnvironment, writer: UnitWriter) -> list[Candidate]:
    return [] if environment.checked and writer.unwritten else writer.likeliest(checked=environment.checked)


def _solved(
    search: _Search,
    writer: UnitWriter,
    candidates: Iterable[Candidate],
    timer: _Timer,
    sure: int = 0,
) -> bool:
    """Try one target's candidates, `sure` of them although time is up; True if nothing more needs to be tried."""
    before = search.tried
    for candidate in candidates:
        trial = search.attempt(writer.target, candidate)
        if trial.passed or (trial.passed is None and not trial.gate):
            return True
        tries = search.tried - before
        if tries >= TRIES or (tries >= sure and timer.up):
            return False
    return False


def _written(search: _Search, writer: UnitWriter, timer: _Timer) -> bool:
    """Write a unit that is not there yet: greedily, again with what the check said, then by chance.

    Every other round of samples is told what the check said to the best attempt so far; before every round its
    definitions are exchanged for those of other attempts, and the search looks around it.
    """
    before = timer.left
    for draft in (writer.rewrite, lambda: writer.repair(_hinted(search, writer), temperature=0.0)):
        candidate = draft()
        if candidate is not None and search.attempt(writer.target, candidate).passed:
            return True
    draft_seconds = (before - timer.left) / 2
    looked_at = ""
    for number in count():
        if _crossed(search, writer.target, timer):
            return True
        while (best := search.best_of.get(writer.target)) and best[1].text != looked_at:
            looked_at = best[1].text
            if _around(search, writer, looked_at, timer):
                return True
        if timer.up:
            return False
        prompt = _hinted(search, writer) if number % 2 else None
        # A round that is cut off gives nothing: its samples end at about the same time.
        size = next((n for n, drafts in ROUNDS if drafts * draft_seconds <= timer.left), 2)
        if _sampled(search, writer, TEMPERATURES[:size], prompt, timer):
            return True
    return False


def _sampled(
    search: _Search,
    writer: UnitWriter,
    temperatures: Sequence[float],
    prompt: Sequence[Message] | None,
    timer: _Timer,
) -> bool:
    for candidate in writer.samples(temperatures, prompt):
        if search.attempt(writer.target, candidate).passed:
            return True
        if timer.up:
            break
    return False


def _hinted(search: _Search, writer: UnitWriter) -> list[Message]:
    best = search.best_of.get(writer.target)
    output = best[0].output if best else "It was no complete code block."
    return writer.hinted(output)


def _crossed(search: _Search, target: Target, timer: _Timer) -> bool:
    """Exchange definitions of the best attempt for those of others, as long as that makes it better."""
    while (best := search.best_of.get(target)) and not timer.up:
        others = [text for _, text in sorted(search.written.get(target, ()), key=lambda w: -w[0])]
        for candidate in islice(crossed(best[1].text, others), CROSSINGS):
            trial = search.attempt(target, candidate)
            if trial.passed:
                return True
            if timer.up or (not trial.gate and trial.score > best[0].score):
                break
        if search.best_of[target] is best:
            break
    return False


def _around(search: _Search, writer: UnitWriter, attempt: str, timer: _Timer) -> bool:
    """Try what is one line away from an attempt, until something is better."""
    before = search.best_of[writer.target][0].score
    for candidate in islice(writer.around(attempt), NEAR if before else FREE):
        trial = search.attempt(writer.target, candidate)
        if trial.passed:
            return True
        if timer.up or (not trial.gate and trial.score > before):
            break
    return False


def _repair(search: _Search, context_map: ContextMap, end: float, clock: Callable[[], float]) -> None:
    """Show the model its best attempt and what the check said, at most `REPAIR_ROUNDS` times."""
    for attempt in range(REPAIR_ROUNDS):
        if search.best is None or clock() > end:
            return
        writer = UnitWriter(search.talk, context_map, search.best[1].target)
        candidate = _again(search, writer, 0.0 if attempt == 0 else 0.7)
        if candidate and search.attempt(writer.target, candidate).passed:
            return


def _shrink(search: _Search) -> None:
    """Leave out every hunk of a change that passes without it."""
    if search.best is None or not search.best[0].passed:
        return
    rewrite = search.best[1]
    before, after = rewrite.target.text, rewrite.text
    kept = hunks(before, after)
    if unwritten(before) or not 1 < len(kept) <= MOST_HUNKS:
        return
    for hunk in reversed(kept):
        fewer = [h for h in kept if h != hunk]
        text = with_hunks(before, after, fewer)
        if fewer and search.attempt(rewrite.target, Candidate(text, "smaller", 0.0)).passed:
            kept = fewer


def _again(search: _Search, writer: UnitWriter, temperature: float) -> Candidate | None:
    """Have the best attempt rewritten, with what the check said to it."""
    if search.best is None:
        return None
    trial, rewrite = search.best
    prompt = writer.corrected(rewrite.text, trial.reason, trial.output)
    return writer.repair(prompt, temperature=temperature)


def _proposal(search: _Search) -> Proposal:
    if search.best is None:
        last = f", the last: {search.why}" if search.why else ""
        return Proposal(summary=f"no usable candidate ({search.refused} refused){last}")
    trial, rewrite = search.best
    where = place(rewrite.target.path, rewrite.target.symbol, 0, 0)
    ended = "" if trial.passed is not False else f" ({search.tried} tried, {search.ended})"
    return Proposal(rewrites=(rewrite,), summary=f"{where}: {trial.reason}{ended}", passed=trial.passed)


def _explain(talk: Talk, context_map: ContextMap) -> Proposal:
    parts = [*map(shown, context_map.targets), *map(shown, context_map.excerpts)]
    reply = talk.ask(talk.messages(render("explain", excerpts=parts)), max_tokens=500)
    return Proposal(summary="answered", answer=reply.text.strip())
