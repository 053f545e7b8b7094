"""What the failing tests execute, and the passing ones: the lines that a repair should doubt."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from loom_jupyter.checks.command import run_check
from loom_jupyter.checks.environment import check_environment
from loom_jupyter.checks.report import Place
from loom_jupyter.edits import tree
from loom_jupyter.gate.gate import is_test

TRACING = str(Path(__file__).parent / "tracing")
"""Folder to put on the import path of a traced check."""
PLUGIN = ("-p", "loom_tracer")
_RECORD = 64 * 2**20


class Executed(NamedTuple):
    """A function or line of the workspace that tests executed.

    Attributes
    ----------
    line
        1-based; of a function its first line.
    symbol
        Qualified name of the function; empty for lines.
    failing, passing
        How many failing and passing tests executed it.
    suspicion
        From 0 to 1: failing / sqrt(all failing * (failing + passing)), known as Ochiai's coefficient.
    """

    path: str
    line: int
    symbol: str
    failing: int
    passing: int
    suspicion: float


@dataclass(frozen=True)
class Evidence:
    """What a traced check executed.

    Attributes
    ----------
    failed, passed
        Number of tests.
    failing
        Ids of failing tests, 50 at most.
    functions, lines
        Those that failing tests executed, most suspicious first; test files are left out.
    """

    failed: int
    passed: int
    failing: list[str] = field(default_factory=list)
    functions: list[Executed] = field(default_factory=list)
    lines: list[Executed] = field(default_factory=list)

    def places(self, limit: int = 40) -> list[Place]:
        """Return the most suspicious functions, then lines that only failing tests execute, for the ledger."""
        found = [Place(f.path, f.line, self._why(f)) for f in self.functions[:limit]]
        found += [
            Place(line.path, line.line, "only failing tests execute this line")
            for line in self.lines
            if line.passing == 0 and self.passed
        ][:limit]
        return found

    def _why(self, seen: Executed) -> str:
        failing = "the failing test" if self.failed == 1 else f"{seen.failing} of {self.failed} failing tests"
        if not self.passed:
            return f"executed by {failing}"
        if not seen.passing:
            return f"executed by {failing} and no passing one"
        return f"executed by {failing} and {seen.passing} of {self.passed} passing"


def trace_check(
    command: str,
    cwd: Path,
    *,
    timeout: float,
    cancel: threading.Event | None = None,
    workspace: Path | None = None,
    network: bool = False,
) -> Evidence | None:
    """Run a check once more, recording what its tests execute.

    Tests run by pytest or unittest are traced, in whatever process of the check they run, on Python 3.11 or later.
    Nothing of it remains in the copy, and the run's own result is not used: tracing is slower.

    Parameters
    ----------
    command, cwd, timeout, cancel, workspace, network
        As for :func:`loom_jupyter.checks.command.run_check`.

    Returns
    -------
    Evidence or None
        None where no test could be traced.
    """
    with trace_folder(cwd) as folder:
        base = check_environment(cwd, workspace)
        environ = tracing(folder, cwd) | {
            "PYTHONPATH": os.pathsep.join([base["PYTHONPATH"], TRACING]),
            "PYTEST_ADDOPTS": f"{base['PYTEST_ADDOPTS']} {' '.join(PLUGIN)}",
        }
        run_check(
            command, cwd, timeout=timeout, cancel=cancel, workspace=workspace, network=network, environ=environ
        )
        return collect(folder)


@contextlib.contextmanager
def trace_folder(cwd: Path) -> Iterator[Path]:
    """Make a folder for a traced check's records where it may write: in its copy, for the time of the trace."""
    folder = cwd / f".loom-trace-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        tree.erase(str(folder))


def tracing(folder: Path, cwd: Path) -> dict[str, str]:
    """Return the environment that tells the plugin of `TRACING` where to write and what to trace."""
    return {"LOOM_TRACE_DIR": str(folder), "LOOM_TRACE_ROOT": str(cwd.resolve())}


# Numbers out of all bounds, and lists in lists without end.
_ODD = (ArithmeticError, RecursionError)


def collect(folder: Path) -> Evidence | None:
    """Read what a traced check's processes wrote into a folder; it is theirs, so it may hold anything."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError, *_ODD):
        held = tree.Tree(folder)
        try:
            names = sorted(name for name in held.names() if name.endswith(".json"))
            return _joined(json.loads(held.read(name, _RECORD)) for name in names)
        finally:
            held.close()
    return None


def _joined(found: Iterable[dict[str, Any]]) -> Evidence | None:
    """Add the processes' records up."""
    failed = passed = 0
    failing: list[str] = []
    functions: dict[tuple[str, str, int], Counter[str]] = {}
    lines: dict[tuple[str, str, int], Counter[str]] = {}
    for record in found:
        failed += record["tests"]["failed"]
        passed += record["tests"]["passed"]
        failing += record["tests"]["failing"]
        for path, table in record["functions"].items():
            for first, (name, bad, good) in table.items():
                functions.setdefault((path, name, int(first)), Counter()).update(bad=bad, good=good)
        for path, table in record["lines"].items():
            for line, (bad, good) in table.items():
                lines.setdefault((path, "", int(line)), Counter()).update(bad=bad, good=good)
    if not failed + passed:
        return None
    return Evidence(failed, passed, failing, _ranked(functions, failed), _ranked(lines, failed))


def _ranked(table: dict[tuple[str, str, int], Counter[str]], failed: int) -> list[Executed]:
    rows = [
        Executed(path, line, name, n["bad"], n["good"], n["bad"] / math.sqrt(failed * (n["bad"] + n["good"])))
        for (path, name, line), n in table.items()
        if n["bad"] and not is_test(path)
    ]
    return sorted(rows, key=lambda row: (-row.suspicion, row.path, row.line))
