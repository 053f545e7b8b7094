from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, new_output

from loom_jupyter.edits import matching
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.merge import merge, three_way
from loom_jupyter.edits.notebook import with_new_cell

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=12)
# Where a line stands twice, two right merges may count it differently.
UNLIKE = st.lists(st.sampled_from([f"{letter}\n" for letter in "abcdefgh"]), max_size=8, unique=True)


@given(LINES, LINES, LINES)
def test_parts_join_to_the_three_texts(base: list[str], ours: list[str], theirs: list[str]) -> None:
    parts = list(merge(base, ours, theirs))
    for number, text in enumerate((base, ours, theirs)):
        assert [line for part in parts for line in part[number]] == text


@given(LINES, LINES)
def test_one_sided_changes_never_conflict(base: list[str], ours: list[str]) -> None:
    change = FileChange("f", "".join(base).encode(), "".join(ours).encode())
    same = three_way(change, change.before)
    assert (same.conflicts, same.merged) == (0, change)
    done = three_way(change, change.after)
    assert done.conflicts == 0
    assert done.merged is not None
    assert done.merged.after == change.after


def test_changes_apart_are_joined_and_bytes_kept() -> None:
    base = b"\xef\xbb\xbfone\r\ntwo\r\nthree\r\nfour\r\nfive"
    change = FileChange("f", base, base.replace(b"two", b"TWO"), 0o644)
    present = base.replace(b"five", b"FIVE")
    found = three_way(change, present)
    assert found.conflicts == 0
    assert found.merged == FileChange("f", present, base.replace(b"two", b"TWO").replace(b"five", b"FIVE"), 0o644)


def test_a_conflict_shows_all_three() -> None:
    found = three_way(FileChange("f", b"a\nb\nc", b"a\nx\nc"), b"a\ny\nc")
    assert found.merged is None
    assert found.conflicts == 1
    assert found.text == ("a\n<<<<<<< proposed\nx\n||||||| when it was read\nb\n=======\ny\n>>>>>>> now\nc")


@pytest.mark.parametrize("present", [None, b""])
def test_a_file_that_is_gone_conflicts(present: bytes | None) -> None:
    assert three_way(FileChange("f", b"a\n", b"b\n"), present).merged is None


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@given(base=UNLIKE, ours=UNLIKE, theirs=UNLIKE)
def test_what_is_joined_is_what_git_joins(
    tmp_path_factory: pytest.TempPathFactory, base: list[str], ours: list[str], theirs: list[str]
) -> None:
    found = three_way(FileChange("f", "".join(base).encode(), "".join(ours).encode()), "".join(theirs).encode())
    folder = tmp_path_factory.mktemp("merge")
    for name, text in (("ours", ours), ("base", base), ("theirs", theirs)):
        (folder / name).write_text("".join(text))
    git = subprocess.run(
        ["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=folder, capture_output=True, check=False
    )
    if git.returncode == 0 and found.merged is not None:
        assert sorted(found.merged.after.split()) == sorted(git.stdout.split())


def book(first: str, second: str, output: str = "") -> bytes:
    outputs = [new_output("stream", text=output)] if output else []
    cells = [new_code_cell(first, id="x", outputs=outputs), new_code_cell(second, id="y")]
    return nbformat.writes(new_notebook(cells=cells)).encode()


def test_a_notebook_that_was_run_meanwhile_is_joined() -> None:
    change = FileChange("n.ipynb", book("a = 1", "b = 1"), book("a = 2", "b = 1"))
    found = three_way(change, book("a = 1", "b = 3", "ran\n"))
    assert found.merged is not None
    assert found.merged.after == book("a = 2", "b = 3", "ran\n")
    clash = three_way(change, book("a = 7", "b = 1"))
    assert clash.merged is None
    assert clash.text.startswith("# cell x\n<<<<<<< proposed\na = 2\n")
    gone = nbformat.writes(new_notebook(cells=[new_code_cell("b = 1", id="y")])).encode()
    assert three_way(change, gone).merged is None


def cells(*sources: tuple[str, str]) -> bytes:
    return nbformat.writes(new_notebook(cells=[new_code_cell(text, id=name) for name, text in sources])).encode()


def test_cells_as_they_were_read_are_told_from_such_that_changed() -> None:
    change = FileChange("n.ipynb", book("a = 1\n\n\nz = 0", "b = 1"), book("a = 2\n\n\nz = 0", "b = 1"))
    assert three_way(change, book("a = 1\n\n\nz = 0", "b = 3", "ran\n")).intact
    near = three_way(change, book("a = 1\n\n\nz = 9", "b = 1"))
    assert near.merged is not None
    assert near.merged.after == book("a = 2\n\n\nz = 9", "b = 1")
    assert not near.intact
    assert not three_way(change, book("a = 7", "b = 1")).intact


def test_a_cell_that_is_added_comes_after_the_same_one_and_is_taken_away_again() -> None:
    before = cells(("x", "a"), ("y", "b"))
    after = with_new_cell("n.ipynb", before.decode(), "x", "new").encode()
    present = cells(("y", "b"), ("x", "a"), ("z", "c"))
    added = three_way(FileChange("n.ipynb", before, after), present)
    assert added.merged is not None
    assert added.intact
    now = added.merged.after
    assert [cell["source"] for cell in nbformat.reads(now.decode(), 4)["cells"]] == ["b", "a", "new", "c"]
    gone = three_way(FileChange("n.ipynb", after, before), now)
    assert gone.merged is not None
    assert gone.merged.after == present
    alone = cells(("y", "b"))
    assert three_way(FileChange("n.ipynb", before, after), alone).merged is None
    edited = now.replace(b'"new"', b'"newer"')
    assert three_way(FileChange("n.ipynb", after, before), edited).merged is None


def test_git_is_not_touched(tmp_path: Path) -> None:
    three_way(FileChange("f", b"a\n", b"b\n"), b"c\n")
    assert list(tmp_path.iterdir()) == []


SOME = st.lists(st.sampled_from("abcdefgh"), max_size=40)


@given(SOME, SOME)
@pytest.mark.parametrize("small", [0, 40_000])
def test_matching_blocks_are_common_lines_in_order(small: int, old: list[str], new: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_SMALL", small)
        blocks = matching.matching_blocks(old, new)
        differing = list(matching.changes(old, new))
    a = b = 0
    for block in blocks:
        assert block.a >= a
        assert block.b >= b
        assert old[block.a : block.a + block.size] == new[block.b : block.b + block.size]
        a, b = block.a + block.size, block.b + block.size
    assert blocks[-1] == (len(old), len(new), 0)
    lines = list(old)
    for change in reversed(differing):
        lines[slice(*change.old)] = new[slice(*change.new)]
    assert lines == new


def test_one_line_more_in_a_long_file_of_equal_lines_is_one_change() -> None:
    lines = ["0,\n"] * 5_000
    assert list(matching.changes(lines, [*lines, "1\n"])) == [((5_000, 5_000), (5_000, 5_001))]
    change = FileChange("a.py", "".join(lines).encode(), "".join([*lines, "1\n"]).encode())
    joined = three_way(change, "".join(["2\n", *lines]).encode())
    assert joined.conflicts == 0
    assert joined.merged is not None
    assert joined.merged.after == "".join(["2\n", *lines, "1\n"]).encode()
