"""Make a test of the user's examples, in the staged copy, and keep those that fail there as the user says."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loom_jupyter.checks.command import CheckResult, run_check
from loom_jupyter.checks.example_case import MARK
from loom_jupyter.checks.examples import Example, Outcome
from loom_jupyter.edits.staging import StagedCopy

NAME = "test_loom_examples.py"
_TEMPLATE = Path(__file__).with_name("example_case.py")
_EMPTY = "EXAMPLES: list[dict[str, Any]] = []"
_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Placed:
    """An example whose names are known.

    Attributes
    ----------
    module
        Module in whose names the expressions are read: the one that defines what is called.
    names
        Further names: (name, module, attribute or nothing for the module itself).
    paths
        Folders to import from, relative to the workspace.
    """

    example: Example
    module: str
    names: tuple[tuple[str, str, str], ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """Which examples hold as a check.

    Attributes
    ----------
    kept
        Those that fail now.
    told
        A sentence for each example: what it gives now, or why it is left out.
    file
        The test in the staged copy; None if nothing was kept.
    """

    kept: tuple[Placed, ...] = ()
    told: tuple[str, ...] = ()
    file: str | None = None
    cancelled: bool = field(default=False)


def prove(
    placed: Sequence[Placed],
    staged: StagedCopy,
    *,
    timeout: float,
    network: bool = False,
    cancel: threading.Event | None = None,
) -> Proof:
    """Run examples on the code as it is, under a check's limits; put a test of those that hold into the copy."""
    name = _free(staged.root)
    staged.add(name, _source(placed))
    found = run_check(
        f"python {name}",
        staged.root,
        timeout=min(timeout, _TIMEOUT),
        cancel=cancel,
        workspace=staged.workspace,
        network=network,
    )
    staged.restore()
    reports = _reports(found)
    kept, told = [], []
    for number, one in enumerate(placed):
        good, sentence = _judge(one.example, reports[number] if number < len(reports) else None, found)
        told.append(sentence)
        if good:
            kept.append(one)
    if kept:
        staged.add(name, _source(kept))
    else:
        staged.drop(name)
    return Proof(tuple(kept), tuple(told), name if kept else None, found.cancelled)


def command(file: str | None, tests: Sequence[str] = ()) -> str:
    """Return the command that runs the examples' test together with other test files."""
    if importlib.util.find_spec("pytest") is not None:
        return " ".join(["python -m pytest -q", *([file] if file else []), *tests])
    return f"python -m unittest {file}"


def _free(root: Path) -> str:
    name = NAME
    while (root / name).exists():
        name = f"{name.removesuffix('.py')}_.py"
    return name


def _source(placed: Sequence[Placed]) -> bytes:
    """Fill the examples in; they are data in it, never code."""
    rows = json.dumps([_row(one) for one in placed])
    text = _TEMPLATE.read_text("utf-8")
    assert text.count(_EMPTY) == 1
    return text.replace(_EMPTY, _EMPTY.removesuffix("[]") + f"json.loads({rows!r})").encode()


def _row(placed: Placed) -> dict[str, Any]:
    example = placed.example
    return {
        "call": example.call,
        "expected": _side(example.expected),
        "actual": None if example.actual is None else _side(example.actual),
        "module": placed.module,
        "names": placed.names,
        "paths": placed.paths,
    }


def _side(outcome: Outcome) -> dict[str, Any]:
    return {"text": outcome.text, "raises": outcome.raises}


def _reports(found: CheckResult) -> list[dict[str, Any]]:
    """Read what the script printed among what the user's modules print."""
    lines = [line.partition(MARK)[2] for line in found.raw.splitlines() if MARK in line]
    reports = []
    for line in lines:
        try:
            report = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(report, dict):
            reports.append(report)
    return reports


def _judge(example: Example, report: dict[str, Any] | None, found: CheckResult) -> tuple[bool, str]:
    """Say whether an example holds as a check, in one sentence."""
    call = f"`{example.call}`"
    if report is None:
        return False, f"{call} cannot be a check: trying it {found.summary}."
    if reason := report.get("broken"):
        return False, f"{call} cannot be a check: what it needs cannot be imported ({reason})."
    got = report["got"]
    if report["unknown"]:
        return False, f"{call} cannot be a check: it names something that only your session knows ({got})."
    if report["expected"]:
        return False, f"{call} gives {got} already, as you expect; it is left out of the check."
    raised = f"raises {got}" if report["raised"] else f"gives {got}"
    if report["actual"]:
        return True, f"{call} {raised} as you say, and must {_must(example)}."
    if report["raised"] and (example.actual is not None and not example.actual.raises):
        return False, f"{call} {raised} here, not {example.actual} as you say; it is left out of the check."
    said = f" (you say {example.actual})" if example.actual is not None else ""
    return True, f"{call} {raised}{said}, and must {_must(example)}."


def _must(example: Example) -> str:
    return f"{'raise' if example.expected.raises else 'give'} {example.expected.text}"
