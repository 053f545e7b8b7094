"""The Evidence Ledger: why each file has its place."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from loom_jupyter import invisible
from loom_jupyter.context.rank import GRAIN, Piece, total
from loom_jupyter.context.rules import TABLE
from loom_jupyter.errors import LoomError
from loom_jupyter.notebook_state import NOTEBOOK

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from loom_jupyter.context.snapshot import Snapshot

STORED_SYMBOLS = 200
FAMILY = {r.name: r.family for r in TABLE}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One row of the ledger.

    Attributes
    ----------
    detail
        What was seen: the term, the mention, the commit.
    line
        1-based, within the cell for notebooks; None where the evidence has no place.
    symbol
        The symbol or cell around the line.
    """

    path: str
    rule: str
    points: float
    detail: str
    line: int | None = None
    symbol: str | None = None


class RankedSymbol(NamedTuple):
    """A symbol with its score.

    Attributes
    ----------
    sha256
        Digest of the file that its lines were counted in.
    """

    path: str
    symbol: str | None
    kind: str
    start: int
    end: int
    score: float
    signature: str = ""
    evidence: str = ""
    cell: str | None = None
    sha256: str = ""


class Ledger:
    """A ranking with all its evidence. The points of a file's rows add up to its score exactly.

    Attributes
    ----------
    query
        The request.
    """

    def __init__(
        self,
        query: str,
        paths: Sequence[str],
        points: Sequence[float],
        rows: Callable[[], list[Evidence]],
        symbols: Callable[[], list[RankedSymbol]],
    ) -> None:
        self.query = query
        self._paths, self._points = paths, points  # best first, not as pairs: a large tree has very many
        self._make_rows = rows
        self._make_symbols = symbols

    @classmethod
    def of(
        cls,
        query: str,
        snapshot: Snapshot,
        pieces: Sequence[Piece],
        symbols: Callable[[Ledger], list[RankedSymbol]],
        beside: Sequence[tuple[str, str, int]] = (),
    ) -> Ledger:
        """Make the ledger of some evidence.

        Parameters
        ----------
        beside
            Rule, detail and 1/128 points of what is in no file but in the notebook.
        """
        score = total(len(snapshot.paths), pieces)
        order = np.argsort(-score, kind="stable")
        seen = np.zeros(score.size, bool)
        for piece in pieces:
            seen[piece.file] = True
        order = order[seen[order]]
        paths, points = snapshot.names[order].tolist(), (score[order] / GRAIN).tolist()
        if beside:
            own = sum(grains for _, _, grains in beside) / GRAIN
            place = next((n for n, other in enumerate(points) if other < own), len(points))
            paths.insert(place, NOTEBOOK)
            points.insert(place, own)
        made = cls(
            query,
            paths,
            points,
            lambda: _rows(snapshot, pieces, paths, beside),
            lambda: symbols(made),
        )
        return made

    @cached_property
    def rows(self) -> list[Evidence]:
        """All evidence, best file first, strongest row first."""
        return self._make_rows()

    @cached_property
    def ranked_symbols(self) -> list[RankedSymbol]:
        """Symbols of the best files, best first."""
        return self._make_symbols()

    @cached_property
    def scores(self) -> list[tuple[str, float]]:
        """Path and score of each file with any evidence, best first."""
        return list(zip(self._paths, self._points, strict=True))

    def __len__(self) -> int:
        return len(self._paths)

    @cached_property
    def _by_path(self) -> dict[str, list[Evidence]]:
        out: dict[str, list[Evidence]] = {path: [] for path in self._paths}
        for row in self.rows:
            out[row.path].append(row)
        return out

    def evidence(self, path: str) -> list[Evidence]:
        """Return the rows of one file, strongest first."""
        return list(self._by_path.get(path, ()))

    def top(self, n: int = 8) -> list[dict[str, Any]]:
        """Return the first `n` files as plain data: rank, path, score, rows (each with its rule's family)."""

        def rows(path: str) -> list[dict[str, Any]]:
            return [{**asdict(row), "family": FAMILY.get(row.rule, "term")} for row in self.evidence(path)]

        return [
            {"rank": rank, "path": path, "score": score, "rows": rows(path)}
            for rank, (path, score) in enumerate(zip(self._paths[:n], self._points, strict=False), 1)
        ]

    def files(self) -> pd.DataFrame:
        """Return one row a file, best first: rank, path, score."""
        import pandas as pd

        return pd.DataFrame(
            {
                "rank": np.arange(1, len(self) + 1),
                "path": pd.Series(self._paths, dtype="str"),
                "score": np.array(self._points, np.float64),
            }
        )

    def dataframe(self) -> pd.DataFrame:
        """Return one row a piece of evidence: rank, path, rule, points, detail, line, symbol."""
        import pandas as pd

        rank = {path: n for n, path in enumerate(self._paths, 1)}
        rows = self.rows
        rules = list(dict.fromkeys([*(r.name for r in TABLE), *(r.rule for r in rows)]))
        return pd.DataFrame(
            {
                "rank": np.array([rank[r.path] for r in rows], np.int64),
                "path": pd.Series([r.path for r in rows], dtype="str"),
                "rule": pd.Categorical([r.rule for r in rows], categories=rules),
                "points": np.array([r.points for r in rows], np.float64),
                "detail": pd.Series([r.detail for r in rows], dtype="str"),
                "line": pd.array([r.line for r in rows], dtype="Int64"),
                "symbol": pd.Series([r.symbol for r in rows], dtype="str"),
            }
        )

    def polars(self) -> pl.DataFrame:
        """Return `dataframe` as a Polars DataFrame; the rule is an enum.

        Raises
        ------
        LoomError
            If Polars is not installed.
        """
        _need("polars", "polars", "pyarrow")
        with _connected(self) as con:
            return con.sql("from ledger").pl()

    def arrow(self) -> pa.Table:
        """Return `dataframe` as an Arrow table; the rule is a dictionary.

        Raises
        ------
        LoomError
            If PyArrow is not installed.
        """
        _need("arrow", "pyarrow")
        with _connected(self) as con:
            return con.sql("from ledger").to_arrow_table()

    def symbols(self) -> pd.DataFrame:
        """Return one row a symbol, best first: rank, path, symbol, kind, start, end, score."""
        import pandas as pd

        found = self.ranked_symbols
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(found) + 1),
                "path": pd.Series([s.path for s in found], dtype="str"),
                "symbol": pd.Series([s.symbol for s in found], dtype="str"),
                "kind": pd.Series([s.kind for s in found], dtype="str"),
                "start": np.array([s.start for s in found], np.int64),
                "end": np.array([s.end for s in found], np.int64),
                "score": np.array([s.score for s in found], np.float64),
            }
        )

    def why(self, path: str) -> str:
        """Say what speaks for a file."""
        return why(self, path)

    def why_not(self, path: str) -> str:
        """Say what keeps a file from standing higher."""
        return why_not(self, path)

    def compare(self, other: Ledger) -> pd.DataFrame:
        """Return the files whose place or score differs from `other`, an earlier ledger or another request's."""
        return compare(other, self)

    def to_json(self) -> str:
        """Return the ledger as JSON, for `from_json`."""
        return json.dumps(
            {
                "v": 1,
                "query": self.query,
                "files": self.scores,
                "rows": [list(asdict(r).values()) for r in self.rows],
                "symbols": [list(s) for s in self.ranked_symbols[:STORED_SYMBOLS]],
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Ledger:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        rows = [Evidence(*r) for r in data["rows"]]
        symbols = [RankedSymbol(*s) for s in data["symbols"]]
        paths, points = [p for p, _ in data["files"]], [s for _, s in data["files"]]
        return cls(data["query"], paths, points, lambda: rows, lambda: symbols)

    def __repr__(self) -> str:
        from loom_jupyter.context.ledger_view import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from loom_jupyter.context.ledger_view import as_html

        return as_html(self)


def _need(method: str, *modules: str) -> None:
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    if missing:
        wanted = " ".join(missing)
        raise LoomError(
            f"ledger.{method}() needs {' and '.join(missing)}: pip install {wanted}; dataframe() needs neither."
        )


@contextmanager
def _connected(ledger: Ledger) -> Iterator[duckdb.DuckDBPyConnection]:
    """Lend a database that sees the ledger's rows as a table."""
    import duckdb

    with duckdb.connect(":memory:") as con:
        con.register("ledger", ledger.dataframe())
        yield con


def _rows(
    snapshot: Snapshot, pieces: Sequence[Piece], paths: Sequence[str], beside: Sequence[tuple[str, str, int]]
) -> list[Evidence]:
    place = {path: n for n, path in enumerate(paths)}
    order = {r.name: n for n, r in enumerate(TABLE)}
    out: list[tuple[int, float, int, Evidence]] = []
    for piece in pieces:
        columns = (piece.file.tolist(), piece.points.tolist(), piece.line.tolist())
        for number, points, line in zip(*columns, strict=True):
            path = snapshot.paths[number]
            around = snapshot.at(number, line) if line else None
            row = Evidence(
                path,
                piece.rule,
                points / GRAIN,
                piece.detail if isinstance(piece.detail, str) else piece.detail(number),
                line - (around.base if around else 0) if line else None,
                (around.name if around.kind != "cell" else around.cell) if around else None,
            )
            out.append((place[path], -row.points, order[piece.rule], row))
    for rule, detail, grains in beside:
        row = Evidence(NOTEBOOK, rule, grains / GRAIN, detail)
        out.append((place[NOTEBOOK], -row.points, order[rule], row))
    out.sort(key=lambda item: (*item[:3], item[3].detail, item[3].line or 0))
    return [row for *_, row in out]


# A ledger in words: why a file has its place, and what changed between two ledgers.


SENTENCE = {r.name: r.sentence for r in TABLE}
MAX_REASONS = 8


def why(ledger: Ledger, path: str) -> str:
    """Say what speaks for a file, strongest first."""
    place = _place(ledger, path)
    if place is None:
        return why_not(ledger, path)
    rank, score = place
    rows = ledger.evidence(path)
    lines = [f"{invisible.name(path)} is number {rank} of {len(ledger)} with {score:.1f} points:"]
    lines += [f"  {r.points:+6.1f}  {SENTENCE.get(r.rule, r.rule)} ({_where(r)})" for r in rows[:MAX_REASONS]]
    if len(rows) > MAX_REASONS:
        lines.append(f"  {sum(r.points for r in rows[MAX_REASONS:]):+6.1f}  {len(rows) - MAX_REASONS} more rows")
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
    return "\n".join(lines[: MAX_REASONS + 1])


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
