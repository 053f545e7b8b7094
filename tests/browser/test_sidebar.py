"""The sidebar as a person uses it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from lab import SETUP, Lab, Notebook
from scripted_runs import AFTER, BEFORE, project

import loom_jupyter

BUILT = Path(loom_jupyter.__file__).parent / "labextension" / "package.json"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not BUILT.exists() and not os.environ.get("CI"), reason="not built: make sidebar"),
]
TASK = "parcel_price(weight=2.0) should cost the small tariff"


class Sidebar:
    """The sidebar in a page, beside a notebook."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook, self.page = notebook, notebook.page
        self.place = self.page.locator(".jp-Loom")
        self.show()

    def show(self) -> None:
        self.page.wait_for_function("window.jupyterapp.commands.hasCommand('loom:focus')")
        self.notebook.do("await app.commands.execute('loom:focus');")
        self.place.get_by_role("textbox", name="What should be different").wait_for()

    def ask(self, task: str = TASK, check: str = "pytest -q") -> None:
        self.place.get_by_role("textbox", name="Check").fill(check)
        self.place.get_by_role("textbox", name="What should be different").fill(task)
        self.page.keyboard.press("Control+Enter")

    def button(self, name: str) -> Any:
        return self.place.get_by_role("button", name=name, exact=True)

    def says(self, text: str) -> None:
        self.place.locator(".jp-Loom-where", has_text=text).wait_for()


@pytest.fixture
def notebook(lab: Lab, page: Any) -> Notebook:
    project(lab.work)
    notebook = Notebook(lab, page, f"s{time.time_ns()}.ipynb", [SETUP, ""])
    notebook.run(0)
    return notebook


@pytest.fixture
def sidebar(notebook: Notebook) -> Sidebar:
    return Sidebar(notebook)


def test_a_task_from_the_first_word_to_accept_and_undo(sidebar: Sidebar) -> None:
    sidebar.ask()
    sidebar.says("Waits for your review")
    cells = sidebar.notebook.save()["cells"]
    assert any("".join(c["source"]) == f'%%loom --check "pytest -q"\n{TASK}' for c in cells)
    names = sidebar.place.locator(".jp-Loom-name").all_inner_texts()
    assert [name.split()[0] for name in names] == ["Architect", "Explorer", "Coder", "Check", "Review"]
    sidebar.place.locator(".cm-deletedChunk", has_text="if weight < 2:").wait_for()

    sidebar.button("Accept").click()
    sidebar.says("Accepted")
    assert (sidebar.notebook.lab.work / "tariff.py").read_text() == AFTER
    sidebar.button("Undo").click()
    sidebar.says("Undone")
    assert (sidebar.notebook.lab.work / "tariff.py").read_text() == BEFORE
    assert sidebar.notebook.errors == []
