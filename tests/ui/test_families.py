from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.context.rules import FAMILIES as RULE_FAMILIES
from loom_jupyter.context.rules import TABLE
from loom_jupyter.runs.events import EvidenceRow, RankedFile
from loom_jupyter.ui.families import BLOCKS, FAMILIES, family, family_of, shares, why


def row(rule: str, points: float, **more: str) -> EvidenceRow:
    return EvidenceRow(path="a.py", rule=rule, points=points, detail=more.pop("detail", ""), **more)


def test_the_families_are_those_of_the_rules() -> None:
    assert tuple(RULE_FAMILIES) == FAMILIES
    assert set(BLOCKS) == set(FAMILIES)
    assert len(set(BLOCKS.values())) == len(FAMILIES)


@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: rule.name)
def test_a_log_without_families_gives_each_rule_its_own(rule) -> None:
    assert family(rule.name) == rule.family


def test_a_row_that_names_its_family_is_believed() -> None:
    assert family_of(row("tagged", 1, family="git")) == "git"
    assert family_of(row("tagged", 1, family="of tomorrow")) == "mention"


@given(st.lists(st.tuples(st.sampled_from([rule.name for rule in TABLE]), st.floats(0.1, 50)), min_size=1))
def test_the_parts_of_a_bar_add_up_to_the_score(found: list[tuple[str, float]]) -> None:
    rows = [row(rule, points) for rule, points in found]
    score = sum(points for _, points in found) / 2  # as if halved
    parts = shares(RankedFile(rank=1, path="a.py", score=score, rows=rows), longest=2 * score)
    assert sum(part.width for part in parts) == pytest.approx(0.5)


def test_a_file_without_a_score_has_no_bar() -> None:
    assert shares(RankedFile(rank=1, path="a", score=0, rows=[]), 0) == []


def test_the_strongest_evidence_comes_first() -> None:
    rows = [row("x", 1, detail="weak"), row("y", -9, detail="halved"), row("z", 5, detail="strong")]
    assert why(RankedFile(rank=1, path="a", score=1, rows=rows), most=2) == "halved · strong"
