from __future__ import annotations

import json

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from loom_jupyter.edits import notebook
from loom_jupyter.errors import EditError

SOURCE = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)


def book(sources: list[str], **how: object) -> str:
    cells = [
        new_code_cell(s, id=f"c{n}", outputs=[new_output("stream", text="é\n")]) for n, s in enumerate(sources)
    ]
    made = new_notebook(cells=[new_markdown_cell("# Title", id="m"), *cells], metadata={"b": 1, "a": [2, {}]})
    text: str = json.dumps(json.loads(nbformat.writes(made)), **how)
    return text


STYLES: list[dict[str, object]] = [
    {"indent": 1, "ensure_ascii": False},
    {"indent": 4},
    {"indent": "\t"},
    {},
    {"separators": (",", ":")},
]


@pytest.mark.parametrize("style", STYLES)
@given(sources=st.lists(SOURCE, min_size=1, max_size=3), new=SOURCE, which=st.integers(0, 2))
def test_only_that_source_changes(style: dict[str, object], sources: list[str], new: str, which: int) -> None:
    text = book(sources, **style) + "\n"
    name = f"c{which % len(sources)}"
    cell = notebook.find("n.ipynb", text, name)
    got = notebook.with_source(text, cell, new)
    start, end = cell.source_span
    assert got.startswith(text[:start])
    assert got.endswith(text[end:])
    expected = json.loads(text)
    for entry in expected["cells"]:
        if entry["id"] == name:
            entry["source"] = new
    found = json.loads(got)
    for entry in found["cells"]:
        if entry["id"] == name:
            entry["source"] = "".join(entry["source"])
    assert found == expected


def test_the_style_of_jupyter_is_met_byte_for_byte() -> None:
    made = new_notebook(cells=[new_code_cell("a = 1\nb = 'é'", id="x"), new_code_cell("", id="y")])
    text = nbformat.writes(made)
    for name, new in (("x", "a = 2\nb = 'é'\nc = '→'"), ("x", "one"), ("x", "")):
        got = notebook.with_source(text, notebook.find("n", text, name), new)
        made.cells[0].source = new
        assert got == nbformat.writes(made)
    made.cells[0].source = "a = 1\nb = 'é'"
    made.cells[1].source = "x = 1\ny = 2"
    assert notebook.with_source(text, notebook.find("n", text, "y"), "x = 1\ny = 2") == nbformat.writes(made)


def test_a_source_that_is_one_string_stays_one() -> None:
    text = '{"cells":[{"cell_type":"code","id":"a","source":"x\\u00e9"}],"nbformat":4}'
    got = notebook.with_source(text, notebook.find("n", text, "a"), "y\né")
    assert got == text.replace('"x\\u00e9"', '"y\\n\\u00e9"')


def test_cells_without_ids_go_by_position() -> None:
    text = '{"cells": [{"cell_type": "code", "source": ["a"]}, {"cell_type": "raw", "source": []}]}'
    assert [cell.id for cell in notebook.cells("n", text)] == ["cell-0", "cell-1"]


def test_a_new_cell_is_valid_and_the_rest_stays() -> None:
    made = new_notebook(cells=[new_code_cell("a", id="x"), new_code_cell("b", id="y")])
    text = nbformat.writes(made) + "\n"
    for after, position in (("x", 1), (None, 2)):
        got = notebook.with_new_cell("n", text, after, "import re\nre.I")
        back = nbformat.reads(got, as_version=4)
        nbformat.validate(back)
        assert back.cells[position].source == "import re\nre.I"
        assert got == nbformat.writes(back) + "\n"
        assert notebook.with_new_cell("n", text, after, "import re\nre.I") == got


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"cells": 3}', '{"cells": [', '{"worksheets": []}', '{"cells": [{"source": 3}]}']
)
def test_what_is_no_notebook_is_refused(text: str) -> None:
    with pytest.raises(EditError, match="not a notebook"):
        notebook.cells("n.ipynb", text)


def test_a_notebook_that_is_nested_too_deeply_is_refused() -> None:
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    text = '{"cells": [{"cell_type": "code", "metadata": ' + deep + ', "source": "x"}]}'
    with pytest.raises(EditError, match="nested too deeply"):
        notebook.cells("n.ipynb", text)


def test_missing_and_doubled_ids_are_refused() -> None:
    text = book(["a"])
    with pytest.raises(EditError, match="no cell gone"):
        notebook.find("n.ipynb", text, "gone")
    with pytest.raises(EditError, match="same id"):
        notebook.cells("n.ipynb", book(["a", "b"]).replace('"c1"', '"c0"'))


@pytest.mark.parametrize("style", STYLES)
def test_a_cell_that_was_added_is_taken_away_to_the_byte(style: dict[str, object]) -> None:
    text = book(["a", "b"], **style)
    for after in ("m", "c0", "c1"):
        more = notebook.with_new_cell("n.ipynb", text, after, "new = 1\nx")
        known = {cell.id for cell in notebook.cells("n.ipynb", text)}
        (name,) = {cell.id for cell in notebook.cells("n.ipynb", more)} - known
        assert notebook.without_cell("n.ipynb", more, name) == text
    first = notebook.without_cell("n.ipynb", text, "m")
    assert [cell.id for cell in notebook.cells("n.ipynb", first)] == ["c0", "c1"]
