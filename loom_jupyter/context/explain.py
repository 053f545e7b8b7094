"""A ledger in words: why a file stands where it stands, and what changed between two ledgers."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from loom_jupyter import invisible
from loom_jupyter.context.rules import TABLE

if TYPE_CHECKING:
    import pandas as pd

    from loom_jupyter.context.ledger import Evidence, Ledger

SENTENCE = {r.name: r.sentence for r in TABLE}
MOST = 8


def why(ledger: Ledger, path: str) -> str:
    """Say what speaks for a file, strongest first."""
    place = _place(ledger, path)
    if place is None:
        return why_not(ledger, path)
    rank, score = place
    rows = ledger.evidence(path)
    lines = [f"{invisible.name(path)} is number {rank} of {len(ledger)} with {score:.1f} points:"]
    lines += [f"  {r.points:+6.1f}  {SENTENCE.get(r.rule, r.rule)} ({_where(r)})" for r in rows[:MOST]]
    if len(rows) > MOST:
        lines.append(f"  {sum(r.points for r in rows[MOST:]):+6.1f}  {len(rows) - MOST} more rows")
    return "\n".join(lines)


def why_not(ledger: Ledger, path: str) -> str:
    """Say what keeps a file from standing higher than the best one."""
    if not len(ledger):
        return f"No file shows any evidence for this request, {invisible.name(path)} neither."
    best, top = ledger.scores[0]
    place = _place(ledger, path)
    if place is None:
        near = get_close_matches(path, [p for p, _ in ledger.scores], 1, 0.6)
        hint = f" Did you mean {invisible.name(near[0])}?" if near else ""
        nothing = "no word of it stands in the file, its path or its history"
        return f"{invisible.name(path)} shows no evidence for this request: {nothing}.{hint}"
    rank, score = place
    if rank == 1:
        return f"{invisible.name(path)} is the first already, with {score:.1f} points."
    own = _by_rule(ledger.evidence(path))
    others = _by_rule(ledger.evidence(best))
    behind = f"{top - score:.1f} behind {invisible.name(best)}"
    lines = [f"{invisible.name(path)} is number {rank} with {score:.1f} points, {behind}:"]
    gaps = sorted(((others.get(r, 0.0) - own.get(r, 0.0), r) for r in {*own, *others}), reverse=True)
    lines += [
        f"  {gap:6.1f}  {rule}: {own.get(rule, 0.0):.1f} against {others.get(rule, 0.0):.1f}"
        for gap, rule in gaps
        if gap > 0
    ]
    return "\n".join(lines[: MOST + 1])


def compare(before: Ledger, after: Ledger) -> pd.DataFrame:
    """Return one row a file whose place or score differs: rank and score before and after, and what changed."""
    import pandas as pd

    old = {p: (n, s) for n, (p, s) in enumerate(before.scores, 1)}
    new = {p: (n, s) for n, (p, s) in enumerate(after.scores, 1)}
    rows = []
    for path in [*new, *(p for p in old if p not in new)]:
        (rank, score), (rank_then, score_then) = new.get(path, (None, 0.0)), old.get(path, (None, 0.0))
        if (rank, score) == (rank_then, score_then):
            continue
        was, now = _by_rule(before.evidence(path)), _by_rule(after.evidence(path))
        moved = sorted(
            ((now.get(r, 0.0) - was.get(r, 0.0), r) for r in {*was, *now}), key=lambda m: (-abs(m[0]), m[1])
        )
        said = ", ".join(f"{rule} {points:+.1f}" for points, rule in moved[:3] if points)
        rows.append((path, rank_then, rank, score_then, score, score - score_then, said))
    columns = ["path", "rank_before", "rank", "score_before", "score", "change", "because"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"path": "str", "rank_before": "Int64", "rank": "Int64", "because": "str"})


def _place(ledger: Ledger, path: str) -> tuple[int, float] | None:
    return next(((n, s) for n, (p, s) in enumerate(ledger.scores, 1) if p == path), None)


def _where(row: Evidence) -> str:
    place = f" in {row.symbol}" if row.symbol else ""
    return invisible.name(f"{row.detail}{place}{f', line {row.line}' if row.line else ''}")


def _by_rule(rows: list[Evidence]) -> dict[str, float]:
    out: dict[str, float] = {}
    for row in rows:
        out[row.rule] = out.get(row.rule, 0.0) + row.points
    return out
