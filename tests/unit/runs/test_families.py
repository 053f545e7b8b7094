from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

from loom_jupyter.context.rules import FAMILIES as RULE_FAMILIES
from loom_jupyter.context.rules import TABLE
from loom_jupyter.events import EvidenceRow, LedgerMade, RankedFile
from loom_jupyter.loom import Loom
from loom_jupyter.runs.compose import compose, evidence_file, shares
from loom_jupyter.runs.families import BLOCKS, FAMILIES, css, family_of
from loom_jupyter.runs.view import view_of


def row(rule: str, points: float, **more: str) -> EvidenceRow:
    return EvidenceRow(path="a.py", rule=rule, points=points, detail=more.pop("detail", ""), **more)


def test_the_families_are_those_of_the_rules() -> None:
    assert tuple(RULE_FAMILIES) == FAMILIES
    assert set(BLOCKS) == set(FAMILIES)
    assert len(set(BLOCKS.values())) == len(FAMILIES)


def test_a_family_of_tomorrow_is_a_term() -> None:
    assert family_of(row("tagged", 1, family="git")) == "git"
    assert family_of(row("tagged", 1, family="of tomorrow")) == "term"


def test_the_ledger_names_the_family_of_every_row(tmp_path: Path) -> None:
    (tmp_path / "tariff.py").write_text("def tariff(weight):\n    return weight\n")
    found = RankedFile.model_validate(Loom(tmp_path).rank("tariff.py has a wrong weight").top()[0])
    assert {row.rule: row.family for row in found.rows}["path mentioned"] == "mention"
    assert all(row.family == {rule.name: rule.family for rule in TABLE}[row.rule] for row in found.rows)


@given(st.lists(st.tuples(st.sampled_from(FAMILIES), st.floats(0.1, 50)), min_size=1))
def test_the_parts_of_a_bar_add_up_to_the_score(found: list[tuple[str, float]]) -> None:
    rows = [row("x", points, family=family) for family, points in found]
    score = sum(points for _, points in found) / 2  # as if halved
    file = RankedFile(rank=1, path="a.py", score=score, rows=rows)
    best = RankedFile(rank=1, path="b.py", score=2 * score, rows=rows)
    assert sum(share.part for share in shares(file)) == pytest.approx(1)
    evidence = compose(view_of([LedgerMade(files=[best, file], total=2)]), 0).evidence
    assert evidence is not None
    shown = evidence.files[1]
    assert sum(evidence.width(shown, share) for share in shown.bar) == pytest.approx(0.5)


def test_a_file_without_a_score_has_no_bar() -> None:
    assert shares(RankedFile(rank=1, path="a", score=0, rows=[])) == ()


def test_the_strongest_evidence_comes_first() -> None:
    found = [("v", 1, "weak"), ("w", 2, "weaker"), ("y", -9, "halved"), ("z", 5, "strong")]
    rows = [row(rule, points, detail=detail) for rule, points, detail in found]
    assert evidence_file(RankedFile(rank=1, path="a", score=1, rows=rows)).why == "halved · strong · weaker"


def test_the_sidebar_has_the_style_sheet_of_the_table() -> None:
    sheet = ROOT / "labextension" / "style" / "families.css"
    assert sheet.read_text("utf-8").endswith(css())
    assert all(f".loom-f-{family} " in css() for family in FAMILIES)
