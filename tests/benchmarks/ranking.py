"""Measure the ranking on real commits and requests: table, ablation, and weights chosen without the repository.

    python -m tests.benchmarks.ranking --scorer evaluate.py --cases dev.jsonl requests.jsonl --repos DIR \
        [--repo owner/name] [--pieces FILE] [--terms FILE] [--ablate] [--held-out]

`--scorer` is the file that defines how a case is checked out, asked and scored. Every case is ranked once and the
points of each rule are kept (`--pieces` keeps them between calls), so that a ranking without a rule, or with other
points for it, is a sum and needs no new index. That is exact for rules whose points stand for themselves; the
rules 'term in ...' share one scale and are weighed together, as `fields`.
"""

from __future__ import annotations

import argparse
import collections
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loom_jupyter.context.index import Index
from loom_jupyter.context.rank import ORDER
from loom_jupyter.context.rules import TABLE
from tests.benchmarks import commits

VARIANTS = ("full", "nopath", "request")
DEPTH = 300
TAKEN = [r.name for r in TABLE if r.points < 0]
GIVEN = ["tagged", "path mentioned", "named by the check", "changed in git"]
COLUMNS = ["fields", *(r.name for r in TABLE if r.name not in (*TAKEN, *GIVEN, *ORDER))]
TEMPERATURE, TIE, STEPS, RATE = 3.0, 0.003, 300, 0.03


@dataclass
class Ranked:
    """One case, asked one way.

    Attributes
    ----------
    points
        Points of each rule of `COLUMNS` (column) for the best files and the gold ones (row), already lessened for
        tests, documentation and configuration.
    given
        Points of `GIVEN`, which are never weighed.
    gold
        Which rows are gold; `of` tells how many files are.
    """

    repo: str
    variant: str
    points: np.ndarray
    given: np.ndarray
    gold: np.ndarray
    of: int


def rank(
    index: Index, repo: str, variant: str, query: str, gold: Sequence[str], terms: Sequence[str] = ()
) -> Ranked:
    """Rank one query and keep the points by rule."""
    ledger = index.rank(query, terms=terms)
    kept = list(
        dict.fromkeys([p for p, _ in ledger.scores[:DEPTH]] + [p for p in gold if p in index.snapshot.number])
    )
    points = np.zeros((len(kept), len(COLUMNS)))
    given, taken = np.zeros(len(kept)), np.zeros(len(kept))
    for row, path in enumerate(kept):
        for e in ledger.evidence(path):
            if e.rule in GIVEN:
                given[row] += e.points
            elif e.rule in TAKEN:
                taken[row] += e.points
            else:
                points[row, COLUMNS.index("fields" if e.rule in ORDER else e.rule)] += e.points
    whole = points.sum(1)
    points *= (1 + taken / np.where(whole > 0, whole, 1))[:, None]
    return Ranked(repo, variant, points, given, np.array([p in set(gold) for p in kept]), len(gold))


def measure(case: Ranked, weights: np.ndarray) -> tuple[float, float]:
    """Return R@10 and the reciprocal rank."""
    score = case.points @ weights + case.given
    places = [int((score > s).sum()) + 1 for s in score[case.gold]]
    return sum(p <= 10 for p in places) / case.of, 1 / min(places, default=np.inf)


def table(cases: Sequence[Ranked], weights: Sequence[np.ndarray]) -> None:
    """Print R@10 and MRR by repository and variant; `weights` has one entry a case."""
    got = [measure(c, w) for c, w in zip(cases, weights, strict=True)]
    for variant in VARIANTS:
        rows = collections.defaultdict(list)
        for case, pair in zip(cases, got, strict=True):
            if case.variant == variant:
                rows[case.repo].append(pair)
                rows["all"].append(pair)
        for repo, pairs in sorted(rows.items(), key=lambda item: (item[0] == "all", item[0])):
            recall, mrr = np.mean(pairs, axis=0)
            print(f"{variant:8s} {repo:24s} n={len(pairs):3d}  R@10 {recall:.3f}  MRR {mrr:.3f}")


def ablate(cases: Sequence[Ranked]) -> None:
    """Print what R@10 and MRR lose without each rule."""
    every = np.ones(len(COLUMNS))
    print(f"{'without':28s}" + "".join(f"{v:>18s}" for v in VARIANTS))
    for n, name in enumerate(COLUMNS):
        without = every.copy()
        without[n] = 0
        line = f"{name:28s}"
        for variant in VARIANTS:
            part = [c for c in cases if c.variant == variant]
            if part:
                change = np.mean([np.subtract(measure(c, without), measure(c, every)) for c in part], axis=0)
                line += f"   {change[0]:+.3f} / {change[1]:+.3f}"
        print(line)


def fit(cases: Sequence[Ranked]) -> np.ndarray:
    """Choose factors for the points: softmax over files, gradient descent (Adam), drawn towards 1."""
    size = collections.Counter((c.repo, c.variant) for c in cases)
    share = np.array([1 / size[c.repo, c.variant] for c in cases]) / len(size)
    weights, speed, spread = np.ones(len(COLUMNS)), np.zeros(len(COLUMNS)), np.zeros(len(COLUMNS))
    for step in range(1, STEPS + 1):
        slope = 2 * TIE * (weights - 1)
        for case, part in zip(cases, share, strict=True):
            if case.gold.any():
                score = (case.points @ weights + case.given) / TEMPERATURE
                chance = np.exp(score - score.max())
                chance /= chance.sum()
                slope += part * (chance @ case.points - case.points[case.gold].mean(0)) / TEMPERATURE
        speed = 0.9 * speed + 0.1 * slope
        spread = 0.99 * spread + 0.01 * slope**2
        move = (speed / (1 - 0.9**step)) / (np.sqrt(spread / (1 - 0.99**step)) + 1e-9)
        weights = np.maximum(0, weights - RATE * move)
    return weights


def held_out(cases: Sequence[Ranked]) -> None:
    """Print the table with factors chosen, for each repository, on the others."""
    chosen = {repo: fit([c for c in cases if c.repo != repo]) for repo in sorted({c.repo for c in cases})}
    for n, name in enumerate(COLUMNS):
        print(f"{name:28s}" + " ".join(f"{w[n]:5.2f}" for w in chosen.values()))
    table(cases, [chosen[c.repo] for c in cases])


def main() -> None:
    """Read the command line and print what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", type=Path, required=True)
    parser.add_argument("--cases", type=Path, nargs="+", required=True)
    parser.add_argument("--repos", type=Path, required=True)
    parser.add_argument("--repo", action="append")
    parser.add_argument("--pieces", type=Path)
    parser.add_argument("--terms", type=Path)
    parser.add_argument("--ablate", action="store_true")
    parser.add_argument("--held-out", action="store_true")
    args = parser.parse_args()
    if args.pieces and args.pieces.exists():
        cases = pickle.loads(args.pieces.read_bytes())
    else:
        rules = commits.scorer(args.scorer)
        terms = json.loads(args.terms.read_text("utf-8")) if args.terms else {}
        cases = [
            rank(index, repo, variant, query, case["gold"], terms.get(case["commit"], ()))
            for repo, some in commits.by_repo(args.cases, args.repo).items()
            for case, queries, index, _ in commits.visit(repo, some, args.repos, rules)
            for variant, query in queries.items()
        ]
        if args.pieces:
            args.pieces.write_bytes(pickle.dumps(cases))
    print("as it is")
    table(cases, [np.ones(len(COLUMNS))] * len(cases))
    if args.ablate:
        ablate(cases)
    if args.held_out:
        print("\nfactors chosen on the other repositories")
        held_out(cases)


if __name__ == "__main__":
    main()
