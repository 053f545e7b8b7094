"""Repository edits by Loom: ``python -m tests.benchmarks.edits.run --model NAME``.

Each task is a fresh copy of a package with one fault in it, a report in a user's words and a failing check. It is
solved if Loom's proposal passes the check and, put into another fresh copy, breaks none of the package's tests.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.edits import packages
from tests.benchmarks.edits.meter import Meter, covered
from tests.benchmarks.edits.outcome import Outcome, arguments, results, run_all, table
from tests.benchmarks.edits.packages import CACHE, Fault, SuiteError

if TYPE_CHECKING:
    from loom_jupyter.runs.run import Run

GRACE = 600.0
"""Seconds besides the budget after which a run is stopped: the model's loading and what is not searched."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments("loom", __doc__.splitlines()[0])
    parser.add_argument("--faults", type=Path, default=packages.TABLE, help="a table of faults (default: the 24)")
    parser.add_argument("--check", help="a check for all tasks, such as auto, instead of each task's own")
    options = parser.parse_args(argv)
    faults = select(packages.load(options.faults), options.only)
    kinds = [name for name in (options.check, options.faults.stem) if name in ("auto", packages.HELD_OUT.stem)]
    out = results(options, "-".join(kinds))
    work = out.with_suffix("")
    if not options.resume:
        shutil.rmtree(work, ignore_errors=True)
    for package in {fault.package for fault in faults}:
        packages.fetch(package)
    one = functools.partial(
        run_named,
        table_file=options.faults,
        model=options.model,
        budget=options.budget,
        work=work,
        check=options.check,
    )
    names = [fault.name for fault in faults]
    outcomes = run_all(names, one, out=out, resume=options.resume, jobs=options.jobs)
    print(f"\n{options.model or 'default model'}, budget {options.budget:g} s\n{table(outcomes)}")
    print(f"\nlines in {out}, runs below {work}")
    return 0


def select(faults: list[Fault], only: Sequence[str]) -> list[Fault]:
    """Return the faults of these names or packages; all if none is named."""
    chosen = [f for f in faults if not only or f.name in only or f.package.name in only]
    if not chosen:
        sys.exit(f"No task and no package is called {', '.join(only)}; there are {[f.name for f in faults]}.")
    return chosen


def run_named(
    name: str, *, table_file: Path, model: str | None, budget: float, work: Path, check: str | None
) -> Outcome:
    """Run the task of this name."""
    fault = next(f for f in packages.load(table_file) if f.name == name)
    return run_fault(fault, model=model, budget=budget, work=work, check=check)


def run_fault(
    fault: Fault, *, model: str | None, budget: float, work: Path, cache: Path = CACHE, check: str | None = None
) -> Outcome:
    """Let Loom mend one fault, and judge what it proposes.

    Parameters
    ----------
    work
        Folder for the copies and for the runs' own folders, which stay to be read.
    check
        Another check than the fault's own, such as ``"auto"``.
    """
    os.environ["JUPYTER_DATA_DIR"] = str(work / "data")
    from loom_jupyter import Loom
    from loom_jupyter.loom import warm

    warm()
    root = packages.faulty_copy(fault, work / "copies" / fault.name / fault.package.name, cache)
    loom = Loom(root, model=model)
    meter = Meter()
    with meter.installed():
        run = loom.run(fault.report, check=check or fault.check, budget=budget)
        if not run.wait(budget + GRACE):
            run.stop()
            run.wait(60)
    outcome = describe(run, meter)
    outcome.task, outcome.group = fault.name, fault.package.name
    outcome.offered = offered_rank(run, fault.file, fault.symbol)
    outcome.targeted = targeted_rank(run, fault.file, fault.symbol)
    if outcome.claimed:
        judge(outcome, run, fault, root, work / "verify" / fault.name / fault.package.name, cache)
    return outcome


def judge(outcome: Outcome, run: Run, fault: Fault, root: Path, fresh: Path, cache: Path) -> None:
    """Accept the proposal, put what it changed into a fresh copy and run all chosen tests there."""
    proposal = run.proposal
    assert proposal is not None
    run.accept()
    packages.faulty_copy(fault, fresh, cache)
    for path in proposal.diffs:
        shutil.copyfile(root / path, fresh / path)
    outcome.broke = packages.broken(fault.package, fresh)
    outcome.solved = not outcome.broke


def describe(run: Run, meter: Meter) -> Outcome:
    """Read from a run's events what came of it and where its time went.

    Raises
    ------
    SuiteError
        The model did not load: that is no result.
    """
    events = run.events()
    by_type: dict[str, list[Any]] = {}
    for event in events:
        by_type.setdefault(event.type, []).append(event)
    if "model_ready" not in by_type:
        raise SuiteError(f"the model was not ready: {run.error or run.state.value}")
    candidates = by_type.get("candidate", [])
    won = next((c for c in reversed(candidates) if c.verdict == "passed"), None)
    proposal = run.proposal
    notes = [event.note for event in by_type.get("repaired", [])]
    unusable = sum("unusable" in note for note in notes)
    outcome = Outcome(
        task=run.id,
        group="",
        harness="loom",
        model=str(run.request.model),
        budget=run.request.budget,
        claimed=proposal.passed if proposal is not None else None,
        candidates=len(candidates),
        winner=won.number if won else None,
        winner_kind=won.kind if won else "",
        unusable=unusable,
        lost_to_form=bool(unusable) and proposal is None and run.state.value == "failed",
        tokens=sum(u.prompt_tokens - u.reused_tokens + u.completion_tokens for u in by_type.get("usage", [])),
        state=run.state.value,
        reason=run.error or (proposal.summary if proposal else ""),
        diff=proposal.diff if proposal else "",
        run=str(run.folder),
    )
    _times(outcome, events, by_type, meter)
    return outcome


def _times(outcome: Outcome, events: Sequence[Any], by_type: dict[str, list[Any]], meter: Meter) -> None:
    """Fill in the seconds. Loading the model is left out, as a user waits for it once."""
    begin = events[0].ts
    proposed = by_type.get("proposal")
    end = proposed[-1].ts if proposed else events[-1].ts
    loading = [
        (by_type["model_loading"][0].ts, ready.ts)
        for ready in by_type.get("model_ready", [])
        if "model_loading" in by_type
    ]
    checks = meter.checks
    index = [(e.ts - e.seconds, e.ts) for e in by_type.get("indexed", [])]
    outcome.seconds = end - begin - covered(loading, begin, end)
    outcome.model_seconds = covered(meter.spans, begin, end)
    outcome.check_seconds = covered(checks, begin, end)
    outcome.index_seconds = covered(index, begin, end)
    outcome.overhead_seconds = end - begin - covered([*loading, *meter.spans, *checks, *index], begin, end)


def offered_rank(run: Run, file: str, symbol: str) -> int | None:
    """Return the rank of the right function, or of a class that holds it, among the ledger's symbols of code."""
    from loom_jupyter.gate.gate import is_test

    if run.ledger is None:
        return None
    rows = run.ledger.symbols()
    rows = rows[[not is_test(path) for path in rows["path"]]]
    places = list(zip(rows["path"], rows["symbol"], strict=True))
    named = ((n, path, name) for n, (path, name) in enumerate(places, 1) if isinstance(name, str))
    return next((n for n, path, name in named if path == file and _holds(name, symbol)), None)


def targeted_rank(run: Run, file: str, symbol: str) -> int | None:
    """Return the place of the right function, or of what holds it, among the targets that the Coder got."""
    maps = [event for event in run.events() if event.type == "map"]
    for n, target in enumerate(maps[-1].targets if maps else [], 1):
        path, _, name = target.partition(" (lines ")[0].partition(" · ")
        if path == file and (not name or _holds(name, symbol)):
            return n
    return None


def _holds(name: str, symbol: str) -> bool:
    return name == symbol or symbol.startswith(f"{name}.")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SuiteError as error:
        sys.exit(str(error))
