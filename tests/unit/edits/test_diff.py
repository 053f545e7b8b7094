from __future__ import annotations

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook

from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.diff import hunks, select, unified_diff
from loom_jupyter.errors import EditError

LINES = st.lists(st.sampled_from(["a", "b", "c", "", "d"]), max_size=30).map("\n".join)


def book(*sources: str) -> bytes:
    cells = [new_code_cell(source, id=f"c{n}") for n, source in enumerate(sources)]
    return nbformat.writes(new_notebook(cells=cells)).encode()


def test_one_changed_line() -> None:
    old = "".join(f"{n}\n" for n in range(1, 12))
    (shown,) = unified_diff([FileChange("a.py", old.encode(), old.replace("6\n", "six\n").encode())])
    assert (shown.added, shown.removed) == (1, 1)
    assert shown.text == "--- a/a.py\n+++ b/a.py\n@@ -3,7 +3,7 @@\n 3\n 4\n 5\n-6\n+six\n 7\n 8\n 9\n"


@given(LINES, LINES, st.data())
def test_chosen_hunks_only(old: str, new: str, data: st.DataObject) -> None:
    change = FileChange("f", old.encode(), new.encode())
    found = hunks(change)
    assert select(change, range(len(found))).after == new.encode()
    assert select(change, []).after == (old if found else new).encode()
    if not found:
        return
    one = data.draw(st.integers(0, len(found) - 1))
    part = select(change, [one])
    rest = FileChange("f", part.after, new.encode())
    # What one hunk does not do, the others do.
    assert len(hunks(part)) <= 1
    assert select(rest, range(len(hunks(rest)))).after == new.encode()


def test_new_files_and_unchanged_ones() -> None:
    (shown,) = unified_diff([FileChange("n", None, b"a\nb\n"), FileChange("same", b"a", b"a")])
    assert shown.text == "--- /dev/null\n+++ b/n\n@@ -0,0 +1,2 @@\n+a\n+b\n"
    assert (shown.added, shown.removed) == (2, 0)
    with pytest.raises(EditError, match="only be accepted whole"):
        select(FileChange("n", None, b"a\n"), [])


def test_notebooks_show_sources() -> None:
    change = FileChange("n.ipynb", book("a = 1\nb = 2", "c = 3"), book("a = 1\nb = 22", "c = 33"))
    (shown,) = unified_diff([change])
    assert shown.text == (
        "--- a/n.ipynb (cell c0)\n+++ b/n.ipynb (cell c0)\n@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n"
        "\\ No newline at end of file\n+b = 22\n\\ No newline at end of file\n"
        "--- a/n.ipynb (cell c1)\n+++ b/n.ipynb (cell c1)\n@@ -1 +1 @@\n-c = 3\n"
        "\\ No newline at end of file\n+c = 33\n\\ No newline at end of file\n"
    )
    assert select(change, [1]).after == book("a = 1\nb = 2", "c = 33")


def test_a_hunk_that_is_not_there() -> None:
    with pytest.raises(EditError, match="no hunk 3"):
        select(FileChange("f", b"a\n", b"b\n"), [3])
