"""Make the document of a run from its view: every word that notebook, sidebar and terminal show is chosen here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from loom_jupyter.events import (
    Action,
    CandidateTried,
    Event,
    EvidenceRow,
    ProposalMade,
    ProposedFile,
    RankedFile,
    RunState,
    TaskPlanned,
)
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs import diffs, format
from loom_jupyter.runs.document import (
    Bar,
    Candidate,
    CellChange,
    Change,
    Chip,
    Document,
    Evidence,
    EvidenceFile,
    Expected,
    Head,
    Hunk,
    Meter,
    Notice,
    Offer,
    Outcome,
    Output,
    Plan,
    Question,
    Row,
    Share,
    Step,
    TaskLine,
    Text,
)
from loom_jupyter.runs.families import family_of, in_order
from loom_jupyter.runs.messages import TEXTS, Line, Message, joined
from loom_jupyter.runs.view import RunView, StepState, view_of
from loom_jupyter.runs.view import Step as StepView

OUTPUT_LINES = 200
BELOW = 200
"""Lines shown below a notice's sentence."""
ROWS = 30
"""Rows of a file's evidence: the strongest."""
MARKS = {
    StepState.WAITING: "○",
    StepState.ACTIVE: "◐",
    StepState.DONE: "●",
    StepState.FAILED: "✕",
    StepState.STOPPED: "■",
    StepState.SKIPPED: "–",
}
T = TypeVar("T")


class Composer:
    """Makes the documents of one run, one after the other; what did not change is made once.

    Sections that are the same as before are the same objects, so that who sends them can tell.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[object, Any]] = {}

    def compose(self, view: RunView, now: float, *, alive: bool = True) -> Document:
        """Return the document of a view.

        Parameters
        ----------
        now
            Seconds since the epoch: what the clocks show.
        alive
            False if the process that should be working on the run has ended.
        """
        orphan = view.at_work and not alive
        times = _times(view, view.last_ts if orphan else now)
        plan, proposal = view.plan, view.proposal
        return Document(
            run=view.run,
            task=view.task,
            root=view.root,
            title=said(view.task, 300),
            state=view.state or RunState.QUEUED,
            at_work=view.at_work,
            head=self._once("head", (view.model, view.chips), lambda: _head(view)),
            steps=tuple(_step(view, step, times) for step in view.steps),
            bar=_bar(view, times),
            question=_question(view),
            plan=_plan(plan, awaited=view.awaits is Action.APPROVE) if plan else None,
            outcome=_outcome(view),
            notices=_notices(view, orphan=orphan),
            answer="\n".join(format.lines(proposal.answer)) if proposal and proposal.answer else "",
            evidence=self._once("evidence", (view.files, view.total), lambda: _evidence(view.files, view.total)),
            changes=self._once("changes", (proposal,), lambda: _changes(proposal)),
            cell=self._once("cell", (proposal,), lambda: _cell(proposal)),
            candidates=self._once("candidates", (view.candidates,), lambda: _candidates(view.candidates)),
            output=self._once("output", (view.after,), lambda: _output(view.after.output if view.after else "")),
            writing=_writing(view),
            texts=self._once("texts", tuple(step.text for step in view.steps), lambda: _texts(view.steps)),
            actions=_actions(view),
        )

    def _once(self, name: str, made_of: tuple[object, ...], make: Callable[[], T]) -> T:
        """Make a section again only if it is to be made of other objects than before."""
        kept = self._kept.get(name)
        if kept is None or any(a is not b for a, b in zip(kept[0], made_of, strict=True)):  # type: ignore[call-overload]
            kept = self._kept[name] = (made_of, make())
        made: T = kept[1]
        return made


def compose(view: RunView, now: float) -> Document:
    """Return the document of a view; see :meth:`Composer.compose`."""
    return Composer().compose(view, now)


def document_of(events: Iterable[Event]) -> Document:
    """Return the document of a run with these events, as it is now."""
    return compose(view_of(events), time.time())


# --- words ---


def say(id: str, **values: str | int | Message) -> Message:
    """Fill a template. Whoever wrote a value, it becomes one line that is safe to show.

    Examples
    --------
    >>> str(say("evidence.files", count=1140))
    '1,140 files'
    >>> str(say("bar.step", name=say("node.coder")))
    'Coder is running'
    """
    template = TEXTS[id]
    ready = {name: _ready(value) for name, value in values.items()}
    if isinstance(template, str):
        return Message(id, template, ready)
    count = values["count"]
    assert isinstance(count, int)
    return Message(id, template[0], ready, template[1], count)


def said(text: str, limit: int = format.LINE_LIMIT) -> Message:
    """Return a sentence that was made elsewhere, and so stays as it is."""
    return Message("said", "{text}", {"text": format.line(text, limit)})


def _ready(value: str | int | Message) -> str | Message:
    if isinstance(value, Message):
        return value
    return format.count(value) if isinstance(value, int) else format.line(value)


@dataclass(frozen=True)
class Times:
    """The clocks of the run, its steps and its limit as they are shown; `search`: seconds that the Coder took."""

    total: str
    limit: str
    steps: dict[Node, str]
    search: float


def _times(view: RunView, now: float) -> Times:
    total, elapsed = view.seconds(now), {step.node: step.elapsed(now) for step in view.steps}
    return Times(
        format.seconds(total),
        format.seconds(view.budget).replace(".0 s", " s"),
        {node: format.seconds(seconds) for node, seconds in elapsed.items() if seconds is not None},
        elapsed[Node.CODER] or 0.0,
    )


# --- head and steps ---


def _head(view: RunView) -> Head:
    """Return ``qwen2.5-coder-1.5b · window 16k · 1.9 of 24 GB`` and what else belongs above the steps."""
    model = view.model
    parts, memory = _maybe(model.name), None
    if model.n_ctx:
        parts += (say("model.window", tokens=format.window(model.n_ctx)),)
    if model.memory and model.available:
        used, available = format.gigabytes(model.memory), format.gigabytes(model.available)
        parts += (say("model.memory", used=used, available=available),)
        text = say("model.memory_of", used=used, available=available, device=model.device)
        memory = Meter(min(1.0, model.memory / model.available), text)
    return Head(
        parts, memory, tuple(Chip(said(chip.text, 40), format.line(chip.command, 60)) for chip in view.chips)
    )


def _step(view: RunView, step: StepView, times: Times) -> Step:
    text, aside = _TEXTS[step.node](view, step)
    return Step(
        node=step.node,
        state=step.state,
        mark=MARKS[step.state],
        name=_name(step.node),
        spoken=say(f"step.{step.state.value}"),
        time="" if step.node is Node.REVIEW else times.steps.get(step.node, ""),
        text=text,
        aside=aside,
    )


def _name(node: Node) -> Message:
    return say(f"node.{node.value}")


def _architect(view: RunView, step: StepView) -> tuple[Line, Line]:
    if view.awaits is Action.ANSWER:
        return (say("architect.asks", question=view.question),), ()
    if view.plan is not None:
        return (say("architect.task", intent=view.plan.intent.value, goal=view.plan.goal),), ()
    return _doing(step, "architect.reading"), _rate(step)


def _explorer(view: RunView, step: StepView) -> tuple[Line, Line]:
    if view.map is None:
        return _doing(step, "explorer.choosing"), _rate(step)
    files = len({place.split(" · ")[0].split(" (")[0] for place in (*view.map.targets, *view.map.excerpts)})
    known = (
        say("explorer.files_of", count=files, total=view.indexed)
        if view.indexed
        else say("explorer.files", count=files)
    )
    targets = say("explorer.targets", count=len(view.map.targets))
    return (known, targets, say("tokens", count=view.map.tokens)), ()


def _coder(view: RunView, step: StepView) -> tuple[Line, Line]:
    if step.state is not StepState.ACTIVE:
        used = (say("tokens", count=step.tokens),) if step.tokens else ()
        rate = (say("tokens.per_second", rate=f"{step.rate:.0f}"),) if step.tokens and step.rate else ()
        return _maybe(step.summary), (*used, *rate)
    tried = view.candidates[-1] if view.candidates else None
    number = (say("coder.candidate", number=tried.number),) if tried else ()
    where = said(tried.place) if tried and tried.place else said(step.note) if step.note else None
    return (where or say("coder.writing" if step.text else "coder.reading"),), (*number, *_rate(step))


def _check(view: RunView, step: StepView) -> tuple[Line, Line]:
    if step.state in (StepState.WAITING, StepState.SKIPPED):
        command = view.check or (view.before.command if view.before else "")
        none = (say("check.none"),) if view.started is not None else ()
        return _maybe(command) or none, _before(view)
    if step.state is StepState.ACTIVE:
        stage = (say("check.before_change"),) if view.before is not None and view.before.passed is None else ()
        return (*_maybe(view.check or ""), *stage) or (say("check.running"),), ()
    verdict = say("check.passed" if step.state is StepState.DONE else "check.failed")
    if not step.summary:
        return (verdict,), _before(view)
    if str(verdict) in step.summary.lower():
        return (said(step.summary),), _before(view)
    return (say("check.verdict", verdict=verdict, summary=step.summary),), _before(view)


def _before(view: RunView) -> Line:
    if view.before is None or view.before.passed is None:
        return ()
    verdict = say("check.passed" if view.before.passed else "check.failed")
    return (say("check.before", summary=said(view.before.summary) if view.before.summary else verdict),)


def _review(view: RunView, step: StepView) -> tuple[Line, Line]:
    files = view.proposal.files if view.proposal else []
    state = _REVIEWED.get(view.state) if step.state is not StepState.SKIPPED else None
    if not files:
        return (say("review.answered"),) if _answered(view) else (say(state),) if state else (), ()
    size = say(
        "review.size",
        count=len(files),
        added=str(sum(file.added for file in files)),
        removed=str(sum(file.removed for file in files)),
    )
    return (say(state), size) if state else (size,), ()


_TEXTS = {
    Node.ARCHITECT: _architect,
    Node.EXPLORER: _explorer,
    Node.CODER: _coder,
    Node.CHECK: _check,
    Node.REVIEW: _review,
}
_REVIEWED: dict[RunState | None, str] = {
    RunState.REVIEW: "review.waiting",
    RunState.ACCEPTED: "review.accepted",
    RunState.REJECTED: "review.rejected",
    RunState.UNDONE: "review.undone",
}


def _doing(step: StepView, id: str) -> Line:
    if step.state is StepState.ACTIVE:
        return _maybe(step.note) or (say(id),)
    return _maybe(step.summary)


def _maybe(text: str) -> Line:
    return (said(text),) if text else ()


def _rate(step: StepView) -> Line:
    live = step.state is StepState.ACTIVE and step.rate
    return (say("tokens.rate", rate=f"{step.rate:.0f}"),) if live else ()


# --- the line below the steps ---


def _bar(view: RunView, times: Times) -> Bar:
    total = said(times.total)
    if not view.at_work:
        state = state_word(view.state or RunState.FAILED)
        end = say("end.answered") if _answered(view) else say(f"end.{view.state}")
        return Bar((end, total), None, say("short.state", state=state), say("spoken", text=state))
    active = next((step for step in view.steps if step.state is StepState.ACTIVE), None)
    text, fraction = _work(view, active, times)
    if active is None:
        short = say("short.work", text=text[0])
        return Bar(text, fraction, short, say("spoken", text=state_word(view.state or RunState.QUEUED)))
    name = _name(active.node)
    pace = next(iter(_rate(active)), said(times.steps.get(active.node, "")))
    short = say("short.step", name=name, pace=pace)
    return Bar(text, fraction, short, say("spoken", text=say("bar.step", name=name)))


def _work(view: RunView, active: StepView | None, times: Times) -> tuple[Line, float | None]:
    """Return what is awaited, and how far it is."""
    model, total = view.model, said(times.total)
    if view.awaits is not None:
        return (say("bar.answer" if view.awaits is Action.ANSWER else "bar.approve"), total), None
    if model.loading:
        phase = model.phase if model.phase in ("download", "verify", "plan") else "load"
        doing = say(f"loading.{phase}", name=model.name)
        return (doing, said(format.percent(model.fraction)), total), model.fraction
    if active is not None and active.node is Node.CODER and view.budget:
        spent = say("bar.limit", spent=times.steps.get(Node.CODER, ""), limit=times.limit)
        return (spent,), min(1.0, times.search / view.budget)
    if active is not None:
        return (say("bar.step", name=_name(active.node)), total), None
    if view.state is RunState.QUEUED or view.state is None:
        queued = say("bar.queued_why", reason=view.reason) if view.reason else say("bar.queued")
        return (queued, total), None
    return (_between(view), total), None


def _between(view: RunView) -> Message:
    """Say what is awaited while no step is at work."""
    if view.indexed is None:
        return say("bar.reading")
    if not view.model.n_ctx:
        return say("bar.model")
    coded = any(step.node is Node.CODER and step.state is StepState.DONE for step in view.steps)
    return say("bar.proposal" if coded else "bar.copy")


def _answered(view: RunView) -> bool:
    return view.proposal is not None and bool(view.proposal.answer) and not view.proposal.files


def state_word(state: RunState) -> Message:
    """Name a state in a word or two, for a list of runs."""
    return say(f"state.{state.value}")


# --- what a run asks, how it ended, what can be done ---


def _question(view: RunView) -> Question | None:
    if view.awaits is not Action.ANSWER:
        return None
    return Question(format.line(view.question, 600), say("ask.answer_with"))


def _plan(planned: TaskPlanned, *, awaited: bool) -> Plan:
    lines = [("intent", planned.intent.value), ("goal", planned.goal)]
    lines += [("accept", line) for line in planned.acceptance]
    lines += [("terms", ", ".join(planned.terms))] if planned.terms else []
    return Plan(
        planned.intent,
        planned.goal,
        tuple(planned.acceptance),
        tuple(planned.terms),
        tuple(TaskLine(say(f"task.{name}"), format.line(value, 500)) for name, value in lines),
        say("ask.approve_with") if awaited else None,
    )


def _outcome(view: RunView) -> Outcome | None:
    unsolved = view.proposal is not None and view.proposal.passed is False
    failed = view.state is RunState.FAILED or (unsolved and view.state is RunState.REVIEW)
    return Outcome(_tried(view.candidates), _best(view), _next(view)) if failed else None


def _tried(candidates: tuple[CandidateTried, ...]) -> Message | None:
    if not candidates:
        return None
    kinds: Counter[str] = Counter(candidate.verdict for candidate in candidates)
    every = ("passed", "failed", "refused", "unchecked")
    verdicts = [say(f"verdict.{kind}", count=kinds[kind]) for kind in every if kinds[kind]]
    return say("outcome.tried", count=candidates[-1].number, verdicts=joined(tuple(verdicts), ", "))


def _best(view: RunView) -> Message | None:
    if view.proposal is not None and view.proposal.files:
        reason = view.after.summary if view.after else view.proposal.summary
        return say("outcome.best", reason=reason) if reason else None
    failed = [candidate for candidate in view.candidates if candidate.verdict == "failed"]
    return say("outcome.closest", place=failed[-1].place, reason=failed[-1].reason) if failed else None


def _next(view: RunView) -> Message:
    if view.error:
        return said(view.error, 2_000)
    if view.proposal is not None and view.proposal.files:
        return say("outcome.still_fails")
    return said(view.reason, 2_000) if view.reason else say("outcome.next")


def _notices(view: RunView, *, orphan: bool) -> tuple[Notice, ...]:
    ended = (Notice(say("process_ended"), ""),) if orphan else ()
    return (*ended, *map(_notice, (*view.notices, *view.refused[-1:])))


def _notice(text: str) -> Notice:
    sentence, _, below = text.partition("\n")
    shown = format.lines(below.strip("\n"))[:BELOW] if below.strip() else []
    return Notice(said(sentence, 2_000), "\n".join(shown))


def _actions(view: RunView) -> tuple[Offer, ...]:
    if view.at_work:
        return (*((_offer(view.awaits),) if view.awaits else ()), _offer(Action.STOP))
    if view.proposal is None or not view.proposal.files:
        return ()
    if view.state is RunState.REVIEW:
        return _offer(Action.ACCEPT, merged=view.mergeable), _offer(Action.REJECT)
    # An accepted cell is in the notebook, which has an undo.
    return (_offer(Action.UNDO),) if view.state is RunState.ACCEPTED and view.proposal.cell is None else ()


def _offer(action: Action, *, merged: bool = False) -> Offer:
    name = f"{action.value}{'_merged' if merged else ''}"
    return Offer(action, say(f"action.{name}"), say(f"action.{name}.why"), merged)


# --- evidence ---


def _evidence(files: tuple[RankedFile, ...], total: int) -> Evidence | None:
    if not files:
        return None
    every = max(total, len(files))
    longest = max(file.score for file in files)
    used = in_order(family_of(row) for file in files for row in file.rows)
    return Evidence(say("evidence.files", count=every), every, longest, used, tuple(map(evidence_file, files)))


def evidence_file(file: RankedFile, more: int = 0) -> EvidenceFile:
    """Return a file of the ledger as it is shown; `more`: rows that `file` leaves out."""
    placed = [row for row in file.rows if row.line]
    best = max(placed, key=lambda row: row.points, default=None)
    strongest = sorted(file.rows, key=lambda row: -abs(row.points))[:3]
    return EvidenceFile(
        rank=file.rank,
        path=file.path,
        name=format.path(file.path),
        line=best.line if best else None,
        score=file.score,
        points=format.points(file.score),
        why=format.line(" · ".join(_place(row) or row.rule for row in strongest), 200),
        bar=shares(file),
        rows=tuple(map(_row, file.rows[:ROWS])),
        more=more + max(0, len(file.rows) - ROWS),
    )


def shares(file: RankedFile) -> tuple[Share, ...]:
    """Split a file's bar by family. Rows that take points away shorten all its parts alike."""
    gains: dict[str, float] = {}
    for row in file.rows:
        if row.points > 0:
            gains[family_of(row)] = gains.get(family_of(row), 0.0) + row.points
    whole = sum(gains.values())
    if whole <= 0 or file.score <= 0:
        return ()
    return tuple(Share(family, format.signed(gains[family]), gains[family] / whole) for family in in_order(gains))


def _row(row: EvidenceRow) -> Row:
    rule, place = format.line(row.rule, 60), format.line(_place(row), 200)
    return Row(family_of(row), rule, format.signed(row.points), place, row.path, row.line)


def _place(row: EvidenceRow) -> str:
    """Return what a row saw and where: ``tariff() l.12``."""
    what = row.detail or row.symbol or row.rule
    return str(say("evidence.place", what=what, line=str(row.line))) if row.line else what


# --- changes, and what was written on the way ---


def _changes(proposal: ProposalMade | None) -> tuple[Change, ...]:
    return tuple(map(change, proposal.files)) if proposal else ()


def change(file: ProposedFile) -> Change:
    """Return one file of a proposal with its diff taken apart."""
    parts = diffs.parts(file.diff)
    rows = (row for part in parts for row in part.rows)
    name = format.path(file.path)
    return Change(
        path=file.path,
        name=name,
        added=file.added,
        removed=file.removed,
        line=next((row.number for row in rows if row.kind in ("added", "removed")), None),
        parts=parts,
        hunks=tuple(_hunk(cell, line) for cell, line in diffs.hunks(parts)),
        label=say("changes.diff", path=name),
    )


def _hunk(cell: str | None, line: int) -> Hunk:
    if cell is None:
        return Hunk(line, say("changes.line", line=str(line)))
    return Hunk(line, say("changes.cell_line", cell=cell[:8], line=str(line)))


def _cell(proposal: ProposalMade | None) -> CellChange | None:
    if proposal is None or proposal.cell is None:
        return None
    cell, expected = proposal.cell, [diffs.before(file.diff) for file in proposal.files[:1]]
    return CellChange(
        cell.number,
        cell.cell_id,
        cell.source,
        tuple(Expected(start, lines) for found in expected for start, lines in found),
    )


def _candidates(candidates: Iterable[CandidateTried]) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            tried.number,
            tried.verdict,
            say(f"candidate.{tried.verdict}"),
            say(
                "candidates.line",
                kind=format.line(tried.kind, 30),
                place=format.line(tried.place, 60),
                reason=format.line(tried.reason, 80),
            ),
        )
        for tried in candidates
    )


def _output(text: str) -> Output | None:
    if not text:
        return None
    lines = format.lines(text)
    left = len(lines) - OUTPUT_LINES
    earlier = say("output.earlier", count=left) if left > 0 else None
    return Output(say("output"), earlier, "\n".join(lines[-OUTPUT_LINES:]))


def _writing(view: RunView) -> Node | None:
    """Return the node that is at work, or else the one that wrote last."""
    active = [step.node for step in view.steps if step.state is StepState.ACTIVE]
    wrote = [step for step in view.steps if step.text]
    last = max(wrote, key=lambda step: step.last_ts, default=None)
    return active[-1] if active else last.node if last else None


def _texts(steps: Iterable[StepView]) -> tuple[Text, ...]:
    return tuple(
        Text(step.node, say("text.of", name=_name(step.node)), "\n".join(format.lines(step.text)))
        for step in steps
        if step.text
    )
