"""What there is to see of a run: one state, made from its events. `compose` makes the document of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import reduce as fold
from functools import singledispatch

from loom_jupyter import events as ev
from loom_jupyter.events import RunState
from loom_jupyter.pipeline.contracts import Node

TEXT_LIMIT = 8_000
"""Characters of streamed text kept a node: the last ones."""
NOTICE_LIMIT = 20
CANDIDATE_LIMIT = 100


class StepState(StrEnum):
    """How far one of the five steps is."""

    WAITING = "waiting"
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Step:
    """One of the five steps.

    Attributes
    ----------
    note
        What it is at, while it is at work; `summary` is what came of it.
    started, seconds
        Time of its start (seconds since the epoch), and how long it took once it is over.
    tokens, decode_seconds
        Of its finished model calls.
    pieces, stream_since
        Pieces of text streamed by the call that is under way, and the time of the first.
    text
        The end of what it wrote, at most `TEXT_LIMIT` characters.
    """

    node: Node
    state: StepState = StepState.WAITING
    note: str = ""
    summary: str = ""
    started: float | None = None
    seconds: float | None = None
    tokens: int = 0
    decode_seconds: float = 0.0
    pieces: int = 0
    stream_since: float = 0.0
    last_ts: float = 0.0
    text: str = ""
    repairs: tuple[str, ...] = ()

    def elapsed(self, now: float) -> float | None:
        """Return its seconds so far, or None if it never began."""
        if self.seconds is not None:
            return self.seconds
        return None if self.started is None else max(0.0, now - self.started)

    @property
    def rate(self) -> float | None:
        """Tokens a second: of the stream under way, else of the finished calls."""
        span = self.last_ts - self.stream_since
        if self.state is StepState.ACTIVE and self.pieces > 4 and span > 0.2:
            return (self.pieces - 1) / span
        return self.tokens / self.decode_seconds if self.tokens and self.decode_seconds > 0 else None


@dataclass(frozen=True)
class ModelLine:
    """The model: its name and, once it is loaded, window (tokens), memory and the device's memory (bytes)."""

    name: str = ""
    phase: str = ""
    fraction: float = 0.0
    since: float = 0.0
    n_ctx: int = 0
    device: str = ""
    memory: int = 0
    available: int = 0

    @property
    def loading(self) -> bool:
        """Whether it is being fetched or loaded."""
        return bool(self.phase)


@dataclass(frozen=True)
class CheckLine:
    """One use of the check: `passed` is None while it runs."""

    command: str
    passed: bool | None = None
    summary: str = ""
    seconds: float = 0.0
    output: str = ""


@dataclass(frozen=True)
class Chip:
    """Two words for the head of the run, such as "not trusted", and the command that changes it."""

    text: str
    command: str = ""


@dataclass(frozen=True)
class RunView:
    """Everything that front ends show of a run.

    Attributes
    ----------
    state
        None until the first event that tells it.
    started, last_ts, ended
        Times of the first and the newest event, and of the moment the run ended or began to wait for review.
    question
        What the Architect asks, until it is answered.
    files, total
        The ledger's top files, and how many files have any evidence.
    candidates
        The search's newest candidates; ``candidates[-1].number`` of ``candidates[-1].limit``.
    before, after
        The check on the untouched workspace, and on the proposal (or the newest candidate).
    chips
        What belongs at the head of the run.
    refused
        Requests that were refused, newest last: what was asked and why not.
    mergeable
        Whether the accept that was refused last can be done with `merged`.
    """

    run: str = ""
    task: str = ""
    root: str = ""
    tagged: tuple[str, ...] = ()
    check: str | None = None
    apply: bool = False
    budget: float = 0.0
    state: RunState | None = None
    reason: str = ""
    started: float | None = None
    last_ts: float = 0.0
    ended: float | None = None
    indexed: int | None = None
    model: ModelLine = field(default_factory=ModelLine)
    steps: tuple[Step, ...] = tuple(Step(node) for node in Node)
    plan: ev.TaskPlanned | None = None
    question: str = ""
    files: tuple[ev.RankedFile, ...] = ()
    total: int = 0
    map: ev.MapMade | None = None
    before: CheckLine | None = None
    after: CheckLine | None = None
    candidates: tuple[ev.CandidateTried, ...] = ()
    proposal: ev.ProposalMade | None = None
    notices: tuple[str, ...] = ()
    chips: tuple[Chip, ...] = ()
    refused: tuple[str, ...] = ()
    mergeable: bool = False
    error: str = ""

    @property
    def at_work(self) -> bool:
        """Whether something runs or waits its turn; also before the first event."""
        return self.state is None or self.state.at_work

    @property
    def awaits(self) -> ev.Action | None:
        """What the run waits for: the answer to `question`, or approval of `plan`."""
        if self.state is not RunState.WAITING:
            return None
        return ev.Action.ANSWER if self.question else ev.Action.APPROVE

    def step(self, node: Node) -> Step:
        """Return the step of a node."""
        return next(step for step in self.steps if step.node is node)

    def seconds(self, now: float) -> float:
        """Return the seconds from the first event until `now`, or until the end of the work."""
        if self.started is None:
            return 0.0
        return max(0.0, (now if self.ended is None else self.ended) - self.started)


def view_of(events: Iterable[ev.Event]) -> RunView:
    """Return the view after all of `events`."""
    return fold(reduce, events, RunView())


def reduce(view: RunView, event: ev.Event) -> RunView:
    """Return `view` after one more event; pure, and indifferent to the order in which events come."""
    view = replace(
        view,
        run=view.run or event.run,
        started=event.ts if view.started is None else min(view.started, event.ts),
        last_ts=max(view.last_ts, event.ts),
    )
    return _after(event, view)


@singledispatch
def _after(event: ev.Event, view: RunView) -> RunView:  # noqa: ARG001 - singledispatch looks at it
    return view


@_after.register
def _(event: ev.Started, view: RunView) -> RunView:
    return replace(
        view,
        task=event.task,
        root=event.root,
        tagged=tuple(event.tagged),
        check=event.check,
        apply=event.apply,
        budget=event.budget,
        model=replace(view.model, name=view.model.name or event.model),
        steps=_changed(view, Node.CHECK, note=event.check or ""),
    )


@_after.register
def _(event: ev.StateChanged, view: RunView) -> RunView:
    view = replace(view, state=event.state, reason=event.reason, mergeable=False)
    if event.state.at_work:
        return replace(view, ended=None)
    ended = view.ended if view.ended is not None else event.ts
    steps = tuple(_settled(step, event) for step in view.steps)
    return replace(view, ended=ended, steps=steps, model=replace(view.model, phase=""))


_REVIEW = {
    RunState.REVIEW: StepState.ACTIVE,
    RunState.ACCEPTED: StepState.DONE,
    RunState.REJECTED: StepState.DONE,
    RunState.UNDONE: StepState.DONE,
}
_BROKEN_OFF = {RunState.FAILED: StepState.FAILED, RunState.STOPPED: StepState.STOPPED}


def _settled(step: Step, event: ev.StateChanged) -> Step:
    """Return the line as it stays once nothing is at work."""
    if step.node is Node.REVIEW:
        return replace(step, state=_REVIEW.get(event.state, StepState.SKIPPED))
    if step.state is StepState.ACTIVE:
        over = _BROKEN_OFF.get(event.state, StepState.DONE)
        return replace(step, state=over, seconds=step.elapsed(event.ts), summary=step.summary or step.note)
    if step.state is StepState.WAITING:
        return replace(step, state=StepState.SKIPPED)
    return step


@_after.register
def _(event: ev.Indexed, view: RunView) -> RunView:
    return replace(view, indexed=event.files)


@_after.register
def _(event: ev.ModelLoading, view: RunView) -> RunView:
    since = view.model.since if view.model.phase == event.phase else event.ts
    model = replace(view.model, name=event.name, phase=event.phase, fraction=event.fraction, since=since)
    return replace(view, model=model)


@_after.register
def _(event: ev.ModelReady, view: RunView) -> RunView:
    model = ModelLine(
        event.name, n_ctx=event.n_ctx, device=event.device, memory=event.memory, available=event.available
    )
    return replace(view, model=model)


@_after.register
def _(event: ev.NodeStarted, view: RunView) -> RunView:
    steps = _changed(
        view, event.node, state=StepState.ACTIVE, note=event.note, started=event.ts, seconds=None, pieces=0
    )
    return replace(view, steps=steps, model=replace(view.model, phase=""))


@_after.register
def _(event: ev.NodeText, view: RunView) -> RunView:
    step = view.step(event.node)
    since = step.stream_since if step.pieces else event.ts
    text = (step.text + event.text)[-TEXT_LIMIT:]
    steps = _changed(view, event.node, text=text, pieces=step.pieces + 1, stream_since=since, last_ts=event.ts)
    return replace(view, steps=steps)


@_after.register
def _(event: ev.NodeUsage, view: RunView) -> RunView:
    step = view.step(event.node)
    steps = _changed(
        view,
        event.node,
        tokens=step.tokens + event.completion_tokens,
        decode_seconds=step.decode_seconds + event.decode_seconds,
        pieces=0,
    )
    return replace(view, steps=steps)


@_after.register
def _(event: ev.NodeRepaired, view: RunView) -> RunView:
    step = view.step(event.node)
    return replace(view, steps=_changed(view, event.node, repairs=(*step.repairs, event.note)[-NOTICE_LIMIT:]))


@_after.register
def _(event: ev.NodeFinished, view: RunView) -> RunView:
    steps = _changed(
        view, event.node, state=StepState.DONE, summary=event.summary, seconds=event.seconds, pieces=0
    )
    return replace(view, steps=steps)


@_after.register
def _(event: ev.TaskPlanned, view: RunView) -> RunView:
    return replace(view, plan=event)


@_after.register
def _(event: ev.QuestionAsked, view: RunView) -> RunView:
    return replace(view, question=event.text)


@_after.register
def _(event: ev.QuestionAnswered, view: RunView) -> RunView:  # noqa: ARG001 - only that it came
    return replace(view, question="")


@_after.register
def _(event: ev.LedgerMade, view: RunView) -> RunView:
    return replace(view, files=tuple(event.files), total=event.total)


@_after.register
def _(event: ev.MapMade, view: RunView) -> RunView:
    return replace(view, map=event)


@_after.register
def _(event: ev.CheckStarted, view: RunView) -> RunView:
    line = CheckLine(event.command)
    view = replace(view, check=event.command)  # `auto` has found out what it means
    if event.stage == "candidate":
        return replace(view, after=line)
    steps = _changed(view, Node.CHECK, state=StepState.ACTIVE, note="", started=event.ts, seconds=None)
    if event.stage == "before":
        return replace(view, before=line, steps=steps)
    return replace(view, after=line, steps=steps)


@_after.register
def _(event: ev.CheckFinished, view: RunView) -> RunView:
    command = (view.before or view.after or CheckLine(view.check or "")).command
    line = CheckLine(command, event.passed, event.summary, event.seconds, event.output)
    if event.stage == "candidate":
        return replace(view, after=line)
    if event.stage == "before":
        steps = _changed(view, Node.CHECK, state=StepState.WAITING, note=command, started=None)
        return replace(view, before=line, steps=steps)
    state = StepState.DONE if event.passed else StepState.FAILED
    steps = _changed(view, Node.CHECK, state=state, summary=event.summary, seconds=event.seconds)
    return replace(view, after=line, steps=steps)


@_after.register
def _(event: ev.CandidateTried, view: RunView) -> RunView:
    return replace(view, candidates=(*view.candidates, event)[-CANDIDATE_LIMIT:])


@_after.register
def _(event: ev.ProposalMade, view: RunView) -> RunView:
    check = view.step(Node.CHECK)
    if event.passed is None or check.state in (StepState.DONE, StepState.FAILED):
        return replace(view, proposal=event)
    # The search already tried the proposal, so it is not checked again.
    after = view.after or CheckLine(view.check or "")
    if after.passed is not event.passed:
        after = CheckLine(after.command, event.passed, event.summary)
    state = StepState.DONE if event.passed else StepState.FAILED
    steps = _changed(view, Node.CHECK, state=state, summary=after.summary, seconds=after.seconds or None)
    return replace(view, proposal=event, after=after, steps=steps)


@_after.register
def _(event: ev.ControlHandled, view: RunView) -> RunView:
    if event.ok:
        return view
    refused = (*view.refused, event.reason or f"{event.action} was refused.")[-NOTICE_LIMIT:]
    return replace(view, refused=refused, mergeable=event.mergeable)


@_after.register
def _(event: ev.Noticed, view: RunView) -> RunView:
    view = replace(view, notices=(*view.notices, event.text)[-NOTICE_LIMIT:])
    chip = Chip(event.chip, event.command)
    return replace(view, chips=(*view.chips, chip)) if event.chip and chip not in view.chips else view


@_after.register
def _(event: ev.Failed, view: RunView) -> RunView:
    return replace(view, error=event.text)


def _changed(view: RunView, node: Node, **changes: object) -> tuple[Step, ...]:
    return tuple(replace(step, **changes) if step.node is node else step for step in view.steps)  # type: ignore[arg-type]
