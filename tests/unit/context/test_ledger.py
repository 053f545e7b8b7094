from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from loom_jupyter.context import ledger_view
from loom_jupyter.context.index import Index
from loom_jupyter.context.ledger import Ledger
from loom_jupyter.errors import LoomError

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


def test_a_ledger_of_another_version_keeps_its_rules(shop: Path, opened: Open) -> None:
    text = opened(shop).rank(REQUEST).to_json().replace('"term in content"', '"an older rule"')
    frame = Ledger.from_json(text).dataframe()
    assert "an older rule" in set(frame["rule"])
    assert not frame["rule"].isna().any()


def test_frames_have_sensible_dtypes(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank(REQUEST)
    for frame in (ledger.dataframe(), Ledger("", [], [], list, list).dataframe()):
        kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
        text = "str"
        assert kinds == {
            "rank": "int64", "path": text, "rule": "category", "points": "float64", "detail": text,
            "line": "Int64", "symbol": text,
        }  # fmt: skip


@pytest.mark.parametrize("method", ["arrow", "polars"])
def test_other_frames_say_what_is_missing(method: str, shop: Path, opened: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LoomError, match=r"pip install .*pyarrow"):
        getattr(Ledger("", [], [], list, list), method)()


def test_other_frames_hold_the_same(shop: Path, opened: Open) -> None:
    pytest.importorskip("pyarrow", reason="the user's own: heavier than all of Loom")
    ledger = opened(shop).rank(REQUEST)
    table = ledger.arrow()
    assert table.column_names == list(ledger.dataframe())
    assert table["points"].to_pylist() == ledger.dataframe()["points"].tolist()
    pytest.importorskip("polars", reason="the user's own: heavier than all of Loom")
    frame = ledger.polars()
    assert frame["line"].to_list() == table["line"].to_pylist()
    assert frame["rule"].to_list() == table["rule"].to_pylist()


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
    assert not re.search(r"\son\w+=", " ".join(re.findall(r"<[^>]*>", body)))
    assert body.count("<details>") == body.count("</details>") == 2


def test_bars_add_up_by_rule_and_have_a_legend(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank(REQUEST)
    for path, score in ledger.scores:
        if score > 0:
            assert sum(ledger_view.gains(ledger.evidence(path)).values()) == pytest.approx(score)
    style, body = ledger._repr_html_().split("</style>")
    best = ledger.evidence(ledger.scores[0][0])
    legend = body.split("<div class='k'>")[1]
    for rule in {r.rule for r in best if r.points > 0}:
        (name,) = set(re.findall(rf"<i class='c (r\d+)'></i> {re.escape(rule)}<", legend))
        assert f".{name}{{" in style
    assert "--jp-ui-font-color1" in style


def test_evidence_of_another_version_is_shown(shop: Path, opened: Open) -> None:
    text = opened(shop).rank(REQUEST).to_json().replace('"term in content"', '"an older rule"')
    assert "an older rule" in Ledger.from_json(text)._repr_html_()


def test_text_shows_the_score(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank(REQUEST)
    first = repr(ledger).splitlines()[0]
    assert first.split()[:2] == ["1", ledger.scores[0][0]]
    assert f"{ledger.scores[0][1]:.1f}" in first


def test_signs_that_terminals_and_pages_obey_are_shown_by_name(make: Callable[..., Path], opened: Open) -> None:
    name = "src/\x1b[2J\u202etariff\r.py"
    ledger = opened(make({name: "def tariff(): pass\n", "b.py": "x = tariff\n"})).rank("tariff")
    shown = [repr(ledger), ledger._repr_html_(), ledger.why(name), ledger.why_not("b.py"), ledger.why_not(name)]
    for text in shown:
        assert not set(text) & set("\x1b\u202e\r")
    assert "⟨U+001B⟩[2J⟨U+202E⟩tariff⟨U+000D⟩.py" in repr(ledger)
    assert ledger.evidence(name)
