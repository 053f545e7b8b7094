from __future__ import annotations

import difflib

from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.events import ProposedFile
from loom_jupyter.runs.compose import change
from loom_jupyter.runs.diffs import before, hunks, parts
from loom_jupyter.runs.document import Change, DiffRow
from loom_jupyter.ui.text import diff_rows

LINES = st.lists(st.sampled_from(["a", "b", "", "  c", "--- x", "+++ y", "@ z", "-d", "+e"]), max_size=30)


def changed(diff: str) -> Change:
    return change(ProposedFile(path="x", added=0, removed=0, diff=diff))


def rows(diff: str) -> list[DiffRow]:
    return [row for part in parts(diff) for row in part.rows]


def unified(before: list[str], after: list[str]) -> str:
    return "\n".join(difflib.unified_diff(before, after, "a/x", "b/x", lineterm=""))


@given(LINES, LINES)
def test_every_row_stands_at_its_line_of_the_right_file(old: list[str], new: list[str]) -> None:
    for row in rows(unified(old, new)):
        if row.kind == "removed":
            assert old[(row.number or 0) - 1] == row.text
        elif row.kind in ("same", "added"):
            assert new[(row.number or 0) - 1] == row.text


@given(LINES, LINES)
def test_no_change_is_lost(old: list[str], new: list[str]) -> None:
    found = rows(unified(old, new))
    same = sum(block.size for block in difflib.SequenceMatcher(None, old, new).get_matching_blocks())
    assert sum(row.kind == "removed" for row in found) == len(old) - same
    assert sum(row.kind == "added" for row in found) == len(new) - same


@given(st.text(max_size=300))
def test_anything_that_is_no_diff_is_borne(text: str) -> None:
    rows(text)


def test_hunks_are_set_apart() -> None:
    diff = unified(list("abcdefghijklmnop"), list("XbcdefghijklmnoY"))
    assert len(parts(diff)) == 2
    assert [text for *_, text in diff_rows(changed(diff))].count("⋯") == 1


def test_a_missing_end_of_line_is_a_note() -> None:
    diff = "--- a\n+++ b\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n"
    assert [row.kind for row in rows(diff)] == ["removed", "note", "added"]


def test_a_long_diff_is_cut_with_a_note() -> None:
    diff = "@@ -0,0 +1,1000 @@\n" + "+x\n" * 1000
    cut = list(diff_rows(changed(diff), 10))
    assert len(cut) == 11
    assert "990 more lines" in cut[-1][-1]
    assert len(list(diff_rows(changed(diff), None))) == 1000


def test_an_endless_line_is_cut_with_a_note() -> None:
    assert "more characters" in rows("@@ -0,0 +1 @@\n+" + "x" * 10_000)[0].text


def test_carriage_returns_do_not_show() -> None:
    assert rows("@@ -1 +1 @@\n-x\r\n+y\r\n")[0].text == "x"


def test_lines_that_look_like_headers_are_lines() -> None:
    diff = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a/comment\n+++ b/comment\n select\n@@ -9 +9 @@\n-a\n+b\n"
    found = parts(diff)
    assert [part.old_start for part in found] == [1, 9]
    assert [row.text for row in found[0].rows if row.kind != "added"] == ["-- a/comment", "select"]


def test_the_cells_of_a_notebook_are_named_and_told_apart() -> None:
    head = "--- a/n.ipynb (cell {0})\n+++ b/n.ipynb (cell {0})\n"
    change = "@@ -1 +1 @@\n-1\n\\ No newline at end of file\n+2\n"
    found = parts(head.format("a1") + change + head.format("b2") + change)
    assert [part.cell for part in found] == ["a1", "b2"]
    assert [[row.kind for row in part.rows] for part in found] == [["removed", "note", "added"]] * 2
    assert list(hunks(found)) == [("a1", 1), ("b2", 1)]


def test_a_hunk_is_lines_that_change_together() -> None:
    diff = "@@ -1,3 +1,3 @@\n-a\n+b\n same\n-c\n+d\n"
    assert [hunk.line for hunk in changed(diff).hunks] == [1, 3]
    assert [str(hunk.text) for hunk in changed(diff).hunks] == ["line 1", "line 3"]


def test_what_a_diff_was_made_of_is_exact() -> None:
    long = "x" * 1000 + "\u200b"
    assert before(f"@@ -2,2 +2,2 @@\n-{long}\n+B\n c\n") == [(2, (long, "c"))]
    assert before("@@ -0,0 +1 @@\n+x\n") == [(0, ("",))]
