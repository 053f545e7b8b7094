"""What is asked of a run, carried out by the process that owns it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loom_jupyter.errors import LoomError
from loom_jupyter.events import Action, Control, ControlHandled, Noticed, RunState, StateChanged
from loom_jupyter.runs import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loom_jupyter.context.context_map import Rewrite
    from loom_jupyter.runs.run import Run


MAP, PROPOSAL = "map.json", "proposal.json"
"""What a run may change and what it read; what it proposes."""
SUBJECT = 72
"""Most characters of a commit's first line."""


class RunError(LoomError):
    """What was asked of a run cannot be done in its state; the message says what can."""


class StaleRunError(RunError):
    """Files changed since they were read; `mergeable` says whether the changes fit on top of them."""

    def __init__(self, text: str, mergeable: bool) -> None:
        super().__init__(text)
        self.mergeable = mergeable


def carry_out(run: Run, control: Control) -> ControlHandled:
    """Do what a control line asks and return the answer that goes into the log."""
    try:
        if control.action is Action.STOP:
            _stop(run)
        elif control.action is Action.ACCEPT:
            accept(run, control.paths, control.hunks, merged=control.merged)
        elif control.action is Action.REJECT:
            _reject(run)
        elif control.action is Action.UNDO:
            _undo(run, control.paths)
        else:
            _tell(run, control)
    except LoomError as error:
        fits = isinstance(error, StaleRunError) and error.mergeable
        return ControlHandled(id=control.id, action=control.action, ok=False, reason=str(error), mergeable=fits)
    except OSError as error:
        said = f"the system refused a file ({error.strerror or error}); free space or correct its permissions."
        return ControlHandled(id=control.id, action=control.action, ok=False, reason=said)
    return ControlHandled(id=control.id, action=control.action, ok=True)


def accept(
    run: Run,
    paths: list[str] | None = None,
    hunks: dict[str, list[int]] | None = None,
    *,
    merged: bool = False,
) -> None:
    """Write the proposal, journalled, if every file still is what the map recorded.

    With `merged`, also on top of files that changed since, where the changes do not touch.
    """
    from loom_jupyter.edits.accept import accept as write
    from loom_jupyter.errors import StaleFileError
    from loom_jupyter.runs import conflict_report

    proposal = run.proposal
    if run.request.cell:
        _accept_cell(run, paths, hunks)
        return
    # With --apply a run is accepted while it is still running.
    if proposal is None or run.state not in (RunState.REVIEW, RunState.RUNNING):
        raise RunError(_cannot(run, "accept"))
    rewrites = run.stored_proposal().rewrites
    _require_mapped(run, rewrites)
    known = {rewrite.target.path for rewrite in rewrites}
    if unknown := sorted({*(paths or ()), *(hunks or ())} - known):
        raise RunError(f"{unknown[0]} is not in the proposal; it holds {', '.join(sorted(known))}.")
    if paths is None and (missing := sorted(set(run.digests) - known)):
        raise RunError(f"{missing[0]} was shown and is gone from run {run.id}'s files; run the task again.")
    chosen = [r for r in rewrites if paths is None or r.target.path in paths]
    if not chosen:
        raise RunError("the proposal changes no file; there is nothing to accept.")
    root = Path(run.request.root)
    try:
        changes = conflict_report.changes(run.folder, root, chosen, hunks or {}, run.digests, merged=merged)
        own = _own_changes(run, [change.path for change in changes])
        written = write(changes, run.folder / "journal", root)
    except StaleFileError as error:
        said = conflict_report.conflict_report(run.folder, root, chosen, error)
        raise StaleRunError(said.text, said.mergeable) from error
    if run.request.commit:
        run.emit(Noticed(text=_committed(run, written, own)))
    run.emit(StateChanged(state=RunState.ACCEPTED, reason=", ".join(sorted({r.target.path for r in chosen}))))


def _require_mapped(run: Run, rewrites: Sequence[Rewrite]) -> None:
    """Refuse what is no target of the run's map, whatever a reply or a file said; the last look before writing."""
    from loom_jupyter.context.context_map import ContextMap

    try:
        made = ContextMap.model_validate_json(files.read(run.folder / MAP))
    except (OSError, ValueError) as error:
        raise RunError(f"the map of run {run.id} cannot be read; run the task again.") from error
    strange = [rewrite.target.path for rewrite in rewrites if rewrite.target not in made.targets]
    if strange:
        raise RunError(f"the map of run {run.id} does not let {strange[0]} be changed so; run the task again.")


def _accept_cell(run: Run, paths: list[str] | None, hunks: dict[str, list[int]] | None) -> None:
    """Take a proposed cell; the front end puts it into the notebook."""
    from loom_jupyter.runs import cell_proposal

    proposal = run.proposal
    if proposal is None or proposal.cell is None or run.state not in (RunState.REVIEW, RunState.RUNNING):
        raise RunError(_cannot(run, "accept"))
    if hunks or (paths is not None and set(paths) != set(proposal.diffs)):
        raise RunError("a cell is accepted as a whole; name no file and no part of it.")
    derived = cell_proposal.digests(run, run.stored_proposal().rewrites)
    if not derived or derived != run.digests or cell_proposal.cell_digest(proposal.cell) not in derived.values():
        raise RunError(f"the cell is not what was shown, because the files of run {run.id} changed; run it again.")
    run.emit(Noticed(text="`%loom cell` puts the accepted cell below the cell in which you type it."))
    run.emit(StateChanged(state=RunState.ACCEPTED, reason=", ".join(proposal.diffs)))


def _own_changes(run: Run, paths: list[str]) -> list[str]:
    """Return the files that hold uncommitted work of the user's, which a commit would take along."""
    from loom_jupyter.edits.commit import uncommitted
    from loom_jupyter.errors import EditError

    if not run.request.commit:
        return []
    try:
        return uncommitted(Path(run.request.root), paths)
    except EditError:  # the commit will say it; the edit must not depend on git
        return []


def _committed(run: Run, paths: list[str], own: list[str]) -> str:
    """Commit what was written, and say so; whatever git refuses, the edit stays."""
    from loom_jupyter.edits.commit import commit
    from loom_jupyter.errors import EditError

    if not paths:
        return "Nothing was written, so nothing was committed."
    if own:
        return (
            f"Nothing was committed: {own[0]} held changes of your own already, which the commit would have taken "
            "along; the edit is written, commit it yourself."
        )
    try:
        made = commit(Path(run.request.root), paths, commit_message(run))
    except EditError as error:
        return f"The edit is written, but {error}"
    return f"Committed as {made}; undo restores the files and leaves the commit."


def commit_message(run: Run) -> str:
    """Return the message of a run's commit: the user's words, and what the check said."""
    words = " ".join(run.task.split())
    subject = words if len(words) <= SUBJECT else words[: SUBJECT - 1].rsplit(" ", 1)[0] + "…"
    check, proposal = run.request.check, run.proposal
    passed = proposal.passed if proposal is not None else False
    said = {True: "Check passed", False: "Check did not pass", None: "Check passed before and passes now"}[passed]
    body = [run.task.strip()] if subject != words else []
    body.append(f"{said}: {check}" if check else "Unchecked.")
    return "\n\n".join([subject, *body, f"Loom-run: {run.id}"]) + "\n"


def interrupted(folder: Path) -> bool:
    """Whether a run's journal says that writing was cut off in the middle, or cannot say."""
    from loom_jupyter.edits.journal import JournalState, state
    from loom_jupyter.errors import EditError

    try:
        return state(folder / "journal") in (JournalState.ACCEPTING, JournalState.UNDOING)
    except EditError:  # `settle` tells it
        return True


def recover(run: Run) -> None:
    """Finish or take back what a crash interrupted, and let the log say what the journal says."""
    from loom_jupyter.edits.accept import recover
    from loom_jupyter.edits.journal import JournalState, state
    from loom_jupyter.errors import EditError

    journal = run.folder / "journal"
    try:
        done = recover(journal, Path(run.request.root))
        stands = state(journal)
    except EditError as error:  # no reason for this run, or another, not to go on
        done, stands = f"What run {run.id} wrote cannot be looked after: {error}", None
    said = [event.text for event in run.events() if isinstance(event, Noticed)]
    if done is not None and said[-1:] != [done]:
        run.emit(Noticed(text=done))
    if stands is JournalState.ACCEPTED and run.state in (RunState.REVIEW, RunState.RUNNING):
        run.emit(StateChanged(state=RunState.ACCEPTED, reason="written before the process ended"))
    elif stands is JournalState.UNDONE and run.state is RunState.ACCEPTED:
        run.emit(StateChanged(state=RunState.UNDONE, reason="taken back before the process ended"))


def _stop(run: Run) -> None:
    if run.state.at_work:
        run.cancel.set()
    elif run.state is RunState.REVIEW:
        _reject(run)


def _reject(run: Run) -> None:

    if run.state is not RunState.REVIEW:
        raise RunError(_cannot(run, "reject"))
    run.emit(StateChanged(state=RunState.REJECTED))


def _tell(run: Run, control: Control) -> None:
    """Hand the user's word to a run that waits for it."""
    if run.user_input is None or not run.user_input.take(control):
        raise RunError(_cannot(run, control.action.value))


def _undo(run: Run, paths: list[str] | None) -> None:
    """Restore what accepting replaced; a run of which a part is left stays accepted."""
    from loom_jupyter.edits.accept import undo
    from loom_jupyter.edits.journal import JournalState, state

    if run.state is not RunState.ACCEPTED:
        raise RunError(_cannot(run, "undo"))
    if run.request.cell:
        raise RunError("Cell changes are undone in the notebook.")
    journal = run.folder / "journal"
    done = undo(journal, Path(run.request.root), paths)
    if done.left:
        run.emit(Noticed(text=f"{', '.join(done.left)} changed during the undo and stayed as found."))
    if state(journal) is JournalState.UNDONE:
        run.emit(StateChanged(state=RunState.UNDONE))
    else:
        run.emit(Noticed(text=f"Undone in {', '.join(done.restored + done.removed)}; the rest stays accepted."))


_NEXT = {
    RunState.QUEUED: "wait for it, or stop it",
    RunState.RUNNING: "wait for it, or stop it",
    RunState.WAITING: "look what it waits for, or stop it",
    RunState.REVIEW: "accept or reject it first",
    RunState.ACCEPTED: "it can only be undone",
}


def _cannot(run: Run, command: str) -> str:
    advice = _NEXT.get(run.state, "run the task again")
    return f"run {run.id} is {run.state.value}, there is nothing to {command}: {advice}."
