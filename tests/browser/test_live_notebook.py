"""Changes of cells in the notebook that is open: cell by cell, and never over the user's own edits."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from lab import SETUP, Notebook
from scripted_runs import CELL_AFTER, CELL_BEFORE
from sidebar import BUILT, Sidebar

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
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
    sidebar.says("Waits for your review")


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
    sidebar.page.locator(".Toastify__toast", has_text="yours stay").wait_for()
    assert live(notebook, CHANGED) == "mine = 1"
    assert saved(notebook, CHANGED) == CELL_AFTER
