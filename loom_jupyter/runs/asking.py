"""Asking something of a run, until it is answered: looked at again and again, by a thread or by a server's loop.

A request must not outlive its answer. Whoever asks says how long it waits; when that time is over it withdraws the
request, and a request is either withdrawn or taken by the run's owner, never both. So “nothing was done” is true.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from loom_jupyter.events import Action, ControlHandled
from loom_jupyter.runs import control
from loom_jupyter.runs.log import PROGRESS, LogReader
from loom_jupyter.runs.review import RunError

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run

ANSWER_SECONDS = 10.0
"""How long a request waits for the run's owner."""
WORK_SECONDS = 30.0
"""How much longer for an owner that has begun with it."""
LOOK = 0.05


class Asking:
    """One request to a run.

    Parameters
    ----------
    asked
        As of :func:`loom_jupyter.runs.control.send`.

    Raises
    ------
    ControlError
        If the run cannot be reached.
    """

    def __init__(self, run: Run, action: Action, **asked: Any) -> None:
        self._run, self._action, self._asked = run, action, asked
        self._end = time.monotonic() + ANSWER_SECONDS
        self._taken = False
        self._send()

    def answered(self) -> bool:
        """Look once, and take the owner's place if there is none; True if the request was carried out.

        Raises
        ------
        RunError
            If it was refused, or the owner does not answer.
        """
        self._run.take(self._id)
        for event in self._log.read():
            if isinstance(event, ControlHandled) and event.id == self._id:
                return self._heard(event)
        if time.monotonic() >= self._end:
            self._give_up()
        return False

    def wait(self) -> None:
        """Block until the request was carried out.

        Raises
        ------
        RunError
            If it was refused, or the owner does not answer.
        """
        while not self.answered():
            time.sleep(LOOK)

    def _send(self) -> None:
        progress = self._run.folder / PROGRESS
        self._log = LogReader(progress, progress.stat().st_size if progress.exists() else 0)
        deadline = time.time() + self._end - time.monotonic()
        self._id = control.send(self._run.folder, self._action, deadline=deadline, **self._asked)

    def _heard(self, event: ControlHandled) -> bool:
        if event.dropped and time.monotonic() < self._end:  # who owned the run has gone: ask its next owner
            self._send()
            return False
        if not event.ok:
            raise RunError(event.reason)
        return True

    def _give_up(self) -> None:
        run = self._run.id
        if self._taken:
            raise RunError(f"run {run} is still busy with this; look at its state before you ask again.")
        if control.withdraw(self._run.folder, self._id):
            raise RunError(
                f"the process that works on run {run} does not answer, so nothing was done; end it and ask again."
            )
        self._taken = True
        self._end += WORK_SECONDS
