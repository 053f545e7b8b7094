"""What each kind of candidate cost and won: ``python -m tests.benchmarks.edits.kinds RESULTS.jsonl …``.

Reads the lines that the benchmarks of the edits wrote, and the log of every run that they name.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    files = list(sys.argv[1:] if argv is None else argv)
    if not files:
        sys.exit("Give the result files of benchmark runs.")
    outcomes = [json.loads(line) for file in files for line in Path(file).read_text("utf-8").splitlines()]
    print(table(outcomes))
    return 0


def table(outcomes: Iterable[dict[str, object]]) -> str:
    """Return a line a kind: candidates tried, their share, the seconds that their checks took, tasks won."""
    tried: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    won: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome["solved"]:
            won[str(outcome["winner_kind"])] += 1
        log = Path(str(outcome["run"])) / "progress.jsonl"
        for line in log.read_text("utf-8").splitlines():
            event = json.loads(line)
            if event["type"] == "candidate":
                tried[event["kind"]] += 1
                seconds[event["kind"]] += event["seconds"]
    total = max(1, tried.total())
    lines = ["| kind | tried | share | check s | won |", "|---|--:|--:|--:|--:|"]
    lines += [
        f"| {kind} | {n} | {100 * n / total:.0f} % | {seconds[kind]:.0f} | {won[kind]} |"
        for kind, n in tried.most_common()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
