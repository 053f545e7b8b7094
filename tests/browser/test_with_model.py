"""A real model, the sample project, JupyterLab in the dark, and nothing but the keyboard."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, Notebook
from sidebar import BUILT, Sidebar

pytestmark = [
    pytest.mark.skipif(not BUILT.exists() and not os.environ.get("CI"), reason="not built: make sidebar"),
]
TASK = "parcel_price(weight=2.0) charges the 2-5 kg tariff; up to and including 2 kg should cost the small one"
LABEL = """(() => { const e = document.activeElement;
  return (e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText || '').trim(); })()"""


@pytest.fixture
def sidebar(
    page: Any, sample: Path, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sidebar]:
    monkeypatch.setenv("LOOM_MODEL", str(small_model))
    lab = Lab(tmp_path / "lab", "Dark")
    shutil.copytree(sample, lab.work, dirs_exist_ok=True)
    notebook = Notebook(lab, page, "work.ipynb", ["%load_ext loom_jupyter"])
    notebook.run(0)
    yield Sidebar(notebook)
    lab.close()


def tab_to(page: Any, name: str) -> None:
    """Move the focus on until it is on what is called so."""
    for _ in range(80):
        if page.evaluate(LABEL) == name:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to {name}")


def test_a_task_is_solved_by_keyboard(sidebar: Sidebar) -> None:
    page, place = sidebar.page, sidebar.place
    file = sidebar.notebook.lab.work / "parcels" / "tariff.py"
    before = file.read_bytes()
    page.keyboard.press("Control+Alt+L")
    page.keyboard.type(TASK)
    tab_to(page, "Check")
    page.keyboard.type(f"{sys.executable} -m pytest -q")
    page.keyboard.press("Control+Enter")

    place.locator(".jp-Loom-step.jp-mod-active", has_text="Coder").wait_for(timeout=120_000)
    page.wait_for_function("document.querySelectorAll('.jp-Loom-candidates li').length > 0", timeout=120_000)
    assert sidebar.button("Stop").is_visible()  # it is watched while it works
    sidebar.says_within("Waiting for your review", 240)
    assert "passed" in place.locator(".jp-Loom-step", has_text="Check").inner_text()

    paths = place.locator(".jp-Loom-file .jp-Loom-path bdi")
    ranked = paths.all_inner_texts()
    page.keyboard.press("Control+Alt+L")
    tab_to(page, "Sort by")
    page.keyboard.type("by path")
    page.wait_for_function("document.querySelector('.jp-Loom-tools select').value === 'path'")
    page.wait_for_timeout(500)
    assert paths.all_inner_texts() == sorted(paths.all_inner_texts())
    assert set(ranked) & set(paths.all_inner_texts())

    tab_to(page, "Accept")
    page.keyboard.press("Enter")
    sidebar.says("Accepted")
    assert file.read_bytes() != before
    page.wait_for_function(f"{LABEL} === 'Undo'")  # the focus stays where one acts
    page.keyboard.press("Enter")
    sidebar.says("Undone")
    assert file.read_bytes() == before
    assert sidebar.notebook.errors == []
