from __future__ import annotations

from pathlib import Path

from loom_jupyter.ui.html import NOWHERE, Links, links


def test_a_link_leads_to_the_line_counted_from_0() -> None:
    made = links("/project", Path("/project/notebooks")).to("src/a b.py", 12)
    assert made == '<a href="../src/a%20b.py#line=11">src/a b.py</a>'


def test_in_the_workspace_itself() -> None:
    assert links("/project", Path("/project")).to("a.py", None, "words") == '<a href="./a.py">words</a>'


def test_no_path_can_be_another_scheme() -> None:
    assert 'href="./javascript%3Aalert%281%29"' in Links(".").to("javascript:alert(1)")


def test_the_notebook_itself_is_no_file() -> None:
    assert links("/project", Path("/project")).to("<notebook>") == "<span>&lt;notebook&gt;</span>"


def test_where_nothing_can_be_linked_the_words_stay() -> None:
    assert NOWHERE.to("<a>.py", 3) == "<span>&lt;a&gt;.py</span>"
    assert links("", Path("/x")).base is None
