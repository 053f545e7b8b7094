"""The check that is made of a session's cells: a copy of this file with `CELLS` and `FOLDER` filled in.

It runs the cells one after another in a fresh kernel and ends well if none fails that must not. It needs nothing
of Loom. With ``LOOM_CELLS_HERE`` or ``LOOM_TRACE_DIR`` in its environment it runs them in its own process instead:
to look at many candidates quickly, and to record what the cells execute.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol

CELLS: list[dict[str, Any]] = []
FOLDER = ""
MARK = "loom cell: "
_CELL_FILE = re.compile(r"<ipython-input-\d+-|ipykernel_\d+")


class Problem(NamedTuple):
    """How a cell failed."""

    kind: str
    text: str
    traceback: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}".removesuffix(": ").partition("\n")[0][:200]


class Place(Protocol):
    """Where cells run."""

    def run(self, source: str) -> Problem | None:
        """Run a cell as a user would; None if it did not fail."""
        ...


# --- in a fresh kernel ---


class Kernel:
    """A kernel of this Python, as nbclient runs it."""

    def __init__(self) -> None:
        nbclient, nbformat = import_module("nbclient"), import_module("nbformat.v4")
        self._new = nbformat.new_code_cell
        self._died = nbclient.exceptions.DeadKernelError
        self._reply: dict[str, Any] = {}
        self._client = nbclient.NotebookClient(
            nbformat.new_notebook(),
            timeout=None,
            kernel_name="python3",
            allow_errors=True,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": FOLDER or "."}},
            on_cell_executed=self._executed,
            extra_arguments=["--log-level=ERROR"],
        )

    @contextlib.contextmanager
    def opened(self) -> Iterator[Kernel]:
        """Start the kernel, and end it."""
        manager = self._client.create_kernel_manager()
        # The name could lead to another Python.
        manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        with tempfile.TemporaryDirectory() as folder:
            manager.connection_file = str(Path(folder) / "kernel.json")
            with self._client.setup_kernel():
                self._run(_in_kernel(), store_history=False)
                yield self

    def run(self, source: str) -> Problem | None:
        """Run a cell; see `Place`."""
        try:
            reply = self._run(source, store_history=True)
        except self._died:
            return Problem("DeadKernelError", "the kernel died", "")
        if reply["status"] == "ok":
            return None
        said = "\n".join(reply.get("traceback", []))
        return Problem(reply.get("ename", "Error"), reply.get("evalue", ""), said)

    def _run(self, source: str, *, store_history: bool) -> dict[str, Any]:
        cell = self._new(source)
        self._client.nb.cells.append(cell)
        self._client.execute_cell(cell, len(self._client.nb.cells) - 1, store_history=store_history)
        return self._reply

    def _executed(self, execute_reply: dict[str, Any], **_: Any) -> None:
        self._reply = execute_reply["content"]


def _in_kernel() -> str:
    """Return what makes a kernel tell its errors as Python does."""
    numbers = [cell["number"] for cell in CELLS]
    return (
        "def _loom_cells(path, numbers):\n"
        "    names = {'__name__': 'loom_cells'}\n"
        "    exec(compile(open(path, encoding='utf-8').read(), path, 'exec'), names)\n"
        "    names['tell_plainly'](get_ipython(), numbers)\n"
        f"_loom_cells({str(Path(__file__).resolve())!r}, {numbers})\n"
        "del _loom_cells\n"
    )


# --- in this process ---


class Here:
    """An IPython shell in this process."""

    def __init__(self) -> None:
        self._shell = import_module("IPython.core.interactiveshell").InteractiveShell.instance()
        self._shell.history_manager.enabled = False
        self._shell._showtraceback = self._keep
        self._said = ""
        tell_plainly(self._shell, [cell["number"] for cell in CELLS])

    @contextlib.contextmanager
    def opened(self) -> Iterator[Here]:
        """Go where the cells belong, and keep what they print out of the report."""
        os.chdir(FOLDER or ".")
        sys.path.insert(0, "")
        sys.stdout.flush()
        kept = [os.dup(stream) for stream in (1, 2)]
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        try:
            yield self
        finally:
            sys.stdout.flush()
            for stream, old in zip((1, 2), kept, strict=True):
                os.dup2(old, stream)

    def run(self, source: str) -> Problem | None:
        """Run a cell; see `Place`."""
        self._said = ""
        done = self._shell.run_cell(source, store_history=True)
        error = done.error_before_exec or done.error_in_exec
        if error is None:
            return None
        return Problem(type(error).__name__, str(error), self._said)

    def _keep(self, _kind: object, _error: object, lines: list[str]) -> None:
        self._said = "\n".join(lines)


# --- what both tell ---


def tell_plainly(shell: Any, numbers: list[int]) -> None:
    """Have a shell tell errors with Python's own traceback, and cells by the numbers that they had."""

    def structured(
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None = None,
        *_: object,
        **__: object,
    ) -> list[str]:
        first = trace
        while first is not None and not _CELL_FILE.search(first.tb_frame.f_code.co_filename):
            first = first.tb_next
        text = "".join(traceback.format_exception(kind, error, first or trace))
        return re.sub(r'File "([^"]+)"', named, text).rstrip().split("\n")

    def named(found: re.Match[str]) -> str:
        count = shell.compile._filename_map.get(found[1])
        return f'File "In [{numbers[count - 1]}]"' if count and count <= len(numbers) else found[0]

    shell.InteractiveTB.structured_traceback = structured


class Tally:
    """Runs the cells and counts how they end."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failed: list[str] = []
        self.passed = self.known = 0

    def run(self, place: Place, tracer: Any) -> None:
        """Run every cell, or those up to the first that must not fail and does."""
        for cell in CELLS:
            name, may_fail = f"In [{cell['number']}]", cell["may_fail"]
            if tracer is not None:
                tracer.begin()
            problem = place.run(cell["source"])
            if tracer is not None:
                tracer.outcome = "passed" if problem is None else "known" if may_fail else "failed"
                tracer.end(f"cells::{name}")
            self._book(name, problem, bool(may_fail))
            if may_fail is None:
                said = {"kind": problem.kind, "said": str(problem)} if problem else {}
                self.lines.append(MARK + json.dumps({"number": cell["number"], **said}))
            elif problem is not None and not may_fail:
                return

    def _book(self, name: str, problem: Problem | None, may_fail: bool) -> None:
        if problem is None:
            self.passed += 1
        elif may_fail:
            self.known += 1
        else:
            self.failed.append(f"FAILED cells::{name} - {problem}")
            self.lines += [f"{name} fails:", problem.traceback or str(problem)]

    def report(self, seconds: float) -> str:
        """Say how the cells ended, in the form that test runners use."""
        found = ((len(self.failed), "failed"), (self.passed, "passed"), (self.known, "xfailed"))
        counts = ", ".join(f"{number} {word}" for number, word in found if number) or "no tests ran"
        return "\n".join([*self.lines, *self.failed, f"{counts} in {seconds:.2f}s"])


def main() -> int:
    """Run the cells."""
    begin, tally, tracer = time.monotonic(), Tally(), None
    Path(FOLDER).mkdir(parents=True, exist_ok=True)  # a copy has no empty folders
    traced = "LOOM_TRACE_DIR" in os.environ
    if traced:
        tracer = import_module("loom_tracer").Session()
        tracer.recorder.leave_out(__file__)
    made: Any = Here() if traced or "LOOM_CELLS_HERE" in os.environ else Kernel()
    with made.opened() as place:
        tally.run(place, tracer)
    if tracer is not None:
        tracer.write()
    sys.stdout.write(tally.report(time.monotonic() - begin) + "\n")
    sys.stdout.flush()
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
