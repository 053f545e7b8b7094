from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.models.protocol import Alternative, Branch, TokenScore
from loom_jupyter.pipeline.search.branch import Doubt, doubts, first_divergence, gap_at, gaps_at, line_candidates

TEXT = 'def price(w):\n    """Say a < b."""\n    # less than\n    if w < 2:\n        return 1\n    return 2\n'


def scored(text: str, others: dict[int, list[tuple[str, float]]]) -> list[TokenScore]:
    """Split into words and blanks; `others` maps a character offset to (text, log-probability)."""
    found = []
    for index, match in enumerate(re.finditer(r"\n|[ ]+|\w+|[^\w\s]+", text)):
        alternatives = tuple(
            Alternative(1000 + index * 10 + n, other, logprob)
            for n, (other, logprob) in enumerate(others.get(match.start(), []))
        )
        found.append(TokenScore(index, match.start(), match.group(), -1.0, alternatives))
    return found


def test_the_strongest_doubt_comes_first() -> None:
    less, one = TEXT.index("< 2"), TEXT.index("1\n")
    scores = scored(TEXT, {less: [("<=", -0.5), (">", -4.0)], one: [("7", -2.0)]})
    found = doubts(TEXT, scores, 10, python=True)
    assert [(d.start, d.margin) for d in found] == [(less, 0.5), (one, -1.0), (less, -3.0)]
    assert len(doubts(TEXT, scores, 1, python=True)) == 1


@pytest.mark.parametrize("place", ["Say", "less than"])
def test_comments_and_docstrings_are_left_alone(place: str) -> None:
    scores = scored(TEXT, {TEXT.index(place): [("other", -0.1)]})
    assert doubts(TEXT, scores, 10, python=True) == []


def test_a_string_that_is_a_value_is_not_left_alone() -> None:
    text = 'x = "say"\n'
    assert doubts(text, scored(text, {5: [("tell", -0.1)]}), 10, python=True)


@pytest.mark.parametrize("other", ["", " ", "\n", "x\ny", "```", "<"])
def test_alternatives_that_say_nothing_new_are_left_out(other: str) -> None:
    scores = scored(TEXT, {TEXT.index("< 2"): [(other, -0.1)]})
    assert doubts(TEXT, scores, 10, python=True) == []


def test_a_branch_replaces_its_line_or_stands_before_it() -> None:
    start = TEXT.index("< 2")
    replaced, inserted = line_candidates(TEXT, Doubt(Branch(9, 1), start, 0.5), "<= 2:")
    assert replaced.text == TEXT.replace("w < 2:", "w <= 2:")
    assert inserted.text == TEXT.replace("    if w < 2:", "    if w <= 2:\n    if w < 2:")
    assert (replaced.kind, inserted.kind) == ("replaced line", "inserted line")


@pytest.mark.parametrize("continuation", ["< 2:", "< 2:   "])
def test_the_same_line_is_no_candidate(continuation: str) -> None:
    assert line_candidates(TEXT, Doubt(Branch(9, 1), TEXT.index("< 2"), 0.5), continuation) == []


@given(
    st.integers(0, len(TEXT) - 1), st.text(st.characters(exclude_characters="\n\r\x85\u2028\u2029"), max_size=12)
)
def test_all_other_lines_stay(start: int, continuation: str) -> None:
    for candidate in line_candidates(TEXT, Doubt(Branch(0, 0), start, 0.0), continuation):
        old, new = TEXT.split("\n"), candidate.text.split("\n")
        line = TEXT.count("\n", 0, start)
        assert new[:line] == old[:line]
        kept = old[line + 1 :] if candidate.kind == "replaced line" else old[line:]
        assert new[line + 1 :] == kept


def test_a_copy_never_leaves_the_text() -> None:
    assert first_divergence(scored(TEXT, {10: [("x", -3.0)]})) is None
    start = TEXT.index("< 2")
    found = first_divergence(scored(TEXT, {start: [("<=", -0.5)]}))
    assert found is not None
    assert found.start == start


@pytest.mark.parametrize(
    ("at", "gap"),
    [
        (TEXT.index("if"), (TEXT[: TEXT.index("if")], "if w < 2:", TEXT[TEXT.index("\n        return 1") :])),
        (TEXT.index("2:"), (TEXT[: TEXT.index("if")], "if w < 2:", TEXT[TEXT.index("\n        return 1") :])),
        (0, ("", "def price(w):", TEXT[len("def price(w):") :])),
    ],
)
def test_the_gap_of_a_line_leaves_its_indentation(at: int, gap: tuple[str, str, str]) -> None:
    assert gap_at(TEXT, at) == gap
    assert "".join(gap) == TEXT


def test_gaps_are_taken_while_they_cost_little_reading() -> None:
    places = [TEXT.index("if"), TEXT.index("w <"), TEXT.index("return 1"), TEXT.index("return 2")]
    lines = [gap[1] for gap in gaps_at(TEXT, places, 12, 1000)]
    assert lines == ["if w < 2:", "return 1", "return 2"]
    assert [gap[1] for gap in gaps_at(TEXT, places, 2, 1000)] == lines[:2]
    assert [gap[1] for gap in gaps_at(TEXT, places, 12, 10)] == lines[:1]
