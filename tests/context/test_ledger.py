from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from loom_jupyter.context.index import Index
from loom_jupyter.context.ledger import Ledger

Open = Callable[..., Index]
REQUEST = "tariff of a parcel"


def test_frames_have_the_promised_columns(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank(REQUEST)
    assert list(ledger.files()) == ["rank", "path", "score"]
    assert list(ledger.dataframe()) == ["rank", "path", "rule", "points", "detail", "line", "symbol"]
    assert list(ledger.symbols()) == ["rank", "path", "symbol", "kind", "start", "end", "score"]
    assert isinstance(ledger.dataframe()["rule"].dtype, pd.CategoricalDtype)
    assert ledger.files()["rank"].tolist() == list(range(1, len(ledger) + 1))
    assert ledger.files()["score"].is_monotonic_decreasing


def test_lines_and_symbols_are_where_the_word_stands(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank("decimal release")
    for row in ledger.evidence("src/tariff.py"):
        if row.line:
            assert row.detail in (shop / row.path).read_text().split("\n")[row.line - 1].lower()
    assert {r.symbol for r in ledger.evidence("src/tariff.py") if r.detail == "release"} == {"Depot.release"}


def test_json_round_trip(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank(REQUEST)
    again = Ledger.from_json(ledger.to_json())
    assert again.rows == ledger.rows
    assert again.to_json() == ledger.to_json()
    assert again.files().equals(ledger.files())
    assert repr(again) == repr(ledger)
    assert again.symbols().head(3).equals(ledger.symbols().head(3))


def test_top_is_plain_data(shop: Path, opened: Open) -> None:
    (first, second) = opened(shop).rank(REQUEST).top(2)
    assert (first["rank"], second["rank"]) == (1, 2)
    assert sum(r["points"] for r in first["rows"]) == first["score"]


def test_html_is_escaped_and_scriptless(make: Callable[..., Path], opened: Open) -> None:
    root = make({"<b>&\"'.py": "def evil(): pass\n", "x.md": "# <script>evil()</script>\n"})
    html = opened(root).rank("evil <img src=x onerror=alert(1)>")._repr_html_()
    body = html.split("</style>")[1]
    assert "<script" not in body
    assert "<b>" not in body
    assert "<img" not in body
    assert "&lt;b&gt;" in body
    assert not re.search(r"\son\w+=", body)
    assert body.count("<details>") == body.count("</details>") == 2


def test_text_shows_the_score(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank(REQUEST)
    first = repr(ledger).splitlines()[0]
    assert first.split()[:2] == ["1", ledger.scores[0][0]]
    assert f"{ledger.scores[0][1]:.1f}" in first
