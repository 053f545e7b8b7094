from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loom_jupyter.context.index import Index

Open = Callable[..., Index]


def test_why_names_rule_place_and_points(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank("what is in src/tariff.py", tagged=["README.md"])
    assert "number 1 of" in ledger.why(ledger.scores[0][0])
    assert "You named this file with a tag. (README.md)" in ledger.why("README.md")


def test_why_not_compares_with_the_first(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank("tariff of a parcel")
    best, last = ledger.scores[0][0], ledger.scores[-1][0]
    assert "first already" in ledger.why_not(best)
    assert f"behind {best}" in ledger.why_not(last)
    assert "no evidence" in ledger.why_not("nowhere.py")
    assert "Did you mean src/tariff.py?" in ledger.why_not("src/tarif.py")


def test_compare_shows_what_changed(shop: Path, opened: Open) -> None:
    index = opened(shop)
    before = index.rank("tariff")
    assert before.compare(before).empty
    frame = index.rank("tariff", tagged=["README.md"]).compare(before)
    row = frame[frame.path == "README.md"].iloc[0]
    assert row["change"] == 40
    assert "tagged +40.0" in row["because"]
