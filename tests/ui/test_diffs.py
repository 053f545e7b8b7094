from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st
from loom_jupyter.ui.diffs import rows

LINES = st.lists(st.sampled_from(["a", "b", "", "  c", "--- x", "+++ y", "@ z", "-d", "+e"]), max_size=30)


def unified(before: list[str], after: list[str]) -> str:
    return "\n".join(difflib.unified_diff(before, after, "a/x", "b/x", lineterm=""))


@given(LINES, LINES)
def test_every_row_stands_at_its_line_of_the_right_file(before: list[str], after: list[str]) -> None:
    for row in rows(unified(before, after), None):
        if row.kind == "removed":
            assert before[(row.number or 0) - 1] == row.text
        elif row.kind in ("same", "added"):
            assert after[(row.number or 0) - 1] == row.text


@given(LINES, LINES)
def test_no_change_is_lost(before: list[str], after: list[str]) -> None:
    found = rows(unified(before, after), None)
    same = sum(block.size for block in difflib.SequenceMatcher(None, before, after).get_matching_blocks())
    assert sum(row.kind == "removed" for row in found) == len(before) - same
    assert sum(row.kind == "added" for row in found) == len(after) - same


@given(st.text(max_size=300))
def test_anything_that_is_no_diff_is_borne(text: str) -> None:
    rows(text)


def test_hunks_are_set_apart() -> None:
    diff = unified(list("abcdefghijklmnop"), list("XbcdefghijklmnoY"))
    assert [row.kind for row in rows(diff)].count("gap") == 1


def test_a_missing_end_of_line_is_a_note() -> None:
    diff = "--- a\n+++ b\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n"
    assert [row.kind for row in rows(diff)] == ["removed", "note", "added"]


def test_a_long_diff_is_cut_with_a_note() -> None:
    diff = "@@ -0,0 +1,1000 @@\n" + "+x\n" * 1000
    cut = rows(diff, 10)
    assert len(cut) == 11
    assert "990 more lines" in cut[-1].text
    assert len(rows(diff, None)) == 1000


def test_an_endless_line_is_cut_with_a_note() -> None:
    assert "more characters" in rows("@@ -0,0 +1 @@\n+" + "x" * 10_000)[0].text


def test_carriage_returns_do_not_show() -> None:
    assert rows("@@ -1 +1 @@\n-x\r\n+y\r\n")[0].text == "x"
