"""The sidebar in Notebook 7, where that is installed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import SETUP, Lab, Notebook
from scripted_runs import AFTER, project
from sidebar import BUILT, Sidebar

pytestmark = [
    pytest.mark.skipif(not BUILT.exists() and not os.environ.get("CI"), reason="not built: make sidebar"),
    pytest.mark.skipif(importlib.util.find_spec("notebook") is None, reason="Notebook 7 is not installed"),
]


@pytest.fixture
def sidebar(page: Any, tmp_path: Path) -> Iterator[Sidebar]:
    lab = Lab(tmp_path, "Light", "notebook")
    project(lab.work)
    notebook = Notebook(lab, page, "n.ipynb", [SETUP, ""])
    notebook.run(0)
    yield Sidebar(notebook)
    lab.close()


def test_a_run_is_shown_and_accepted(sidebar: Sidebar) -> None:
    sidebar.ask()
    sidebar.says("Waiting for your review")
    sidebar.place.locator(".cm-deletedChunk", has_text="if weight < 2:").wait_for()
    sidebar.button("Accept").click()
    sidebar.says("Accepted")
    assert (sidebar.notebook.lab.work / "tariff.py").read_text() == AFTER
    assert sidebar.notebook.errors == []
