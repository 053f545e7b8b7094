"""Execute a notebook in a real kernel and print what it shows as it goes: ``python notebooks/run.py FILE``."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.syntax import Syntax
from rich.text import Text

from loom_jupyter.events import CandidateTried, CheckFinished, Event, NodeFinished
from loom_jupyter.runs.compose import document_of
from loom_jupyter.runs.log import PROGRESS, LogReader
from loom_jupyter.settings import data_dir
from loom_jupyter.ui.terminal import progress

TIMEOUT = 1800


def show_source(console: Console, cell: Any) -> None:
    """Print a cell before it runs."""
    if cell.cell_type == "markdown":
        console.print(Markdown(cell.source))
    else:
        console.print(
            Syntax(cell.source, "python", theme="ansi_light", background_color="default", word_wrap=True)
        )


def show_output(console: Console, output: Any) -> None:
    """Print one output as plain text."""
    if output.output_type == "stream":
        text = output.text
    elif output.output_type == "error":
        text = "\n".join(output.traceback)
    else:
        text = output.data.get("text/plain", "")
    if text.strip():
        console.print(Text.from_ansi(text.rstrip()), soft_wrap=True)


@contextmanager
def watching(console: Console) -> Iterator[None]:
    """Show the progress of a run that the cell starts, from its log, until the cell is done."""
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(console, done, time.time()))
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _watch(console: Console, done: threading.Event, since: float) -> None:
    reader: LogReader | None = None
    events: list[Event] = []
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while not done.wait(0.25):
            if reader is None:
                logs = [f for f in data_dir().glob(f"*/runs/*/{PROGRESS}") if f.stat().st_mtime > since]
                reader = LogReader(logs[0]) if logs else None
                continue
            fresh = reader.read()
            events += fresh
            if console.is_terminal:
                live.update(progress(document_of(events)), refresh=True)
            else:
                for event in fresh:
                    _tell(console, event)


def _tell(console: Console, event: Event) -> None:
    """Print one line of a run where there is no terminal to draw on."""
    if isinstance(event, NodeFinished):
        line = f"{event.node.value} ({event.seconds:.1f} s): {event.summary}"
    elif isinstance(event, CheckFinished):
        line = f"check, {event.stage} ({event.seconds:.1f} s): {event.summary}"
    elif isinstance(event, CandidateTried):
        line = f"candidate {event.number}, {event.kind} in {event.place}: {event.reason}"
    else:
        return
    console.print(f"  … {line}", style="dim", markup=False)


def run(path: Path, console: Console) -> float:
    """Execute the notebook cell by cell; return the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": path.parent}}
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources=where,
        extra_arguments=["--log-level=ERROR"],
    )
    start = time.monotonic()
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            console.print()
            show_source(console, cell)
            if cell.cell_type != "code":
                continue
            try:
                with watching(console):
                    client.execute_cell(cell, index)
            finally:
                for output in cell.get("outputs", []):
                    show_output(console, output)
    return time.monotonic() - start


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    args = parser.parse_args()
    console = Console(highlight=False)
    try:
        seconds = run(args.notebook, console)
    except CellExecutionError as error:
        console.print(f"\nThe notebook failed: {error.ename}: {error.evalue}", style="red", markup=False)
        return 1
    console.print(f"\n{args.notebook.name} ran in {seconds:.0f} s.", style="green")
    return 0


if __name__ == "__main__":
    sys.exit(main())
