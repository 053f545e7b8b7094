"""Execute a notebook in a real kernel and print what it shows as it goes: ``python notebooks/run.py FILE``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from rich.console import Console
from rich.markdown import Markdown
from rich.syntax import Syntax
from rich.text import Text

TIMEOUT = 1800


def show_source(console: Console, cell: Any) -> None:
    """Print a cell before it runs."""
    if cell.cell_type == "markdown":
        console.print(Markdown(cell.source))
    else:
        console.print(
            Syntax(cell.source, "python", theme="ansi_light", background_color="default", padding=(0, 2))
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


def run(path: Path, console: Console) -> float:
    """Execute the notebook cell by cell; return the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    start = time.monotonic()
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            console.print()
            show_source(console, cell)
            if cell.cell_type != "code":
                continue
            try:
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
