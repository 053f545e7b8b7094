"""One run: its folder, its events, and what a person can ask of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from loom_jupyter.pipeline.contracts import Proposal, TaskSpec
from loom_jupyter.runs import control, files, watch
from loom_jupyter.runs.events import (
    Action,
    ControlHandled,
    Event,
    Failed,
    Noticed,
    ProposalMade,
    QuestionAnswered,
    QuestionAsked,
    RunState,
    StateChanged,
    TaskPlanned,
)
from loom_jupyter.runs.evidence import LEDGER
from loom_jupyter.runs.log import PROGRESS, EventLog, read_events
from loom_jupyter.runs.request import RUN, Request, ReviewedProposal
from loom_jupyter.runs.review import PROPOSAL, RunError, carry_out, settle

if TYPE_CHECKING:
    from loom_jupyter.context.ledger import Ledger
    from loom_jupyter.runs.person import RunPerson

ANSWER_SECONDS = 10.0


def _last_state(events: list[Event]) -> RunState:
    return next((e.state for e in reversed(events) if isinstance(e, StateChanged)), RunState.QUEUED)


class Run:
    """A handle on a run, in the process that works on it or in any other.

    At most one process owns a run: the one that works on it or waits for its review. Another writes into
    ``control.jsonl`` and the owner acts; if the owner has died, the asking process takes its place.
    """

    def __init__(self, folder: Path, request: Request) -> None:
        self.folder = folder
        self.request = request
        self.id = request.id
        self.cancel = threading.Event()
        self.working = False
        self.person: RunPerson | None = None
        self._changed = threading.Condition(threading.RLock())
        self._events: list[Event] = []
        self._state = RunState.QUEUED
        self._listeners: list[Callable[[Event], None]] = []
        self._owner = FileLock(str(folder / "owner.lock"), thread_local=False)
        self._log: EventLog | None = None
        self._proposed: ProposalMade | None = None
        self._controls: control.ControlReader | None = None

    # --- what it is -------------------------------------------------------------------------------------------

    @property
    def task(self) -> str:
        """The user's words."""
        return self.request.task

    @property
    def state(self) -> RunState:
        """Where the run stands."""
        with self._changed:
            return self._state if self.owned else _last_state(self.events())

    @property
    def error(self) -> str | None:
        """Why the run failed, or None."""
        failures = [e.text for e in self.events() if isinstance(e, Failed)]
        return failures[-1] if failures else None

    @property
    def proposal(self) -> ReviewedProposal | None:
        """What stands for review, or stood; None if nothing was proposed."""
        event = self._shown
        if event is None:
            return None
        return ReviewedProposal(
            summary=event.summary,
            diffs={file.path: file.diff for file in event.files},
            passed=event.passed,
            answer=event.answer,
            cell=event.cell,
        )

    @property
    def digests(self) -> dict[str, str]:
        """The digests of what was shown for review, by path: Accept writes nothing else."""
        return self._shown.digests if self._shown is not None else {}

    @property
    def _shown(self) -> ProposalMade | None:
        """The proposal as this process made it; in another process, as the log tells it."""
        if self._proposed is not None:
            return self._proposed
        return next((e for e in reversed(self.events()) if isinstance(e, ProposalMade)), None)

    @property
    def question(self) -> str | None:
        """What the Architect asks while the run waits for the answer; else None."""
        if self.state is not RunState.WAITING:
            return None
        asked = [e for e in self.events() if isinstance(e, QuestionAsked | QuestionAnswered)]
        return asked[-1].text if asked and isinstance(asked[-1], QuestionAsked) else None

    @property
    def plan(self) -> TaskSpec | None:
        """The task as it stands; None as long as there is none."""
        for event in reversed(self.events()):
            if isinstance(event, TaskPlanned):
                return TaskSpec.model_validate(event.model_dump())
        return None

    @property
    def ledger(self) -> Ledger | None:
        """The Evidence Ledger of this run; None as long as there is none."""
        from loom_jupyter.context.ledger import Ledger

        try:
            return Ledger.from_json(files.read(self.folder / LEDGER).decode())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"the ledger of run {self.id} is damaged; run the task again.") from error

    def events(self) -> list[Event]:
        """Return all events so far."""
        with self._changed:
            return list(self._events) if self.owned else read_events(self.folder / PROGRESS)

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with every event, those already there first; return a function that ends it.

        It is called from the thread that works on the run and must return at once.
        """
        with self._changed:
            for event in self.events():
                listener(event)
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._changed:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return unsubscribe

    def wait(self, timeout: float | None = None) -> bool:
        """Block until nothing is at work any more (review included), or the run waits for the user.

        Returns
        -------
        bool
            True if reached, False if `timeout` seconds passed first.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self.state.at_work and self.state is not RunState.WAITING:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                # A run of another process tells nobody here: look again now and then.
                self._changed.wait(min(left or 1.0, 1.0) if self.owned else min(left or 0.1, 0.1))
        return True

    # --- what can be asked ------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop at once, in any phase. Nothing is written; a stopped run keeps its log."""
        if self.owned:
            self.cancel.set()
        self._ask(Action.STOP)

    def accept(
        self,
        paths: list[str] | None = None,
        hunks: dict[str, list[int]] | None = None,
        *,
        merged: bool = False,
    ) -> None:
        """Write the proposal into the workspace.

        Parameters
        ----------
        paths
            Only these files.
        hunks
            Of these files only these hunks, by their position from 0.
        merged
            Also write into files that changed since, where your changes and the proposal's do not touch.

        Raises
        ------
        LoomError
            If there is nothing to accept, or a file changed since the proposal was made; nothing is written then.
        """
        self._ask(Action.ACCEPT, paths, hunks, merged=merged)

    def reject(self) -> None:
        """Drop the proposal."""
        self._ask(Action.REJECT)

    def undo(self, paths: list[str] | None = None) -> None:
        """Restore the bytes that accepting replaced; the run is undone when all of them are.

        Parameters
        ----------
        paths
            Only these files.

        Raises
        ------
        LoomError
            If the run was not accepted, did not write one of these files, or a file changed since; nothing is
            written then.
        """
        self._ask(Action.UNDO, paths)

    def answer(self, text: str = "") -> None:
        """Answer the Architect's `question`; the run goes on. Without a text it takes its best guess.

        Raises
        ------
        LoomError
            If the run asks nothing.
        """
        self._ask(Action.ANSWER, text=text)

    def approve(self, task: TaskSpec | None = None, **changes: Any) -> None:
        """Let a run that was started with ``plan=True`` go on, with another task if one is given.

        Parameters
        ----------
        task
            `plan` as it should be; None for `plan` itself.
        changes
            Parts of it that change: `goal`, `acceptance`, `terms`, `intent`.

        Raises
        ------
        LoomError
            If the run does not wait for this, or a change is none that a task can hold.
        """
        from loom_jupyter.runs.person import edited

        self._ask(Action.APPROVE, task=edited(task or self.plan, changes) if changes else task)

    def _ask(
        self,
        action: Action,
        paths: list[str] | None = None,
        hunks: dict[str, list[int]] | None = None,
        *,
        merged: bool = False,
        text: str = "",
        task: TaskSpec | None = None,
    ) -> None:
        control_id = control.send(self.folder, action, paths, hunks, merged=merged, text=text, task=task)
        end = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < end:
            self._take()
            if self._answered(control_id):
                return
            time.sleep(0.05)
        raise RunError(f"the process that works on run {self.id} does not answer; end it and ask again.")

    def _take(self) -> None:
        """Look after the run if nobody else does: its owner may let go just after a look into the mailbox."""
        with self._changed:
            if (self.owned or self._adopt()) and self.tend():
                watch.watch(self)

    def tend(self) -> bool:
        """Carry out what is asked; give the run up, and return False, when nothing more can be."""
        with self._changed:
            if not self.owned:
                return False
            self.handle_controls()
            if self.state in watch.WATCHED:
                return True
            if not self.working:
                self.release()
            return False

    def _answered(self, control_id: str) -> bool:
        for event in self.events():
            if isinstance(event, ControlHandled) and event.id == control_id:
                if not event.ok:
                    raise RunError(event.reason)
                return True
        return False

    # --- ownership --------------------------------------------------------------------------------------------

    @property
    def owned(self) -> bool:
        """Whether this handle owns the run."""
        return self._log is not None

    def own(self) -> bool:
        """Become the run's owner; False if another process is."""
        try:
            self._owner.acquire(timeout=0)
        except Timeout:
            return False
        self._log = EventLog(self.folder, self.id)
        self._events = read_events(self.folder / PROGRESS)
        self._state = _last_state(self._events)
        answered = [e.id for e in self._events if isinstance(e, ControlHandled)]
        self._controls = control.ControlReader(self.folder, answered)
        return True

    def _adopt(self) -> bool:
        """Own a run whose process has ended, and finish what that left in the middle."""
        with self._changed:
            if not self.own():
                return False
            settle(self)
            if self.state.at_work:
                self.emit(Failed(text="the process that worked on this run ended; run the task again."))
                self.emit(StateChanged(state=RunState.FAILED, reason="process ended"))
        return True

    def recover(self) -> str | None:
        """Finish or take back what a crash left half written; None if nothing was, or another owns the run."""
        if self.owned or not self._adopt():
            return None
        last = next((e.text for e in reversed(self.events()) if isinstance(e, Noticed)), None)
        self._take()
        return last

    def release(self) -> None:
        """Give the run up; the log stays readable."""
        with self._changed:
            if self._log is not None:
                self._log.close()
            self._log = self._controls = None
            self._events = []
            self._owner.release()
            self._changed.notify_all()

    def emit(self, event: Event) -> None:
        """Write an event into the log and tell the listeners. Only the owner can."""
        with self._changed:
            if self._log is None:
                raise RuntimeError(f"run {self.id} is not owned by this handle")
            self._tell(self._log.emit(event))

    def lose(self, text: str) -> None:
        """Fail a run whose log cannot be written: tell the listeners at least."""
        with self._changed:
            for event in (Failed(text=text), StateChanged(state=RunState.FAILED, reason=text)):
                number = self._events[-1].seq + 1 if self._events else 1
                self._tell(event.model_copy(update={"seq": number, "ts": time.time(), "run": self.id}))

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event, StateChanged):
            self._state = event.state
        elif isinstance(event, ProposalMade):
            self._proposed = event
        self._changed.notify_all()
        for listener in list(self._listeners):
            listener(event)

    # --- controls ---------------------------------------------------------------------------------------------

    def handle_controls(self) -> dict[str, ControlHandled]:
        """Carry out what ``control.jsonl`` newly asks; return the answers by the requests' ids."""
        with self._changed:
            answers = {}
            for request in self._controls.poll() if self._controls else []:
                answers[request.id] = carry_out(self, request)
                self.emit(answers[request.id])
            return answers

    def keep(self, request: Request) -> None:
        """Take `request` for what was asked, here and in ``run.json``."""
        files.store(self.folder / RUN, request)
        self.request = request

    def stored_proposal(self) -> Proposal:
        """Return the proposal as the Coder made it."""
        try:
            return Proposal.model_validate_json(files.read(self.folder / PROPOSAL))
        except (OSError, ValueError) as error:
            raise RunError(f"the proposal of run {self.id} cannot be read; run the task again.") from error
