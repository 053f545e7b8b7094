"""What became of one task, as a JSON line, and many of them as a table."""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tests.benchmarks.edits.packages import CACHE

T = TypeVar("T")


class Outcome(BaseModel):
    """One line of results; every harness writes the same.

    Attributes
    ----------
    solved
        The harness's own answer passed the check and, put into a fresh copy, every chosen test passes.
    claimed
        What the harness itself thinks: its check passed, failed, or None without an answer.
    seconds
        From the start to the answer, without loading the model.
    candidates
        Answers that the check was asked about; `winner` is the number of the last, if it passed, `winner_kind`
        its kind.
    offered, targeted
        Rank (from 1) of the right function among the ledger's symbols and among the run's targets.
    unusable
        Replies of the wrong form. `lost_to_form`: the task ended without any answer because of them.
    model_seconds, check_seconds, index_seconds, overhead_seconds
        Parts of `seconds`; the overhead is what the others leave (where two overlap, time counts once).
    broke
        Tests that fail with the answer in a fresh copy.
    """

    task: str
    group: str
    harness: str
    model: str
    budget: float = 0.0
    solved: bool = False
    claimed: bool | None = None
    seconds: float = 0.0
    candidates: int = 0
    winner: int | None = None
    winner_kind: str = ""
    offered: int | None = None
    targeted: int | None = None
    unusable: int = 0
    lost_to_form: bool = False
    model_seconds: float = 0.0
    check_seconds: float = 0.0
    index_seconds: float = 0.0
    overhead_seconds: float | None = None
    tokens: int = 0
    state: str = ""
    reason: str = ""
    broke: list[str] = []
    diff: str = ""
    run: str = ""


def read(file: Path) -> list[Outcome]:
    """Return the outcomes in a file; a torn last line is left out."""
    outcomes = []
    for line in file.read_text("utf-8").splitlines() if file.exists() else []:
        try:
            outcomes.append(Outcome.model_validate_json(line))
        except ValidationError:
            continue
    return outcomes


def append(file: Path, outcome: Outcome) -> None:
    """Write one line, so that an interrupted benchmark can be resumed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(outcome.model_dump_json() + "\n")


def told(outcome: Outcome) -> str:
    """Return one line for people."""
    verdict = "solved" if outcome.solved else "FAILED"
    how = f"#{outcome.winner} {outcome.winner_kind}" if outcome.winner else f"{outcome.candidates} tried"
    rank = f"rank {outcome.offered or '-'}/{outcome.targeted or '-'}"
    return f"{verdict}  {outcome.task:32} {outcome.seconds:6.1f} s  {how:28} {rank:10} {outcome.reason[:60]}"


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the figures: solved of n, median seconds, by group; then where time and winners went."""
    if not outcomes:
        return "nothing was run"
    lines = [f"{'':16} solved      n  median s"]
    for group in [*dict.fromkeys(o.group for o in outcomes), ""]:
        rows = [o for o in outcomes if group in ("", o.group)]
        median = statistics.median(o.seconds for o in rows)
        lines.append(f"{group or 'all':16} {sum(o.solved for o in rows):6} {len(rows):6} {median:9.1f}")
    kinds: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.solved:
            kinds[outcome.winner_kind] = kinds.get(outcome.winner_kind, 0) + 1
    winners = ", ".join(f"{kind or '?'} {n}" for kind, n in sorted(kinds.items(), key=lambda x: -x[1]))
    overheads = [o.overhead_seconds for o in outcomes if o.overhead_seconds is not None]
    shares = [o.overhead_seconds / o.seconds for o in outcomes if o.overhead_seconds is not None and o.seconds]
    targeted = sum(o.targeted is not None for o in outcomes)
    lines += [
        f"winners: {winners or 'none'}; at candidate {sorted(o.winner or 0 for o in outcomes if o.solved)}",
        f"right function first {_within(outcomes, 1)}, in the first 3 {_within(outcomes, 3)}, "
        f"in the first 8 {_within(outcomes, 8)}, among the targets {targeted}",
        f"claimed but wrong: {sum(o.claimed is True and not o.solved for o in outcomes)}; "
        f"unusable replies: {sum(o.unusable for o in outcomes)}, "
        f"tasks lost to them: {sum(o.lost_to_form for o in outcomes)}",
    ]
    if overheads:
        lines.append(
            f"overhead besides model, check and index: median {1000 * statistics.median(overheads):.0f} ms "
            f"({100 * statistics.median(shares or [0]):.1f} %), most {1000 * max(overheads):.0f} ms; "
            f"index: median {1000 * statistics.median(o.index_seconds for o in outcomes):.0f} ms"
        )
    return "\n".join(lines)


def _within(outcomes: Iterable[Outcome], rank: int) -> int:
    return sum(o.offered is not None and o.offered <= rank for o in outcomes)


def arguments(harness: str, description: str) -> argparse.ArgumentParser:
    """Return the options that every harness has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default=os.environ.get("LOOM_MODEL"), help="catalog name or GGUF file")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds a task (default 120)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a task, package or exercise")
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with a model of its own (default 1)")
    parser.add_argument("--resume", action="store_true", help="keep the lines that are there; run what is missing")
    parser.add_argument("--out", type=Path, help=f"file of results (default in {CACHE / 'results'})")
    parser.set_defaults(harness_name=harness)
    return parser


def results(options: argparse.Namespace, variant: str = "") -> Path:
    """Return the file of results: as asked, or one a harness, variant and model."""
    if options.out:
        return Path(options.out)
    model = Path(options.model or "default").stem
    return CACHE / "results" / f"{'-'.join(filter(None, [options.harness_name, variant, model]))}.jsonl"


def run_all(
    names: Sequence[str], run_one: Callable[[str], Outcome], *, out: Path, resume: bool, jobs: int
) -> list[Outcome]:
    """Run every task that has no line yet, write and tell each outcome as it comes, return them all.

    Parameters
    ----------
    run_one
        A function of the task's name; it must be importable by other processes if `jobs` is more than 1.
    """
    if not resume:
        out.unlink(missing_ok=True)
    outcomes = [outcome for outcome in read(out) if outcome.task in names]
    done = {outcome.task for outcome in outcomes}
    for outcome in _each([name for name in names if name not in done], run_one, jobs):
        append(out, outcome)
        outcomes.append(outcome)
        print(told(outcome), flush=True)
    return outcomes


def _each(names: Sequence[str], run_one: Callable[[str], Outcome], jobs: int) -> Iterable[Outcome]:
    if jobs <= 1:
        yield from map(run_one, names)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run_one, names)
