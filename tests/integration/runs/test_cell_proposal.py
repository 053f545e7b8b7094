from __future__ import annotations

import json
from pathlib import Path

import pytest

from loom_jupyter.checks.cells import Cell, Session
from loom_jupyter.context.context_map import Rewrite
from loom_jupyter.edits.apply import NEW_CELL
from loom_jupyter.errors import LoomError
from loom_jupyter.runs import cell_proposal
from loom_jupyter.runs.request import Request
from loom_jupyter.runs.run import Run

CELLS = (
    Cell(number=1, source="limit = 2"),
    Cell(number=3, source="def price(weight):\n    return 4.9 if weight < limit else 7.2"),
    Cell(number=4, source="assert price(2) == 4.9", error="AssertionError", cell_id="c-7"),
)


def made(tmp_path: Path, task: str = "2 kg is small", cells: tuple[Cell, ...] = CELLS) -> Run:
    request = Request(id="r1", task=task, root=str(tmp_path), cell=True, session=Session(cells=cells))
    run = Run(tmp_path, request)
    assert request.session is not None
    cell_proposal.write_session(tmp_path, request.session)
    return run


@pytest.mark.parametrize(
    ("task", "number"), [("2 kg is small", 4), ("mend In [3]", 3), ("in cell 3 the limit", 3), ("in[1]: 3", 1)]
)
def test_the_words_name_the_cell_else_the_failing_one(task: str, number: int) -> None:
    cell = cell_proposal.named(task, Session(cells=CELLS))
    assert cell is not None
    assert cell.number == number


def test_without_a_failing_cell_a_new_one_is_written() -> None:
    assert cell_proposal.named("plot it", Session(cells=CELLS[:2])) is None
    with pytest.raises(LoomError, match=r"no cell In \[2\] to rewrite; those that ran are \[1\], \[3\], \[4\]"):
        cell_proposal.named("mend In [2]", Session(cells=CELLS))


def test_a_rewritten_cell_is_shown_as_its_diff(tmp_path: Path) -> None:
    run = made(tmp_path, "mend In [3]")
    target = cell_proposal.target(run)
    assert (target.text, target.start, target.end) == (CELLS[1].source + "\n", 1, 2)
    rewrites = [Rewrite(target=target, text=target.text.replace("<", "<="))]
    (file,) = cell_proposal.files(run, rewrites)
    assert (file.path, file.added, file.removed) == ("In [3]", 1, 1)
    assert file.diff.startswith("--- In [3]\n+++ In [3]\n@@ -1,2 +1,2 @@\n")
    cell = cell_proposal.proposed_cell(run, rewrites)
    assert cell is not None
    assert (cell.number, cell.cell_id, cell.source) == (3, "", CELLS[1].source.replace("<", "<="))
    (change,) = cell_proposal.changes(run, rewrites)
    assert cell_proposal.source_of(change, target) == cell.source
    assert [e.symbol for e in cell_proposal.read(run, target)] == ["In [1]"]


@pytest.mark.parametrize("cells", [CELLS[:2], ()])
def test_a_new_cell_is_all_added(tmp_path: Path, cells: tuple[Cell, ...]) -> None:
    run = made(tmp_path, cells=cells)
    target = cell_proposal.target(run)
    assert (target.kind, target.text) == (NEW_CELL, "")
    rewrites = [Rewrite(target=target, text="price(2)\nprice(3)\n")]
    (file,) = cell_proposal.files(run, rewrites)
    assert (file.path, file.added, file.removed) == ("new cell", 2, 0)
    cell = cell_proposal.proposed_cell(run, rewrites)
    assert cell is not None
    assert (cell.number, cell.source) == (None, "price(2)\nprice(3)")
    (change,) = cell_proposal.changes(run, rewrites)
    assert cell_proposal.source_of(change, target) == cell.source
    assert len(cell_proposal.read(run, target)) == len(cells)


def test_a_cell_with_a_secret_is_not_rewritten(tmp_path: Path) -> None:
    run = made(tmp_path, cells=(Cell(number=1, source="key = '<***>'", error="NameError"),))
    with pytest.raises(LoomError, match="which no model sees"):
        cell_proposal.target(run)


def test_the_session_is_kept_as_a_notebook(tmp_path: Path) -> None:
    run = made(tmp_path)
    document = json.loads((cell_proposal.base(run) / cell_proposal.NOTEBOOK).read_text("utf-8"))
    assert [cell["id"] for cell in document["cells"]] == ["in-1", "in-3", "in-4"]


def test_files_are_those_of_the_workspace_without_cell(tmp_path: Path) -> None:
    run = Run(tmp_path, Request(id="r1", task="t", root=str(tmp_path)))
    assert cell_proposal.base(run) == tmp_path
    assert cell_proposal.proposed_cell(run, []) is None
    assert cell_proposal.files(run, []) == []
