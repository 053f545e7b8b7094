"""The user, as far as a run waits for one: the Architect's question, and the task before the Explorer begins."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from loom_jupyter.errors import Cancelled
from loom_jupyter.events import (
    Action,
    Control,
    QuestionAnswered,
    QuestionAsked,
    RunState,
    StateChanged,
    TaskPlanned,
)
from loom_jupyter.pipeline.contracts import TaskSpec
from loom_jupyter.runs.files import whole
from loom_jupyter.runs.review import RunError
from loom_jupyter.secrets import masked

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index
    from loom_jupyter.runs.request import Request
    from loom_jupyter.runs.run import Run

LOOK = 0.1
"""Seconds between two looks whether the user stopped a run that waits."""


def names_nothing(request: Request, index: Index) -> bool:
    """Whether deterministic code has nothing to go by: no file, name, error, check or word that the index knows.

    Only then may the Architect ask: small models ask needlessly.
    """
    intent = request.intent
    if request.tagged or request.check or request.ask or intent.is_question or intent.names_error:
        return False
    if request.notebook is not None and (request.notebook.failure or request.notebook.variables):
        return False
    snapshot = index.snapshot
    return not intent.names_code and not any(snapshot.lookup(term).file.size for term in intent.telling)


def edited(task: TaskSpec | None, changes: Mapping[str, Any]) -> TaskSpec | None:
    """Return a task with some of its parts changed; None where there is none.

    Raises
    ------
    RunError
        If a part is nothing that a task can hold.
    """
    if task is None:
        return None
    if unknown := set(changes) - set(TaskSpec.model_fields):
        raise RunError(f"a task has no {min(unknown)}; it has {', '.join(TaskSpec.model_fields)}.")
    try:
        return TaskSpec.model_validate({**task.model_dump(), **whole(dict(changes))})
    except ValidationError as error:
        first = error.errors()[0]
        raise RunError(f"{first['loc'][0]} of the task: {first['msg']}; say it more briefly.") from error


class RunUserInput:
    """Asks the user of one run and waits. Implements :class:`loom_jupyter.pipeline.interfaces.UserInput`.

    Parameters
    ----------
    unclear
        Whether the request names nothing (`names_nothing`).
    """

    def __init__(self, run: Run, *, unclear: bool) -> None:
        self._run = run
        self._given: queue.SimpleQueue[Control] = queue.SimpleQueue()
        self._awaited: Action | None = None
        self.may_be_asked = unclear and run.request.questions

    def answer(self, question: str) -> str:
        """Ask, and return what the user says.

        Raises
        ------
        Cancelled
            If the user stopped the run instead.
        """
        self._run.emit(QuestionAsked(text=question))
        text = masked(self._await(Action.ANSWER, "asks you").text.strip())
        self._run.keep(self._run.request.model_copy(update={"answer": text}))
        return text

    def approve(self, spec: TaskSpec) -> TaskSpec:
        """Show the task and return it as the user wants it; at once where that was not asked for.

        Raises
        ------
        Cancelled
            If the user stopped the run instead.
        """
        if not self._run.request.plan:
            return spec
        wanted = self._await(Action.APPROVE, "shows you the task").task or spec
        if wanted != spec:
            self._run.emit(TaskPlanned.model_validate(wanted.model_dump()))
        return wanted

    def take(self, control: Control) -> bool:
        """Take what the user says; False if the run does not wait for that. Called by whoever watches the run."""
        if self._awaited is not control.action:
            return False
        self._awaited = None
        if control.action is Action.ANSWER:
            self._run.emit(QuestionAnswered(text=masked(control.text.strip())))
        self._run.emit(StateChanged(state=RunState.RUNNING))
        self._given.put(control)
        return True

    def _await(self, action: Action, reason: str) -> Control:
        self._awaited = action
        self._run.emit(StateChanged(state=RunState.WAITING, reason=reason))
        while True:
            if self._run.cancel.is_set():
                self._awaited = None
                raise Cancelled
            try:
                return self._given.get(timeout=LOOK)
            except queue.Empty:
                continue
