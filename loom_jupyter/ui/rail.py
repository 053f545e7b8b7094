"""The rail: Architect · Explorer · Coder · Check · Review, a line each, in words that every front end shares."""

from __future__ import annotations

from dataclasses import dataclass

from loom_jupyter.events import Action, RunState
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs.view import ModelLine, RunView, Step, StepState
from loom_jupyter.ui import figures

MARKS = {
    StepState.WAITING: "○",
    StepState.ACTIVE: "◐",
    StepState.DONE: "●",
    StepState.FAILED: "✕",
    StepState.STOPPED: "■",
    StepState.SKIPPED: "–",
}
_AT = {
    Node.ARCHITECT: "reading the task",
    Node.EXPLORER: "choosing places",
    Node.CODER: "writing",
    Node.CHECK: "running",
    Node.REVIEW: "",
}
_PHASES = {"download": "downloading", "verify": "verifying", "plan": "planning memory for", "load": "loading"}


@dataclass(frozen=True)
class Line:
    """One line of the rail. `aside` stands at its right end."""

    node: Node
    state: StepState
    mark: str
    name: str
    time: str
    text: str
    aside: str = ""


def rail(view: RunView, now: float) -> list[Line]:
    """Return the five lines."""
    return [_line(view, step, now) for step in view.steps]


def _line(view: RunView, step: Step, now: float) -> Line:
    elapsed = step.elapsed(now)
    text, aside = _TEXTS[step.node](view, step)
    return Line(
        node=step.node,
        state=step.state,
        mark=MARKS[step.state],
        name=step.node.value.capitalize(),
        time="" if elapsed is None or step.node is Node.REVIEW else figures.seconds(elapsed),
        text=text,
        aside=aside,
    )


def _architect(view: RunView, step: Step) -> tuple[str, str]:
    if view.awaits is Action.ANSWER:
        return f"asks you: {view.question}", ""
    if view.plan is not None:
        return f"{view.plan.intent.value}: {view.plan.goal}", ""
    return _said(step), _rate(step)


def _explorer(view: RunView, step: Step) -> tuple[str, str]:
    if view.map is None:
        return _said(step), _rate(step)
    files = {place.split(" · ")[0].split(" (")[0] for place in (*view.map.targets, *view.map.excerpts)}
    known = f" of {figures.count(view.indexed)}" if view.indexed else ""
    parts = [
        f"{len(files)}{known} files",
        figures.counted(len(view.map.targets), "target"),
        f"{figures.count(view.map.tokens)} tok",
    ]
    return " · ".join(parts), ""


def _coder(view: RunView, step: Step) -> tuple[str, str]:
    tried = view.candidates[-1] if view.candidates else None
    if step.state is not StepState.ACTIVE:
        used = figures.tokens(step.tokens, step.rate) if step.tokens else ""
        return step.summary, used
    number = f"candidate {tried.number}" if tried else ""
    where = tried.place if tried else step.note or ("writing" if step.text else "weighing the code as it stands")
    return where, " · ".join(part for part in (number, _rate(step)) if part)


def _check(view: RunView, step: Step) -> tuple[str, str]:
    if step.state in (StepState.WAITING, StepState.SKIPPED):
        none = "no check" if view.started is not None else ""
        return view.check or (view.before.command if view.before else none), _before(view)
    if step.state is StepState.ACTIVE:
        return " · ".join(part for part in (view.check or "", step.note) if part) or "running", ""
    verdict = "passed" if step.state is StepState.DONE else "failed"
    said = step.summary or verdict
    return said if verdict in said.lower() else f"{verdict}: {said}", _before(view)


def _before(view: RunView) -> str:
    if view.before is None or view.before.passed is None:
        return ""
    said = view.before.summary or ("passed" if view.before.passed else "failed")
    return f"before: {said}"


def _review(view: RunView, step: Step) -> tuple[str, str]:
    if view.proposal is None or not view.proposal.files:
        return "answered" if _answered(view) else step.summary, ""
    added = sum(file.added for file in view.proposal.files)
    removed = sum(file.removed for file in view.proposal.files)
    size = f"{figures.counted(len(view.proposal.files), 'file')}, +{added} −{removed}"
    return " · ".join(part for part in (step.summary, size) if part), ""


_TEXTS = {
    Node.ARCHITECT: _architect,
    Node.EXPLORER: _explorer,
    Node.CODER: _coder,
    Node.CHECK: _check,
    Node.REVIEW: _review,
}


def _said(step: Step) -> str:
    if step.state is StepState.ACTIVE:
        return step.note or _AT[step.node]
    return step.summary


def _rate(step: Step) -> str:
    return f"{step.rate:.0f} tok/s" if step.state is StepState.ACTIVE and step.rate else ""


# --- the lines above and below the rail ---


def model_line(model: ModelLine) -> str:
    """Return the head's right side: ``qwen2.5-coder-1.5b · window 16k · 1.9 of 24 GB``."""
    parts = [model.name]
    if model.n_ctx:
        parts.append(f"window {figures.window(model.n_ctx)}")
    if model.memory and model.available:
        parts.append(f"{figures.gigabytes(model.memory)} of {figures.gigabytes(model.available)} GB")
    return " · ".join(part for part in parts if part)


@dataclass(frozen=True)
class Status:
    """The line under the rail: what is awaited, and how far it is (0 to 1), if that can be said."""

    text: str
    fraction: float | None = None


def status(view: RunView, now: float) -> Status:
    """Say in one line where the run stands."""
    total = figures.seconds(view.seconds(now))
    if view.at_work:
        return _work(view, now, total)
    ended = "Answered" if _answered(view) else _ENDS.get(view.state or RunState.FAILED, "")
    return Status(f"{ended} · {total}")


def _work(view: RunView, now: float, total: str) -> Status:
    model, coder = view.model, view.step(Node.CODER)
    if view.awaits is not None:
        return Status(f"{_AWAITS[view.awaits]} · {total}")
    if model.loading:
        doing = _PHASES.get(model.phase, model.phase)
        return Status(f"{doing} {model.name} · {figures.percent(model.fraction)} · {total}", model.fraction)
    if coder.state is StepState.ACTIVE and view.budget:
        spent = coder.elapsed(now) or 0.0
        limit = figures.seconds(view.budget).replace(".0 s", " s")
        return Status(f"{figures.seconds(spent)} of ≤ {limit}", min(1.0, spent / view.budget))
    active = [step for step in view.steps if step.state is StepState.ACTIVE]
    if active:
        return Status(f"{active[0].node.value.capitalize()} is at work · {total}")
    if view.state is RunState.QUEUED or view.state is None:
        return Status(f"queued{f': {view.reason}' if view.reason else ''} · {total}")
    return Status(f"{_between(view)} · {total}")


def _between(view: RunView) -> str:
    """Say what is awaited while no step is at work."""
    if view.indexed is None:
        return "reading the workspace"
    if not view.model.n_ctx:
        return "preparing the model"
    over = view.step(Node.CODER).state is StepState.DONE
    return "preparing the proposal" if over else "preparing the staged copy"


def _answered(view: RunView) -> bool:
    return view.proposal is not None and bool(view.proposal.answer) and not view.proposal.files


_AWAITS = {Action.ANSWER: "Waits for your answer", Action.APPROVE: "Waits for you to look at the task"}
_ENDS = {
    RunState.REVIEW: "Waits for your review",
    RunState.ACCEPTED: "Accepted",
    RunState.REJECTED: "Rejected, nothing was written",
    RunState.UNDONE: "Undone, the files are as they were",
    RunState.STOPPED: "Stopped, nothing was written",
    RunState.FAILED: "Failed, nothing was written",
}
