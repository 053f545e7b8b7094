"""The Coder: a search among cheap, different, plausible rewrites that the check decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count, islice

from loom_jupyter.context.context_map import ContextMap, Rewrite, Target, place
from loom_jupyter.models.protocol import Message
from loom_jupyter.pipeline.candidates import FREE, UnitWriter, shown
from loom_jupyter.pipeline.contracts import Intent, Proposal, TaskSpec, Trial
from loom_jupyter.pipeline.doubts import Candidate
from loom_jupyter.pipeline.explorer import MOST_TARGETS
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.shrink import hunks, with_hunks
from loom_jupyter.pipeline.stubs import unwritten
from loom_jupyter.pipeline.talk import Desk, Talk

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
# What is tried around an attempt that was written.
NEAR = 80


@dataclass
class _Search:
    """What was tried so far, over all targets of a run."""

    talk: Talk
    desk: Desk
    limit: int
    tried: int = 0
    refused: int = 0
    why: str = ""
    best: tuple[Trial, Rewrite] | None = None

    def attempt(self, target: Target, candidate: Candidate) -> Trial:
        """Try one candidate and remember it if it is the best so far."""
        self.talk.check_stop()
        rewrite = Rewrite(target=target, text=candidate.text)
        trial = self.desk.trial([rewrite])
        if trial.gate:
            self.refused += 1
            self.why = trial.reason
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

    First the small changes of every target, which need no writing; then target after target all the rest.

    Parameters
    ----------
    budget
        Seconds that the search may take; each target but the last gets half of what is left.
    """
    if spec.intent is Intent.EXPLAIN:
        return _explain(talk, context_map)
    search = _Search(talk, desk, limit=TRIES * len(context_map.targets))
    writers = [UnitWriter(talk, context_map, target) for target in context_map.targets]
    streams = {w: iter(w.candidates(checked=desk.checked)) for w in writers if not (desk.checked and w.unwritten)}
    begin = clock()
    end = begin + budget
    for n, (writer, stream) in enumerate(streams.items()):
        if n >= MOST_TARGETS and clock() > begin + budget / 4:
            break
        share = clock() + (end - clock()) / (4 if n == 0 else 8)
        sure = SURE_TRIES if n == 0 else 1
        if _solved(search, writer, islice(stream, FREE), _Timer(clock, share), sure):
            return _proposal(search)  # a small change
    for i, writer in enumerate(writers):
        share = end if i == len(writers) - 1 else clock() + (end - clock()) / 2
        if writer in streams:
            solved = _solved(search, writer, streams[writer], _Timer(clock, share))
        else:
            solved = _written(search, writer, _Timer(clock, share))
        if solved or clock() > end:
            break
    else:
        _repair(search, context_map, end, clock)
    _shrink(search)
    return _proposal(search)


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

    Every other round of samples is told what the check said to the best attempt so far; before every round the
    search looks around that attempt, if any test passes with it.
    """
    before = timer.left
    for draft in (writer.rewrite, lambda: writer.repair(_hinted(search, writer), temperature=0.0)):
        candidate = draft()
        if candidate is not None and search.attempt(writer.target, candidate).passed:
            return True
    draft_seconds = (before - timer.left) / 2
    looked_at: str | None = None
    for number in count():
        while search.best is not None and search.best[0].score > 0 and search.best[1].text != looked_at:
            looked_at = search.best[1].text
            if _around(search, writer, looked_at, timer):
                return True
        if timer.up:
            break
        prompt = _hinted(search, writer) if number % 2 else None
        # A round that is cut off gives nothing: its samples end at about the same time.
        size = next((n for n, drafts in ROUNDS if drafts * draft_seconds <= timer.left), 2)
        for candidate in writer.samples(TEMPERATURES[:size], prompt):
            if search.attempt(writer.target, candidate).passed:
                return True
            if timer.up:
                return False
    return False


def _hinted(search: _Search, writer: UnitWriter) -> list[Message]:
    output = search.best[0].output if search.best else "It was no complete code block."
    return writer.hinted(output)


def _around(search: _Search, writer: UnitWriter, attempt: str, timer: _Timer) -> bool:
    """Try what is one line away from an attempt, until something is better."""
    assert search.best is not None
    before = search.best[0].score
    for n, candidate in enumerate(writer.around(attempt)):
        trial = search.attempt(writer.target, candidate)
        if trial.passed:
            return True
        if timer.up or n >= NEAR or (not trial.gate and trial.score > before):
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
    return Proposal(rewrites=(rewrite,), summary=f"{where}: {trial.reason}", passed=trial.passed)


def _explain(talk: Talk, context_map: ContextMap) -> Proposal:
    parts = [*map(shown, context_map.targets), *map(shown, context_map.excerpts)]
    reply = talk.ask(talk.messages(render("explain", excerpts=parts)), max_tokens=500)
    return Proposal(summary="answered", answer=reply.text.strip())
