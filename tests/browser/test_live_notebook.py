"""Changes of cells in the notebook that is open: cell by cell, and never over the user's own edits."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from lab import SETUP, Notebook
from scripted_runs import CELL_AFTER, CELL_BEFORE, whole
from sidebar import BUILT, Sidebar

from loom_jupyter import events as ev
from loom_jupyter.checks.cells import Cell, Session
from loom_jupyter.context.context_map import NEW_CELL, Rewrite, Target
from loom_jupyter.pipeline.contracts import Proposal
from loom_jupyter.runs import cell_proposal, files
from loom_jupyter.runs.review import PROPOSAL

pytestmark = [
    pytest.mark.skipif(not BUILT.exists() and not os.environ.get("CI"), reason="not built: make sidebar"),
]
CHANGED, OTHER = 1, 2


@pytest.fixture
def cells() -> list[str]:
    return [SETUP, CELL_BEFORE, "other = 1"]


def cell(number: int) -> str:
    """Return the JavaScript that finds a cell."""
    book = "window.jupyterapp.shell.currentWidget.content"
    return f"{book}.widgets.find(one => one.model.id === 'c{number}')"


def live(notebook: Notebook, number: int) -> Any:
    return notebook.page.evaluate(f"{cell(number)}.model.sharedModel.source")


def await_source(notebook: Notebook, number: int, source: str) -> None:
    notebook.page.wait_for_function(f"{cell(number)}.model.sharedModel.source === {json.dumps(source)}")


def write(notebook: Notebook, number: int, text: str) -> None:
    """Change a cell, without saving."""
    notebook.page.evaluate(f"{cell(number)}.model.sharedModel.setSource({json.dumps(text)})")


def saved(notebook: Notebook, number: int) -> str:
    cells = {one["id"]: one for one in json.loads(notebook.file.read_text())["cells"]}
    return "".join(cells[f"c{number}"]["source"])


def propose(sidebar: Sidebar) -> None:
    sidebar.ask(f"rewrite c{CHANGED} in {sidebar.notebook.file.name}", "")
    sidebar.says("Waiting for your review")


def test_cells_are_changed_where_they_stand_and_unsaved_edits_stay(sidebar: Sidebar) -> None:
    notebook = sidebar.notebook
    notebook.run(CHANGED)
    propose(sidebar)
    write(notebook, OTHER, "other = 'mine'")
    notebook.page.evaluate(f"{cell(CHANGED)}.node.dataset.same = 'yes'")
    sidebar.button("Accept").click()
    sidebar.says("Accepted")
    await_source(notebook, CHANGED, CELL_AFTER)
    assert saved(notebook, CHANGED) == CELL_AFTER
    assert live(notebook, OTHER) == saved(notebook, OTHER) == "other = 'mine'"
    assert notebook.page.evaluate(f"{cell(CHANGED)}.node.dataset.same") == "yes"
    assert notebook.page.evaluate(f"{cell(CHANGED)}.model.outputs.length") == 1

    write(notebook, OTHER, "other = 'later'")
    sidebar.button("Undo").click()
    sidebar.says("Undone")
    await_source(notebook, CHANGED, CELL_BEFORE)
    assert saved(notebook, CHANGED) == CELL_BEFORE
    assert live(notebook, OTHER) == saved(notebook, OTHER) == "other = 'later'"
    notebook.save()  # asks nothing: the open notebook knows what is on disk
    assert not sidebar.page.locator(".jp-Dialog").is_visible()
    assert notebook.errors == []


def test_a_notebook_that_was_read_again_follows_too(sidebar: Sidebar) -> None:
    notebook = sidebar.notebook
    book = notebook.save()
    next(one for one in book["cells"] if one["id"] == f"c{CHANGED}")["source"] = f"# newer\n{CELL_BEFORE}"
    notebook.file.write_text(json.dumps(book))
    notebook.do("await widget.context.revert();")
    propose(sidebar)
    write(notebook, OTHER, "other = 'mine'")
    sidebar.button("Accept").click()
    await_source(notebook, CHANGED, f"# newer\n{CELL_AFTER}")
    assert live(notebook, OTHER) == "other = 'mine'"


def test_an_edit_of_the_same_lines_is_said_and_stays(sidebar: Sidebar) -> None:
    notebook = sidebar.notebook
    propose(sidebar)
    mine = CELL_BEFORE.replace("weight < 2", "weight < 1.5")
    write(notebook, CHANGED, mine)
    sidebar.button("Accept").click()
    sidebar.place.get_by_role("alert").filter(has_text="nothing was written").wait_for()
    assert live(notebook, CHANGED) == saved(notebook, CHANGED) == mine
    assert sidebar.button("Accept merged").count() == 0
    sidebar.button("Reject").click()
    sidebar.says("Rejected")


def test_an_edit_elsewhere_in_the_cell_is_merged_if_asked(sidebar: Sidebar) -> None:
    notebook = sidebar.notebook
    propose(sidebar)
    write(notebook, CHANGED, f"{CELL_BEFORE}\n# mine")
    sidebar.button("Accept").click()
    sidebar.button("Accept merged").click()
    sidebar.says("Accepted")
    await_source(notebook, CHANGED, f"{CELL_AFTER}\n# mine")
    assert saved(notebook, CHANGED) == f"{CELL_AFTER}\n# mine"


def test_accept_in_the_cell_reaches_the_open_notebook_too(sidebar: Sidebar) -> None:
    notebook = sidebar.notebook
    propose(sidebar)
    write(notebook, OTHER, "other = 'mine'")
    notebook.page.locator(".jp-Notebook").get_by_role("button", name="Accept").click()
    sidebar.says("Accepted")
    await_source(notebook, CHANGED, CELL_AFTER)
    assert live(notebook, OTHER) == "other = 'mine'"
    assert saved(notebook, OTHER) == "other = 1"
    notebook.save()
    assert saved(notebook, OTHER) == "other = 'mine'"
    assert saved(notebook, CHANGED) == CELL_AFTER


def test_an_unsaved_edit_is_not_lost_to_an_accept_elsewhere(sidebar: Sidebar) -> None:
    notebook = sidebar.notebook
    propose(sidebar)
    write(notebook, CHANGED, "mine = 1")
    notebook.page.locator(".jp-Notebook").get_by_role("button", name="Accept").click()
    sidebar.says("Accepted")
    sidebar.page.locator(".Toastify__toast", has_text="which were kept").wait_for()
    assert live(notebook, CHANGED) == "mine = 1"
    assert saved(notebook, CHANGED) == CELL_AFTER


CELL_DIFF = """--- In [2]
+++ In [2]
@@ -1,2 +1,2 @@
 weight = 2
-price = 4.9 if weight < 2 else 7.2
+price = 4.9 if weight <= 2 else 7.2
"""


def offer(sidebar: Sidebar, cell: ev.ProposedCell, diff: str) -> None:
    """Put a run on disk that wrote a cell."""
    name = "new cell" if cell.number is None else f"In [{cell.number}]"
    file = ev.ProposedFile(path=name, added=1, removed=1, diff=diff)
    made = ev.ProposalMade(
        summary="", files=[file], passed=None, cell=cell, digests={name: cell_proposal.cell_digest(cell)}
    )
    session = Session(cells=(Cell(number=2, source=CELL_BEFORE, cell_id=cell.cell_id),))
    target = Target(
        id="s1",
        path="cells.ipynb",
        symbol=None,
        kind="cell" if cell.number else NEW_CELL,
        cell="in-2" if cell.number else None,
        start=1,
        end=1,
        sha256=None,
        text="",
    )
    folder = sidebar.store([*whole()[:-2], made, whole()[-1]], "2 kg", cell=True, session=session)
    rewrite = Rewrite(target=target, text=cell.source + "\n")
    files.store(folder / PROPOSAL, Proposal(rewrites=(rewrite,), summary="", passed=None))
    sidebar.says("Waiting for your review")


def test_a_rewritten_cell_goes_where_it_stands_unless_it_was_edited(sidebar: Sidebar) -> None:
    notebook = sidebar.notebook
    offer(sidebar, ev.ProposedCell(number=2, cell_id=f"c{CHANGED}", source=CELL_AFTER), CELL_DIFF)
    write(notebook, CHANGED, "mine = 1")
    sidebar.button("Accept").click()
    sidebar.place.get_by_role("alert").filter(has_text="edited since it ran").wait_for()
    assert live(notebook, CHANGED) == "mine = 1"
    write(notebook, CHANGED, CELL_BEFORE)
    sidebar.button("Accept").click()
    await_source(notebook, CHANGED, CELL_AFTER)
    sidebar.says("Accepted")
    assert sidebar.button("Undo").count() == 0  # the notebook's own undo takes it back


def test_a_new_cell_comes_below_the_task(sidebar: Sidebar) -> None:
    notebook = sidebar.notebook
    write(notebook, CHANGED, "%%loom --cell\n2 kg")
    diff = "--- new cell\n+++ new cell\n@@ -0,0 +1 @@\n+fresh = 1\n"
    offer(sidebar, ev.ProposedCell(source="fresh = 1"), diff)
    sidebar.button("Accept").click()
    notebook.page.wait_for_function(
        f"window.jupyterapp.shell.currentWidget.content.widgets[{CHANGED + 1}]"
        "?.model.sharedModel.source === 'fresh = 1'"
    )
    assert live(notebook, OTHER) == "other = 1"
