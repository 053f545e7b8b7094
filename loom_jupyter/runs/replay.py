"""A finished run once more: from its recording, without a model; or its map on another model."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loom_jupyter.context.context_map import ContextMap
from loom_jupyter.edits import folder
from loom_jupyter.edits.apply import digest
from loom_jupyter.errors import LoomError, StaleFileError
from loom_jupyter.events import Event
from loom_jupyter.models.protocol import Usage
from loom_jupyter.models.recorded import Line, recorded
from loom_jupyter.pipeline import coder, workflow
from loom_jupyter.pipeline.architect import quotes
from loom_jupyter.pipeline.contracts import Node, Proposal, TaskSpec
from loom_jupyter.pipeline.interfaces import Talk
from loom_jupyter.runs import cell_proposal, files, recording
from loom_jupyter.runs.review import PROPOSAL
from loom_jupyter.runs.run import Run

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index
    from loom_jupyter.runs.runner import AcquireModel
    from loom_jupyter.settings import Settings

LOG = "replay.log"


class ReplayError(LoomError):
    """A run cannot be replayed; the message says why and what to do."""


@dataclass(frozen=True)
class Replay:
    """What a replay came to.

    Attributes
    ----------
    model
        The other model's name; empty if the run's own replies were replayed.
    recorded, replayed
        Unified diffs by path: of the run, and of its replay.
    same
        Whether both proposals are the same, byte for byte. On another model: whether the diffs are.
    passed
        What the check said of the replay's proposal.
    calls
        Model calls and trials that were answered from the recording.
    """

    run_id: str
    model: str
    recorded: Mapping[str, str]
    replayed: Mapping[str, str]
    same: bool
    passed: bool | None
    calls: int
    summary: str
    answer: str = ""

    @property
    def diff(self) -> str:
        """The unified diff of the replay."""
        return "".join(self.replayed.values())


def replay(run: Run) -> Replay:
    """Take a run through the nodes again, with the replies and trials that it recorded; nothing is executed.

    Raises
    ------
    ReplayError
        If the run holds no whole recording, or made no proposal.
    NotRecordedError
        If today's code asks for something else than the code that recorded.
    """
    lines = _recording(run)
    unanswered = run.request.model_copy(update={"answer": ""}).words  # the answer is in the recording
    proposal = again(unanswered, lines, budget=run.request.budget, ask=run.request.ask)
    was = files.read(run.folder / PROPOSAL)
    same = files.json_bytes(proposal, indent=1) == was
    diffs = run.proposal.diffs if run.proposal is not None else {}
    return Replay(
        run.id,
        "",
        diffs,
        diffs if same else _diffs(run, proposal),
        same,
        proposal.passed,
        sum(line["call"] in ("chat", "score", "branch", "trial") for line in lines),
        proposal.summary,
        proposal.answer,
    )


def again(task: str, lines: list[Line], *, budget: float, ask: bool, in_order: bool = False) -> Proposal:
    """Return what the pipeline proposes when everything it is told comes from a recording."""
    return workflow.run(
        task,
        recorded(lines, in_order=in_order),
        recording.ReplayedDesk(lines, in_order),
        NullObserver(),
        budget=budget,
        ask=ask,
        user_input=recording.ReplayedUserInput(lines, in_order),
        clock=recording.replayed_clock(lines),
    )


def replay_on(
    model: str, run: Run, index: Index, settings: Settings, acquire: AcquireModel, cancel: threading.Event
) -> Replay:
    """Give another model the map of a run: the same units, excerpts, check and budget.

    Nothing is written into the workspace, and the run's log stays as it is.

    Raises
    ------
    ReplayError
        If a file of the map is no longer what the run read.
    """
    from loom_jupyter.checks.checker import Checker
    from loom_jupyter.edits.staging import StagedCopy
    from loom_jupyter.runs.auto_check import resolve_check
    from loom_jupyter.runs.cell_environment import environment_of

    mapped = next((line for line in reversed(_recording(run)) if line["call"] == "map"), None)
    if mapped is None:
        raise ReplayError(f"Run {run.id} found no place to work on, so there is no map to replay; run it again.")
    context_map, spec = ContextMap.model_validate(mapped["reply"]), TaskSpec.model_validate(mapped["spec"])
    _require_unchanged(run, context_map)
    request = run.request
    with ExitStack() as parts:
        lent = parts.enter_context(acquire(model, _quiet, cancel, run.folder / LOG))
        staged = parts.enter_context(StagedCopy(Path(request.root), cancel=cancel))
        checker = None
        quote = partial(quotes, Talk(lent, Node.ARCHITECT, request.words, NullObserver(), cancel))
        check = resolve_check(request, index, staged, _silent, settings, cancel, quote)
        if check is not None:
            checker = Checker(
                check.command,
                staged,
                timeout=settings.check_timeout,
                network=settings.network,
                cancel=cancel,
                known=check.before,
            )
            parts.enter_context(checker)
            checker.before()
        environment = environment_of(SilentRun(run.folder, request), index, lent, staged, checker)
        talk = Talk(lent, Node.CODER, request.words, NullObserver(), cancel)
        proposal = coder.write(talk, spec, context_map, environment, request.budget)
        name = lent.info.name
    diffs = _diffs(run, proposal)
    was = run.proposal.diffs if run.proposal is not None else {}
    same = diffs == was and not proposal.answer
    return Replay(run.id, name, was, diffs, same, proposal.passed, 0, proposal.summary, proposal.answer)


def _recording(run: Run) -> list[Line]:
    lines = recording.read(run.folder)
    if not lines:
        raise ReplayError(
            f"Run {run.id} holds no recording: an older Loom made it, or it ended before the model was asked. "
            "Run the task again to get one."
        )
    if lines[-1]["call"] == recording.FULL:
        size = recording.MAX_BYTES // 1024**2
        raise ReplayError(f"The recording of run {run.id} was cut off at {size} MiB; run the task again.")
    if not (run.folder / PROPOSAL).exists():
        raise ReplayError(f"Run {run.id} is {run.state.value} and proposed nothing: there is nothing to reach.")
    return lines


def _require_unchanged(run: Run, context_map: ContextMap) -> None:
    for target in context_map.targets:
        now = folder.read(cell_proposal.base(run), target.path)
        if (None if now is None else digest(now.data)) != target.sha256:
            raise ReplayError(
                f"{target.path} is no longer what run {run.id} read; undo the run or restore the file, "
                "then replay it on another model."
            )


def _diffs(run: Run, proposal: Proposal) -> dict[str, str]:
    try:
        return {file.path: file.diff for file in cell_proposal.files(run, proposal.rewrites)}
    except StaleFileError as error:
        raise ReplayError(
            f"The replay of run {run.id} came to another proposal than the run, which cannot be shown because "
            f"{error.path} has changed since; undo the run or restore the file and replay again."
        ) from error


def _silent(_text: str) -> None:
    pass


def _quiet(_phase: str, _fraction: float) -> None:
    pass


class SilentRun(Run):
    """A run's request for those who ask for it; what they tell is not added to its log."""

    def emit(self, event: Event) -> None:
        """Leave the log as it is."""


class NullObserver:
    """An observer who hears nothing."""

    def started(self, node: Node, note: str = "") -> None:
        """Ignore it."""

    def text(self, node: Node, piece: str) -> None:
        """Ignore it."""

    def usage(self, node: Node, usage: Usage) -> None:
        """Ignore it."""

    def repaired(self, node: Node, note: str) -> None:
        """Ignore it."""

    def finished(self, node: Node, summary: str, data: dict[str, Any]) -> None:
        """Ignore it."""

    def planned(self, spec: TaskSpec) -> None:
        """Ignore it."""

    def candidate(
        self, number: int, limit: int, place: str, kind: str, verdict: str, reason: str, seconds: float
    ) -> None:
        """Ignore it."""
