"""A run in the terminal: live progress over its events, then the review."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.prompt import Prompt
from rich.text import Text

from loom_jupyter.errors import LoomError
from loom_jupyter.events import Action, RunState
from loom_jupyter.runs.view import RunView, StepState, view_of
from loom_jupyter.ui import diffs, plain, text
from loom_jupyter.ui.rail import Line, rail, status

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
_DIFF_STYLES = {"added": "green", "removed": "red", "gap": "dim", "note": "dim"}


def follow(run: Run, console: Console | None = None) -> RunState:
    """Show what `run` does until nothing is at work any more. Ctrl-C stops it."""
    console = console or _console()
    try:
        _watch(run, console)
        while run.state is RunState.WAITING:
            _ask(run, console)
            _watch(run, console)
    except KeyboardInterrupt:
        run.stop()
        run.wait(STOP_SECONDS)
    view, now = view_of(run.events()), time.time()
    console.print(progress(view, now))
    said = text.result(view)
    if said:
        console.print(Text(said))
    for file in view.proposal.files if view.proposal else []:
        console.print(diff(file.path, file.added, file.removed, file.diff))
    evidence = text.evidence(view.files, view.total)
    if evidence:
        console.print(Text(evidence, no_wrap=True, overflow="ellipsis"))
    return run.state


def _ask(run: Run, console: Console) -> None:
    """Ask what the run waits for: one answer, or the user's word on the task."""
    view = view_of(run.events())
    for line in text.awaited(view)[:-1]:
        console.print(Text(f"  {line}"))
    if view.awaits is Action.ANSWER:
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
            live.update(progress(view_of(run.events()), time.time()), refresh=True)


def progress(view: RunView, now: float) -> Group:
    """Return rail and status."""
    lines = [Text(text.head(view), style="bold")]
    lines += [_rail_line(line) for line in rail(view, now)]
    lines.append(_status_line(view, now))
    return Group(*lines)


def _rail_line(line: Line) -> Text:
    style = _STYLES[line.state]
    return Text.assemble(
        (f"  {line.mark} {line.name:<10}", style),
        (f"{line.time:>7}  ", "dim"),
        plain.line(line.text, 120),
        (f"   {plain.line(line.aside, 80)}" if line.aside else "", "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def _status_line(view: RunView, now: float) -> Text:
    said = status(view, now)
    meter = ""
    if said.fraction is not None:
        done = round(said.fraction * 20)
        meter = "▓" * done + "░" * (20 - done) + "  "
    return Text(f"  {meter}{plain.line(said.text)}", style="dim", no_wrap=True, overflow="ellipsis")


def diff(path: str, added: int, removed: int, unified: str, limit: int | None = diffs.ROW_LIMIT) -> Text:
    """Return one file's diff with line numbers and colours."""
    out = Text.assemble((f"\n  {plain.path(path)}", "bold"), f"  +{added} −{removed}")
    for row in diffs.rows(unified, limit):
        number = "" if row.number is None else str(row.number)
        out.append(f"\n{number:>6} ", "dim")
        out.append(f"{diffs.SIGNS[row.kind]} {row.text}", _DIFF_STYLES.get(row.kind, ""))
    return out


def review(run: Run, *, yes: bool, held: str = "", console: Console | None = None) -> RunState:
    """Accept, reject or leave what stands for review; ask where somebody can answer.

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
            console.print(diff(path, 0, 0, unified, limit=None))


def _act(run: Run, answer: str, console: Console) -> RunState:
    try:
        if answer == "y":
            run.accept()
        elif answer == "n":
            run.reject()
    except LoomError as error:
        console.print(Text(f"  {plain.visible(str(error))}", style="red"))
        return run.state
    said = {"y": "Accepted; `jupyter loom undo` restores every byte.", "n": "Rejected; nothing was written."}
    console.print(Text(f"  {said.get(answer, 'It waits: `jupyter loom accept` or `reject`.')}"))
    return run.state
