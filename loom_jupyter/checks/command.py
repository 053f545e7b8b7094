"""Run the user's check command in the staged copy, under limits, and say what came of it."""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loom_jupyter.checks.environment import check_environment
from loom_jupyter.checks.process import MOST_TASKS, Output, wait_for
from loom_jupyter.checks.report import Cases, Counts, clean, command_problem, counts, summarise, trim
from loom_jupyter.checks.sandbox import isolation, memory_size, plan, start, why_none
from loom_jupyter.checks.supervisor import MARK, UNPROTECTED
from loom_jupyter.edits.staging import outward
from loom_jupyter.errors import CheckCommandError, SandboxError

_logger = logging.getLogger(__name__)
MEMORY = 8 * 2**30
"""Bytes that all processes of one check may hold together."""
FILE_SIZE = 4 * 2**30


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one run of a check gave.

    Attributes
    ----------
    code
        Exit status as a shell gives it (128 + signal).
    output
        What was printed, clean of control signs and paths of the copy, trimmed to what matters.
    summary
        ``14 passed``, ``1 failed, 13 passed``, ``timed out after 120 s``, …
    tests
        Counts, where the output tells them.
    raw
        The whole output, bounded to its first 64 and last 192 KiB, with paths of the copy made relative.
    cases
        Every test that ran and how it ended, where pytest reported that.
    """

    passed: bool
    code: int
    seconds: float
    output: str
    summary: str
    tests: Counts | None = None
    timed_out: bool = False
    cancelled: bool = False
    out_of_memory: bool = False
    raw: str = ""
    cases: Cases | None = None


def run_check(
    command: str,
    cwd: Path,
    *,
    timeout: float,
    cancel: threading.Event | None = None,
    on_output: Callable[[str], None] | None = None,
    workspace: Path | None = None,
    network: bool = False,
    memory: int = MEMORY,
    environ: Mapping[str, str] | None = None,
) -> CheckResult:
    """Run a shell command as a check.

    Parameters
    ----------
    command
        As the user typed it; given to ``/bin/sh``.
    cwd
        The staged copy.
    timeout
        Seconds until every process of the check is ended.
    cancel
        Ends the check when set.
    on_output
        Called with pieces of cleaned output as they come.
    workspace
        What `cwd` is a copy of: shown read-only, without ``.git``, and kept out of imports.
    network
        Leave the network on. It is off by default where the system offers a sandbox (`isolation`).
    memory
        Bytes for all of the check's processes together.
    environ
        More environment variables.

    Raises
    ------
    CheckCommandError
        The command itself cannot run.
    SandboxError
        The system offers a sandbox and this one could not be made; nothing was run.
    """
    if not command.strip() or "\0" in command:
        raise CheckCommandError('The check command is empty; give one such as "pytest -q".')
    begin = time.monotonic()
    job = rules(cwd, timeout, workspace, network=network, memory=memory, command=command)
    mark = f"{MARK}{secrets.token_hex(8)}: "  # a check that prints the mark alone is not believed
    env = check_environment(cwd, workspace, sandboxed=job["plan"] is not None) | dict(environ or {})
    argv = ["/bin/sh", "-c", command]
    try:
        process = start(
            job | {"argv": argv, "mark": mark}, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise SandboxError(
            f"The check was not run: its process could not be started ({error.strerror}); "
            "free memory or disk space and run it again."
        ) from error
    assert process.stdout is not None
    output = Output(on_output)
    verdict = wait_for(process, process.stdout, output, deadline=begin + timeout, cancel=cancel, memory=memory)
    ended = ProcessExit(verdict, process.returncode, time.monotonic() - begin, clean(output.text(), cwd))
    if ended.code == UNPROTECTED and ended.text.startswith(mark):
        raise SandboxError(
            f"The check was not run: its sandbox could not be set up ({ended.text.removeprefix(mark).strip()}); "
            "run it again, and report this if it happens again."
        )
    if verdict is None and (problem := command_problem(command, ended.code, ended.text)):
        raise CheckCommandError(problem)
    _logger.info("check ended: status %s, %s, %.1f s", ended.code, ended.verdict or "by itself", ended.seconds)
    return result(ended, timeout, memory)


def rules(
    cwd: Path,
    timeout: float,
    workspace: Path | None,
    *,
    network: bool = False,
    memory: int = MEMORY,
    command: str = "",
) -> dict[str, Any]:
    """Return the limits and the sandbox of a check, as `supervisor` takes them."""
    level = isolation()
    return {
        "cwd": str(cwd),
        "limits": _limits(timeout, memory),
        "plan": None
        if level == "none"
        else plan(
            cwd,
            workspace,
            level=level,
            network=network,
            size=memory_size(memory),
            command=command,
            links=outward(cwd),
        ),
    }


def not_isolated() -> str:
    """Say why checks run without a sandbox here, in one sentence; empty where they have one."""
    if isolation() != "none":
        return ""
    why = why_none() or "this system allows no sandbox"
    return f"not isolated: {why}. The check runs with your files and your network (docs/checks.md)."


def _limits(timeout: float, memory: int) -> dict[str, int]:
    """Limits of each single process; the tree's memory and wall time are watched besides.

    ``DATA`` instead of ``AS``: runtimes reserve far more address space than they use.
    """
    return {
        "DATA": memory,
        "CPU": math.ceil(timeout * (os.cpu_count() or 1)) + 10,
        "FSIZE": FILE_SIZE,
        "CORE": 0,
        "NPROC": _tasks() + 1024,
    }


def _tasks() -> int:
    """Return how many threads the system runs: the limit counts them all."""
    try:
        return int(Path("/proc/loadavg").read_text().split()[3].split("/")[1])
    except (OSError, IndexError, ValueError):
        return 4096


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a check ended, before it is read.

    Attributes
    ----------
    verdict
        Why it was ended from outside; None if it ended by itself.
    text
        Cleaned output.
    """

    verdict: str | None
    code: int
    seconds: float
    text: str


def result(ended: ProcessExit, timeout: float, memory: int = MEMORY) -> CheckResult:
    """Read what an ended check printed."""
    reasons = {
        "timed out": f"timed out after {timeout:g} s",
        "cancelled": "stopped",
        "out of memory": f"needed more than {memory / 2**30:.3g} GiB of memory",
        "too many processes": f"had more than {MOST_TASKS:,} processes and threads at once",
    }
    tests = counts(ended.text)
    summary = reasons[ended.verdict] if ended.verdict else summarise(ended.code, ended.text, tests)
    return CheckResult(
        passed=ended.verdict is None and ended.code == 0,
        code=ended.code,
        seconds=ended.seconds,
        output=trim(ended.text),
        summary=summary,
        tests=tests,
        timed_out=ended.verdict == "timed out",
        cancelled=ended.verdict == "cancelled",
        out_of_memory=ended.verdict == "out of memory",
        raw=ended.text,
    )


# Find the check that a project already has.

_PYTEST = ("pytest.ini", "conftest.py")
# Of Python's tests, in the project's own folders and one below: pkg/tests/test_x.py.
_TESTS = ("{}", "tests/**/{}", "test/**/{}", "*/tests/**/{}", "*/test/**/{}", "src/*/tests/**/{}")
_NAMES = ("test_*.py", "*_test.py")


def find_check(root: Path) -> str:
    """Return the command that tests the project: pytest, ``npm test``, ``cargo test`` or ``go test``.

    Raises
    ------
    CheckCommandError
        If the project shows none.
    """
    if any((root / name).exists() for name in _PYTEST) or _has_python_tests(root):
        return "python -m pytest -q"
    if (root / "Cargo.toml").exists():
        return "cargo test --quiet"
    if (root / "go.mod").exists():
        return "go test ./..."
    if _has_npm_test(root / "package.json"):
        return "npm test --silent"
    if any((root / name).is_dir() for name in ("tests", "test")):
        return "python -m pytest -q"
    raise CheckCommandError(f"No tests were found in {root}; give a command: --check CMD.")


def _has_python_tests(root: Path) -> bool:
    places = (place.format(name) for place in _TESTS for name in _NAMES)
    found = (file for place in places for file in root.glob(place))
    return any(_LEFT_OUT.isdisjoint(file.relative_to(root).parts) for file in found)


# Folders of what is installed.
_LEFT_OUT = frozenset({"node_modules", ".venv", "venv", "site-packages", ".tox"})


def _has_npm_test(file: Path) -> bool:
    try:
        package = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    script = package.get("scripts", {}).get("test", "") if isinstance(package, dict) else ""
    return bool(script) and "no test specified" not in script
