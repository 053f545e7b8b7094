"""Run the user's check command in the staged copy, under limits, and say what came of it."""

from __future__ import annotations

import functools
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from loom_jupyter.edits.checks import supervisor
from loom_jupyter.edits.checks.cases import Cases
from loom_jupyter.edits.checks.environment import check_environment
from loom_jupyter.edits.checks.report import Counts, clean, command_problem, counts, summarise, trim
from loom_jupyter.edits.checks.watch import Output, attend
from loom_jupyter.edits.errors import CheckCommandError

MEMORY = 8 * 2**30
"""Bytes that all processes of one check may hold together."""
FILE_SIZE = 4 * 2**30
# Below the home folder; no check needs them.
_KEYS = (
    *(".ssh", ".aws", ".azure", ".gnupg", ".kube", ".config/gcloud", ".config/gh", ".netrc", ".pypirc"),
    *(".git-credentials", ".docker/config.json", ".huggingface/token", ".cache/huggingface/token"),
)


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
        What `cwd` is a copy of: made read-only where the system offers a sandbox, and kept out of imports.
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
    """
    if not command.strip() or "\0" in command:
        raise CheckCommandError('The check command is empty; give one such as "pytest -q".')
    env = check_environment(cwd, workspace) | dict(environ or {})
    begin = time.monotonic()
    process = subprocess.Popen(
        _argv({"command": command} | rules(cwd, timeout, workspace, network=network, memory=memory)),
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    output = Output(on_output)
    verdict = attend(process, process.stdout, output, deadline=begin + timeout, cancel=cancel, memory=memory)
    ended = Ended(verdict, process.returncode, time.monotonic() - begin, clean(output.text(), cwd))
    if verdict is None and (problem := command_problem(command, ended.code, ended.text)):
        raise CheckCommandError(problem)
    return result(ended, timeout, memory)


def rules(
    cwd: Path, timeout: float, workspace: Path | None, *, network: bool = False, memory: int = MEMORY
) -> dict[str, object]:
    """Return the limits and the sandbox of a check, as `supervisor` takes them."""
    return {
        "limits": _limits(timeout, memory),
        "level": isolation(),
        "network": network,
        "read_only": [str(workspace)] if workspace is not None and _separable(workspace, cwd) else [],
        "hidden": [str(place) for name in _KEYS if (place := Path.home() / name).exists()],
    }


@functools.cache
def isolation() -> str:
    """Find out what sandbox the system offers: ``root``, ``user`` or ``none`` (see `supervisor.sandbox`).

    Measured, not guessed: a probe makes the namespaces, brings the loopback device up and mounts a folder
    read-only. Containers and hardened kernels often forbid it.
    """
    if sys.platform != "linux":
        return "none"
    probe = str(Path(__file__).parent)
    for level in ("root", "user"):
        job: dict[str, object] = {"command": None, "limits": {}, "level": level, "read_only": [probe]}
        done = subprocess.run(_argv(job), capture_output=True, check=False, timeout=20)
        if done.returncode == 0:
            return level
    return "none"


def _argv(job: Mapping[str, object]) -> list[str]:
    return [sys.executable, "-I", "-S", str(supervisor.__file__), json.dumps(job)]


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


def _separable(workspace: Path, cwd: Path) -> bool:
    """Whether the workspace can be read-only without hindering the check: no home, no root, copy elsewhere."""
    workspace = workspace.resolve()
    needed = (cwd.resolve(), Path.home().resolve(), Path(os.environ.get("TMPDIR", "/tmp")).resolve())
    return not any(place.is_relative_to(workspace) for place in needed)


@dataclass(frozen=True, slots=True)
class Ended:
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


def result(ended: Ended, timeout: float, memory: int = MEMORY) -> CheckResult:
    """Read what an ended check printed."""
    reasons = {
        "timed out": f"timed out after {timeout:g} s",
        "cancelled": "stopped",
        "out of memory": f"needed more than {memory / 2**30:.3g} GiB of memory",
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
