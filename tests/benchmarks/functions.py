"""Measure the ranking of functions on the Python commits of the cases: func@5 and func@10.

    python -m tests.benchmarks.functions --scorer evaluate.py --cases dev.jsonl --repos DIR [--limit N]

Gold are the functions and methods of the changed files whose lines, in the parent's tree, the commit touched;
func@k is the share of them among the first k functions of ``ledger.symbols()``.
"""

from __future__ import annotations

import argparse
import collections
import re
from pathlib import Path

import numpy as np

from loom_jupyter.context.index import Index
from tests.benchmarks import commits

HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? ", re.MULTILINE)
KINDS = ("function", "method")


def touched(index: Index, path: str, diff: str) -> set[tuple[str, str | None, int]]:
    """Return path, name and first line of the functions whose lines a diff removes or adds beside."""
    snapshot, out = index.snapshot, set()
    for start, count in HUNK.findall(diff):
        for line in range(int(start), int(start) + max(1, int(count or 1))):
            around = [
                s
                for s in snapshot.batch.symbols[snapshot.number[path]]
                if s.kind in KINDS and s.start <= line <= s.end
            ]
            if around:
                smallest = min(around, key=lambda s: s.end - s.start)
                out.add((path, smallest.name, smallest.start))
    return out


def main() -> None:
    """Print func@k by variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", type=Path, required=True)
    parser.add_argument("--cases", type=Path, nargs="+", required=True)
    parser.add_argument("--repos", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=0, help="cases a repository")
    args = parser.parse_args()
    rules = commits.scorer(args.scorer)
    got = collections.defaultdict(list)
    for repo, found in commits.by_repo(args.cases, None).items():
        cases = [c for c in found if any(g.endswith(".py") for g in c["gold"])]
        step = max(1, len(cases) // args.limit) if args.limit else 1
        if not cases or len(cases) < len(found) // 2:
            continue
        for case, queries, index, clone in commits.visit(repo, cases[::step], args.repos, rules):
            gold = set()
            for path in case["gold"]:
                if path.endswith(".py") and path in index.snapshot.number:
                    diff = rules.git(clone, "diff", "-U0", case["parent"], case["commit"], "--", path)
                    gold |= touched(index, path, diff)
            for variant, query in queries.items() if gold else ():
                ranked = [(s.path, s.symbol, s.start) for s in index.rank(query).ranked_symbols if s.kind in KINDS]
                got[variant].append([len(gold & set(ranked[:k])) / len(gold) for k in (1, 5, 10, 20)])
    for variant, rows in got.items():
        figures = zip((1, 5, 10, 20), np.mean(rows, axis=0), strict=True)
        print(f"{variant:8s} n={len(rows):3d}  " + "  ".join(f"func@{k} {x:.3f}" for k, x in figures))


if __name__ == "__main__":
    main()
