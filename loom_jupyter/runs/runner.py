"""The background runner: one thread a run, one run at a time."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from loom_jupyter.errors import Cancelled, LoomError
from loom_jupyter.events import (
    CandidateTried,
    Failed,
    Indexed,
    ModelLoading,
    ModelReady,
    NodeFinished,
    NodeRepaired,
    NodeStarted,
    NodeText,
    NodeUsage,
    Noticed,
    ProposalMade,
    RunState,
    StateChanged,
    TaskPlanned,
)
from loom_jupyter.models.protocol import Model, Usage
from loom_jupyter.pipeline import workflow
from loom_jupyter.pipeline.architect import quotes
from loom_jupyter.pipeline.contracts import Intent, Node, Proposal, TaskSpec
from loom_jupyter.pipeline.interfaces import Talk
from loom_jupyter.runs import conflict_report, files, watch
from loom_jupyter.runs.log import LogError
from loom_jupyter.runs.recording import Recording
from loom_jupyter.runs.review import PROPOSAL, accept
from loom_jupyter.runs.run import STOPPED, Run
from loom_jupyter.runs.store import prune
from loom_jupyter.runs.user_input import RunUserInput, names_nothing

if TYPE_CHECKING:
    from loom_jupyter.checks.checker import Checker
    from loom_jupyter.context.index import Index
    from loom_jupyter.edits.apply import FileChange
    from loom_jupyter.settings import Settings

Progress = Callable[[str, float], None]
_logger = logging.getLogger(__name__)


class AcquireModel(Protocol):
    """Lend the process's model for one run."""

    def __call__(
        self, name: str | None, on_progress: Progress, cancel: threading.Event, log: Path, /
    ) -> AbstractContextManager[Model]:
        """Load `name` if it is not loaded yet."""
        ...


class _Turns:
    """Runs of this process wait here for each other, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[Run] = deque()
        self._moved = threading.Condition()

    def enter(self, run: Run) -> None:
        told = ""
        with self._moved:
            self._waiting.append(run)
            while (first := self._first(run)) is not run:
                if run.cancel.is_set():
                    self._waiting.remove(run)
                    raise Cancelled
                if first.state is RunState.WAITING and told != first.id:
                    told = first.id
                    run.emit(
                        StateChanged(state=RunState.QUEUED, reason=f"run {told} is waiting for your approval")
                    )
                self._moved.wait(0.1)

    def _first(self, run: Run) -> Run:
        """Whose turn it is; a run that was stopped while it hung has had its turn."""
        while self._waiting[0].abandoned and self._waiting[0] is not run:
            self._waiting.popleft()
        return self._waiting[0]

    def leave(self, run: Run) -> None:
        with self._moved:
            if run in self._waiting:
                self._waiting.remove(run)
            self._moved.notify_all()


_turns = _Turns()


OpenIndex = Callable[[], "Index"]


def start(run: Run, open_index: OpenIndex, settings: Settings, acquire: AcquireModel) -> None:
    """Begin to work on `run` in a thread of its own; returns at once, before the index is opened."""
    run.working = True
    watch.watch(run)
    thread = threading.Thread(
        target=_guarded, args=(run, open_index, settings, acquire), name=f"loom-{run.id}", daemon=True
    )
    thread.start()


def _guarded(run: Run, open_index: OpenIndex, settings: Settings, acquire: AcquireModel) -> None:
    """Whatever happens, the run ends in a state that says so, and the next one gets its turn."""
    try:
        _prune(run)
        _turns.enter(run)
        run.emit(StateChanged(state=RunState.RUNNING))
        _log_request(run)
        _work(run, open_index(), settings, acquire)
    except Cancelled:
        _stopped(run)
    except LoomError as error:
        _logger.info("run %s cannot go on: %s", run.id, type(error).__name__)
        _fail(run, str(error))
    except OSError as error:
        said = f"{error.strerror or error}: {error.filename}" if error.filename else error.strerror or error
        _fail(run, f"The system refused a file ({said}); free space or correct its permissions, then run again.")
    except Exception as error:  # noqa: BLE001 - a defect must end this run only, and be told
        _logger.error("run %s failed by a defect: %s", run.id, _where(error))
        _fail(run, f"Loom itself failed ({type(error).__name__}: {error}); please report it with {run.folder}.")
    finally:
        _logger.info("run %s ended its work: %s", run.id, run.state.value)
        _turns.leave(run)
        run.working = False
        if run.state is not RunState.REVIEW:
            run.release()


def _log_request(run: Run) -> None:
    """Log what a run was asked for, without its words."""
    asked = run.request
    flags = [name for name in ("apply", "ask", "commit", "plan", "cell") if getattr(asked, name)]
    _logger.info(
        "run %s begins: %s, check %s, budget %.0f s, %d tagged",
        run.id,
        ", ".join(flags) or "no flags",
        "given" if asked.check else "none",
        asked.budget,
        len(asked.tagged),
    )


def _where(error: BaseException) -> str:
    """Name an exception and the places that it passed; its message may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    return f"{type(error).__name__} at {' < '.join(reversed(places))}"


def _prune(run: Run) -> None:
    try:
        prune(run.folder.parent, run.id)
    except OSError as error:  # old runs stay; that keeps no new one from its work
        _logger.warning("old runs cannot be deleted (%s)", error.strerror or type(error).__name__)


def _stopped(run: Run) -> None:
    if not run.state.at_work:  # it hung and was given up
        return
    try:
        run.emit(StateChanged(state=RunState.STOPPED, reason=STOPPED))
    except LogError as error:
        run.lose(str(error))


def _fail(run: Run, text: str) -> None:
    if run.cancel.is_set():  # what goes wrong because a run is stopped is not a failure
        _stopped(run)
        return
    try:
        run.emit(Failed(text=text))
        run.emit(StateChanged(state=RunState.FAILED, reason=text))
    except LogError as error:
        run.lose(str(error))


def _work(run: Run, index: Index, settings: Settings, acquire: AcquireModel) -> None:
    from loom_jupyter.checks.checker import Checker
    from loom_jupyter.checks.command import not_isolated
    from loom_jupyter.edits.staging import StagedCopy
    from loom_jupyter.runs.auto_check import resolve_check
    from loom_jupyter.runs.cell_environment import environment_of

    report = index.refresh(run.cancel)
    run.emit(Indexed(files=report.files, changed=report.changed, removed=report.removed, seconds=report.seconds))
    for notice in report.notices:
        run.emit(Noticed(text=notice))
    if report.files == 0:
        raise LoomError(f"{run.request.root} holds no file that Loom can read; open a folder with source files.")
    run.user_input = RunUserInput(run, unclear=names_nothing(run.request, index))
    asked = time.monotonic()
    with acquire(run.request.model, _loading(run), run.cancel, run.folder / "model.log") as model:
        _ready(run, model, time.monotonic() - asked)
        with ExitStack() as parts:
            staged = parts.enter_context(StagedCopy(Path(run.request.root), cancel=run.cancel))
            checker = None
            if run.request.check is not None and (loose := not_isolated()):
                run.emit(Noticed(text=loose, chip="not isolated", command="%loom doctor"))
            check = resolve_check(
                run.request,
                index,
                staged,
                partial(_notice, run),
                settings,
                run.cancel,
                partial(quotes, Talk(model, Node.ARCHITECT, run.request.words, RunObserver(run), run.cancel)),
            )
            if check is not None:
                checker = Checker(
                    check.command,
                    staged,
                    timeout=settings.check_timeout,
                    network=settings.network,
                    cancel=run.cancel,
                    known=check.before,
                )
                parts.enter_context(checker)
            environment = environment_of(run, index, model, staged, checker)
            environment.expands = settings.expand
            environment.check_before()
            kept = parts.enter_context(Recording(run.folder, lambda text: run.emit(Noticed(text=text))))
            proposal = workflow.run(
                run.request.words,
                kept.model(model),
                kept.environment(environment),
                RunObserver(run),
                budget=run.request.budget,
                ask=run.request.ask,
                user_input=kept.user_input(run.user_input),
                cancel=run.cancel,
                clock=kept.clock,
            )
            _propose(run, proposal, checker)


def _notice(run: Run, text: str) -> None:
    run.emit(Noticed(text=text))


def _loading(run: Run) -> Progress:
    """Pass loading progress on, a hundred events a phase at most."""
    last: dict[str, int] = {}

    def tell(phase: str, fraction: float) -> None:
        step = int(fraction * 100)
        if last.get(phase) != step:
            last[phase] = step
            run.emit(
                ModelLoading.model_validate(
                    {"name": run.request.model or "", "phase": phase, "fraction": min(1.0, max(0.0, fraction))}
                )
            )

    return tell


def _ready(run: Run, model: Model, seconds: float) -> None:
    info = model.info
    run.emit(
        ModelReady(
            name=info.name,
            n_ctx=info.n_ctx,
            device=info.device,
            memory=info.memory,
            available=info.available,
            seconds=round(seconds, 3),
        )
    )


def _propose(run: Run, proposal: Proposal, checker: Checker | None = None) -> None:
    """Put the proposal up for review, or accept it where that was asked and a check that it left alone agrees."""
    from loom_jupyter.runs import cell_proposal

    files.store(run.folder / PROPOSAL, proposal)
    changes = cell_proposal.changes(run, proposal.rewrites)
    conflict_report.keep(run.folder, changes)
    shown = cell_proposal.files(run, proposal.rewrites)
    run.emit(
        ProposalMade(
            summary=proposal.summary,
            files=shown,
            passed=proposal.passed,
            answer=proposal.answer,
            cell=cell_proposal.proposed_cell(run, proposal.rewrites),
            digests=cell_proposal.digests(run, proposal.rewrites),
        )
    )
    if proposal.answer:
        run.emit(StateChanged(state=RunState.ACCEPTED, reason="answered"))
    elif not shown:
        raise LoomError(f"Nothing usable was written: {proposal.summary}; say more exactly what to change.")
    elif run.request.apply and proposal.passed is not False and not _needs_review(run, changes, checker):
        with run.undisturbed():
            accept(run)
    else:
        run.emit(NodeStarted(node=Node.REVIEW))
        run.emit(StateChanged(state=RunState.REVIEW))


def _needs_review(run: Run, changes: Sequence[FileChange], checker: Checker | None) -> bool:
    """Whether the check's verdict is not that of the tests as the workspace holds them; says why."""
    if checker is None:
        return False
    judging = next((change.path for change in changes if checker.judges.refusal(change, asked=False)), None)
    if judging is not None:
        _notice(
            run,
            f"The proposal changes {judging}, which the check judges by, so its own verdict is not enough: "
            "look at the diff, then accept or reject it.",
        )
    elif (outdated := checker.outdated()) is not None:
        _notice(
            run,
            f"{outdated} has changed since the check ran, so nothing was applied: run the task again, or look at "
            "the diff and accept it.",
        )
        judging = outdated
    return judging is not None


class RunObserver:
    """Turns what the nodes tell into events."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._since: dict[Node, float] = {}

    def started(self, node: Node, note: str = "") -> None:
        """A node begins."""
        self._since[node] = time.monotonic()
        self._run.emit(NodeStarted(node=node, note=note))

    def text(self, node: Node, piece: str) -> None:
        """A piece of a reply."""
        self._run.emit(NodeText(node=node, text=piece))

    def usage(self, node: Node, usage: Usage) -> None:
        """Tokens of one call."""
        self._run.emit(
            NodeUsage(
                node=node,
                prompt_tokens=usage.prompt_tokens,
                reused_tokens=usage.reused_tokens,
                completion_tokens=usage.completion_tokens,
                prefill_seconds=usage.prefill_seconds,
                decode_seconds=usage.decode_seconds,
            )
        )

    def repaired(self, node: Node, note: str) -> None:
        """A reply was repaired, retried or replaced."""
        _logger.info("run %s: a reply of %s was repaired", self._run.id, node.value)
        self._run.emit(NodeRepaired(node=node, note=note))

    def finished(self, node: Node, summary: str, data: dict[str, Any]) -> None:
        """A node is done."""
        seconds = time.monotonic() - self._since.get(node, time.monotonic())
        _logger.info("run %s: %s finished in %.1f s", self._run.id, node.value, seconds)
        self._run.emit(NodeFinished(node=node, summary=summary, seconds=round(seconds, 3), data=data))

    def planned(self, spec: TaskSpec) -> None:
        """The Architect's task."""
        self._run.emit(
            TaskPlanned(
                intent=Intent(spec.intent),
                goal=spec.goal,
                acceptance=list(spec.acceptance),
                terms=list(spec.terms),
            )
        )

    def candidate(
        self, number: int, limit: int, place: str, kind: str, verdict: str, reason: str, seconds: float
    ) -> None:
        """The Coder's search tried one candidate."""
        self._run.emit(
            CandidateTried.model_validate(
                {
                    "number": number,
                    "limit": limit,
                    "place": place,
                    "kind": kind,
                    "verdict": verdict,
                    "reason": reason,
                    "seconds": seconds,
                }
            )
        )
