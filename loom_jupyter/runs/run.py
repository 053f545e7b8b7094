"""One run: its folder, its events, and what a person can ask of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from loom_jupyter.errors import Cancelled, LoomError
from loom_jupyter.events import (
    Action,
    Control,
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
from loom_jupyter.pipeline.contracts import Proposal, TaskSpec
from loom_jupyter.runs import control, files, watch
from loom_jupyter.runs.evidence import LEDGER
from loom_jupyter.runs.log import PROGRESS, EventLog, cleaned, read_events
from loom_jupyter.runs.request import RUN, Request, ReviewedProposal
from loom_jupyter.runs.review import PROPOSAL, RunError, carry_out, recover

if TYPE_CHECKING:
    from loom_jupyter.context.ledger import Ledger
    from loom_jupyter.runs.asking import Asking
    from loom_jupyter.runs.user_input import RunUserInput

PATIENCE = 1.2
"""Seconds that a run which is stopped has to end by itself."""
DIRECT = 40.0
"""Seconds that a call waits until the run is free and did what is asked."""
BUSY = 0.1
"""Seconds that a look at a run waits for what is being done with it."""
STOPPED = "stopped by the user"
_logger = logging.getLogger(__name__)


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
        self.user_input: RunUserInput | None = None
        self._changed = threading.Condition(threading.RLock())
        self._events: list[Event] = []
        self._state = RunState.QUEUED
        self._listeners: list[Callable[[Event], None]] = []
        self._owner = FileLock(str(folder / "owner.lock"), thread_local=False)
        self._log: EventLog | None = None
        self._proposed: ProposalMade | None = None
        self._lost: list[Event] = []
        self._asked: list[Control] = []
        self._stopping: float | None = None
        self._writing = self.abandoned = False
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
            return list(self._events) if self.owned else [*read_events(self.folder / PROGRESS), *self._lost]

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
        working = self.owned and self.state.at_work
        if self.owned:
            self.cancel.set()
        try:
            self._ask(Action.STOP)
        except LoomError:  # its work may have ended, and let go of the run, before it was asked
            if not (working and self.state is RunState.STOPPED):
                raise

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
        from loom_jupyter.runs.user_input import edited

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
        """Have an action carried out: by a call where this process owns the run, by the mailbox otherwise."""
        request = control.requested(action, paths, hunks, merged=merged, text=text, task=task)
        owner = self if self.owned else watch.owner(self.id)
        answer = owner.carry_out(request) if owner is not None else None
        if answer is None:
            self.ask(action, paths=paths, hunks=hunks, merged=merged, text=text, task=task).wait()
        elif not answer.ok:
            raise RunError(answer.reason)

    def carry_out(self, request: Control) -> ControlHandled | None:
        """Carry a request out as the run's owner; None if another process is.

        It happens in a thread: Ctrl+C ends the wait for it, and never the writing in the middle.

        Raises
        ------
        RunError
            If the run is busy with something else for too long; nothing was done then.
        """
        answers: Queue[ControlHandled | Exception | None] = Queue()
        withdrawn = threading.Event()

        def work() -> None:
            with self._changed:
                try:
                    answers.put(self._carry_out(request) if self.owned and not withdrawn.is_set() else None)
                except Exception as error:  # noqa: BLE001 - as in the mailbox: it ends this run, and who asked hears of it
                    told, reason = self._told(request), watch.ended_by(self, error)
                    answers.put(RunError(told or reason))
                if self.owned and not self.working and self.state not in watch.WATCHED:
                    self.release()

        threading.Thread(target=work, name=f"loom-{request.action.value}", daemon=True).start()
        try:
            answer = answers.get(timeout=DIRECT)
        except Empty:
            withdrawn.set()
            raise RunError(
                f"run {self.id} is still busy with something else; look at its state before you ask again."
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, action: Action, **asked: Any) -> Asking:
        """Ask for an action without waiting for the answer; see :func:`loom_jupyter.runs.control.send`."""
        from loom_jupyter.runs.asking import Asking

        return Asking(self, action, **asked)

    def take(self, request_id: str = "") -> None:
        """Look after the run if nobody else does: its owner may let go just after a look into the mailbox.

        Parameters
        ----------
        request_id
            What is asked by whoever calls; of a run without an owner nothing older is carried out.
        """
        with self._changed:
            if (self.owned or self._adopt(request_id)) and watch.tended(self):
                watch.watch(self)

    def process_control(self) -> bool:
        """Carry out what is asked; give the run up, and return False, when nothing more can be."""
        if not self._changed.acquire(timeout=BUSY):  # the other runs are waiting to be looked after
            return True
        try:
            if not self.owned:
                return False
            self.handle_controls()
            self._stop_waiting()
            if self.state in watch.WATCHED:
                return True
            if not self.working:
                self.release()
            return False
        finally:
            self._changed.release()

    def _stop_waiting(self) -> None:
        """Stop a run whose work hangs: its user waits `PATIENCE` seconds, whatever it hangs in."""
        if self._writing or not (self.working and self.cancel.is_set() and self.state.at_work):
            return
        self._stopping = self._stopping or time.monotonic()
        if time.monotonic() - self._stopping > PATIENCE:
            self.emit(StateChanged(state=RunState.STOPPED, reason=STOPPED))
            self.abandoned = True

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
        except (OSError, NotImplementedError) as error:  # the folder is gone, or its system has no locks
            raise RunError(
                f"run {self.id} cannot be locked ({error}); check that {self.folder} exists and can be written."
            ) from error
        try:
            self._log = EventLog(self.folder, self.id)
        except LoomError:
            self._owner.release()
            raise
        self._lost = []
        self._events = read_events(self.folder / PROGRESS)
        self._state = _last_state(self._events)
        answered = [e.id for e in self._events if isinstance(e, ControlHandled)]
        self._controls = control.ControlReader(self.folder, answered)
        return True

    def _adopt(self, request_id: str = "") -> bool:
        """Own a run whose process has ended, and finish what that left in the middle.

        What else was asked of that process is refused: nobody may wait for it any more, and a Reject must not
        carry out an Accept of before. Who does wait asks again.
        """
        with self._changed:
            if not self.own():
                return False
            recover(self)
            for request in self._controls.poll() if self._controls else []:
                if request.id == request_id:
                    self._asked.append(request)
                else:
                    self._drop(request, "the process that was asked has ended")
            if self.state.at_work:
                self.emit(Failed(text="the process that worked on this run ended; run the task again."))
                self.emit(StateChanged(state=RunState.FAILED, reason="process ended"))
        return True

    def recover(self) -> str | None:
        """Finish or take back what a crash left half written; None if nothing was, or another owns the run."""
        if self.owned or not self._adopt():
            return None
        last = next((e.text for e in reversed(self.events()) if isinstance(e, Noticed)), None)
        self.take()
        return last

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Let nobody stop the run in the middle of the block.

        Raises
        ------
        Cancelled
            If it was stopped before.
        """
        with self._changed:
            if self.cancel.is_set():
                raise Cancelled
            self._writing = True
        try:
            yield
        finally:
            self._writing = False

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
        """Write an event into the log and tell the listeners. Only the owner can.

        Raises
        ------
        Cancelled
            If the run was stopped while its work hung: what it still does comes too late.
        """
        told = cleaned(event)  # before the lock: a check may print megabytes
        with self._changed:
            if self.abandoned and not isinstance(event, ControlHandled):
                raise Cancelled
            if self._log is None:
                raise RuntimeError(f"run {self.id} is not owned by this handle")
            self._tell(self._log.write(told))

    def lose(self, text: str) -> None:
        """Fail a run whose log cannot be written: tell the listeners at least."""
        with self._changed:
            text = files.whole(text)
            for event in (Failed(text=text), StateChanged(state=RunState.FAILED, reason=text)):
                number = self._events[-1].seq + 1 if self._events else 1
                told = event.model_copy(update={"seq": number, "ts": time.time(), "run": self.id})
                self._lost.append(told)
                self._tell(told)

    def give_up(self, text: str) -> None:
        """Fail, and let go of, a run that cannot be looked after; never raises."""
        self.cancel.set()
        with self._changed:
            try:
                self.emit(Failed(text=text))
                self.emit(StateChanged(state=RunState.FAILED, reason=text))
            except Exception:  # its log may be what fails
                _logger.exception("run %s failed and its log cannot say so", self.id)
                self.lose(text)
            self.abandoned = self.working
            if not self.working:
                self.release()

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event, StateChanged):
            self._state = event.state
        elif isinstance(event, ProposalMade):
            self._proposed = event
        self._changed.notify_all()
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:  # a front end that fails must not end the run
                _logger.exception("a listener of run %s failed and is no longer told", self.id)
                self._listeners.remove(listener)

    # --- controls ---------------------------------------------------------------------------------------------

    def handle_controls(self) -> dict[str, ControlHandled]:
        """Carry out what ``control.jsonl`` newly asks; return the answers by the requests' ids."""
        with self._changed:
            answers = {}
            fresh = self._controls.poll() if self._controls else []
            requests, self._asked = [*self._asked, *fresh], []
            for request in requests:
                try:
                    begun = control.take(self.folder, request)
                except OSError:  # a full disk must not keep a run from being stopped
                    begun = request.action is Action.STOP
                if begun:
                    answers[request.id] = self._carry_out(request)
                else:
                    answers[request.id] = self._drop(request, "it came too late, or the disk is full")
            return answers

    def _carry_out(self, request: Control) -> ControlHandled:
        try:
            answer = carry_out(self, request)
        except Exception as error:  # a defect: who asked must hear of it before the run ends
            reason = f"Loom itself failed ({type(error).__name__}: {error}); please report it with {self.folder}."
            self.emit(ControlHandled(id=request.id, action=request.action, ok=False, reason=reason))
            raise
        self.emit(answer)
        return answer

    def _told(self, request: Control) -> str:
        """Return why a request was refused, as the log has it; empty if it has nothing."""
        heard = (e for e in self.events() if isinstance(e, ControlHandled) and e.id == request.id)
        return next((e.reason for e in heard), "")

    def _drop(self, request: Control, why: str) -> ControlHandled:
        """Answer a request that is not carried out."""
        reason = f"{request.action.value} was not carried out: {why}; ask again."
        answer = ControlHandled(id=request.id, action=request.action, ok=False, reason=reason, dropped=True)
        self.emit(answer)
        return answer

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
