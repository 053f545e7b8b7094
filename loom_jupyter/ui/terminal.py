"""A run's document in the terminal: live while it works, then the review."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.prompt import Prompt
from rich.text import Text

from loom_jupyter.errors import LoomError
from loom_jupyter.events import Action, ProposedFile, RunState
from loom_jupyter.runs.compose import change, document_of
from loom_jupyter.runs.document import Bar, Change, Document, Step
from loom_jupyter.runs.format import cut, visible
from loom_jupyter.runs.messages import joined
from loom_jupyter.runs.view import StepState
from loom_jupyter.ui import text

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run

FRAME = 0.1
STOP_SECONDS = 10.0
LOG_WIDTH = 200
_STYLES = {
    StepState.WAITING: "dim",
    StepState.ACTIVE: "bold",
    StepState.DONE: "green",
    StepState.FAILED: "red",
    StepState.STOPPED: "yellow",
    StepState.SKIPPED: "dim",
}
_DIFF_STYLES = {"added": "green", "removed": "red", "note": "dim"}


def follow(run: Run, console: Console | None = None) -> RunState:
    """Show what `run` does until it ends or waits for review. Ctrl-C stops it."""
    console = console or _console()
    try:
        _watch(run, console)
        while run.state is RunState.WAITING:
            _ask(run, console)
            _watch(run, console)
    except KeyboardInterrupt:
        run.stop()
        run.wait(STOP_SECONDS)
    document = document_of(run.events())
    console.print(progress(document))
    said = text.result(document)
    if said:
        console.print(Text(said))
    for changed in document.changes:
        console.print(diff(changed))
    evidence = text.evidence(document)
    if evidence:
        console.print(Text(evidence, no_wrap=True, overflow="ellipsis"))
    return run.state


def _ask(run: Run, console: Console) -> None:
    """Ask what the run waits for: one answer, or approval of the task."""
    document = document_of(run.events())
    for line in text.awaited(document)[:-1]:
        console.print(Text(f"  {line}"))
    if document.offers(Action.ANSWER) is not None:
        run.answer(_said(console, "Your answer (empty: its best guess)", ""))
        return
    changes: dict[str, Any] = {}
    for name, was in (("goal", run.plan.goal), ("terms", ", ".join(run.plan.terms))) if run.plan else ():
        said = _said(console, f"{name} (empty: as above)", was)
        if said != was:
            changes[name] = said if name == "goal" else [word.strip() for word in said.split(",") if word.strip()]
    run.approve(**changes)


def _said(console: Console, prompt: str, default: str) -> str:
    """Ask for a line; the default where none is given, or nothing more can be typed."""
    try:
        return Prompt.ask(Text(f"  {prompt}"), console=console, default=default, show_default=False)
    except EOFError:
        return default


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:  # a log has no right edge
        console = Console(highlight=False, width=LOG_WIDTH)
    return console


def _watch(run: Run, console: Console) -> None:
    if not console.is_terminal:  # a log wants no frames
        run.wait()
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not run.wait(FRAME):
            live.update(progress(document_of(run.events())), refresh=True)


def progress(document: Document) -> Group:
    """Return head, steps and bar."""
    head = Text(text.head(document), style="bold")
    return Group(head, *map(_step, document.steps), _bar(document.bar))


def _step(step: Step) -> Text:
    return Text.assemble(
        (f"  {step.mark} {step.name!s:<10}", _STYLES[step.state]),
        (f"{step.time:>7}  ", "dim"),
        cut(joined(step.text), 120),
        (f"   {cut(joined(step.aside), 80)}" if step.aside else "", "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _bar(bar: Bar) -> Text:
    meter = ""
    if bar.fraction is not None:
        done = round(bar.fraction * 20)
        meter = "▓" * done + "░" * (20 - done) + "  "
    return Text(f"  {meter}{joined(bar.text)}", style="dim", no_wrap=True, overflow="ellipsis")


def diff(changed: Change, limit: int | None = text.ROW_LIMIT) -> Text:
    """Return one file's diff with line numbers and colours."""
    out = Text.assemble((f"\n  {changed.name}", "bold"), f"  +{changed.added} −{changed.removed}")
    for kind, number, sign, line in text.diff_rows(changed, limit):
        out.append(f"\n{number:>6} ", "dim")
        out.append(f"{sign} {line}", _DIFF_STYLES.get(kind, ""))
    return out


def review(run: Run, *, yes: bool, held: str = "", console: Console | None = None) -> RunState:
    """Accept, reject or leave what waits for review; ask where somebody can answer.

    Parameters
    ----------
    yes
        Accept without asking, unless the check failed.
    held
        Why `yes` must not accept, though the check did not fail.
    """
    console = console or _console()
    if yes:
        if run.proposal is not None and run.proposal.passed is False:
            held = "the check failed"
        if not held:
            return _act(run, "y", console)
        console.print(Text(f"  Nothing was written, because {held}."))
        console.print(Text("  `jupyter loom diff` shows the changes; `jupyter loom accept` writes them anyway."))
        return run.state
    if not console.is_interactive:
        console.print(Text("  Decide with `jupyter loom accept`, `reject` or `diff`."))
        return run.state
    while True:
        try:
            answer = Prompt.ask(
                Text("  Write these changes? y(es), n(o), d(iff), l(ater)"), console=console, default="l"
            )
        except (EOFError, KeyboardInterrupt):
            answer = "l"
        if answer[:1] in "ynl":
            return _act(run, answer[:1], console)
        for path, unified in (run.proposal.diffs if run.proposal else {}).items():
            file = ProposedFile(path=path, added=0, removed=0, diff=unified)
            console.print(diff(change(file), limit=None))


def _act(run: Run, answer: str, console: Console) -> RunState:
    try:
        if answer == "y":
            run.accept()
        elif answer == "n":
            run.reject()
    except LoomError as error:
        console.print(Text(f"  {visible(str(error))}", style="red"))
        return run.state
    said = {"y": "Accepted; `jupyter loom undo` restores every byte.", "n": "Rejected; nothing was written."}
    console.print(Text(f"  {said.get(answer, 'Waiting for review: `jupyter loom accept` or `reject`.')}"))
    return run.state
