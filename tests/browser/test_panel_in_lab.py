"""The panel as a person sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from lab import SETUP, Lab, Notebook
from scripted_runs import AFTER, BEFORE, project

TASK = "%%loom --check 'pytest -q' run\nparcel_price(weight=2.0) should cost the small tariff"


@pytest.fixture
def notebook(lab: Lab, page: Any) -> Notebook:
    project(lab.work)
    return Notebook(
        lab, page, f"n{time.time_ns()}.ipynb", [SETUP, TASK, "import time; time.sleep(8)", "%loom accept"]
    )


def test_from_the_first_line_to_accept_undo_and_a_notebook_opened_again(notebook: Notebook) -> None:
    page = notebook.page
    notebook.run(0)
    notebook.run(1)
    page.locator(".loom-steps li", has_text="Architect").first.wait_for()
    notebook.button("Accept").wait_for()
    page.locator(".loom-diff .loom-added", has_text="if weight <= 2:").wait_for()
    assert page.locator(".loom-steps li").count() == 5
    notebook.button("Accept").click()
    page.locator(".loom-status", has_text="Accepted").wait_for()
    assert (notebook.lab.work / "tariff.py").read_text() == AFTER
    saved = notebook.save()
    assert list(saved["cells"][1]["outputs"][0]["data"]) == ["text/html", "text/plain"]

    notebook.do("await widget.context.sessionContext.shutdown();")
    notebook.errors.clear()
    notebook.open()
    page.locator(".loom-status", has_text="Accepted").wait_for()
    page.wait_for_timeout(1500)
    assert not page.get_by_text("Error displaying widget").is_visible()
    assert (notebook.lab.work / "tariff.py").read_text() == AFTER


def test_undo_by_button_restores_the_bytes(notebook: Notebook) -> None:
    notebook.run(0)
    notebook.run(1)
    notebook.button("Accept").click()
    notebook.button("Undo").click()
    notebook.page.locator(".loom-status", has_text="Undone").wait_for()
    assert (notebook.lab.work / "tariff.py").read_bytes() == BEFORE.encode()
    notebook.button("Undo").wait_for(state="detached")
    assert notebook.errors == []


def test_stop_works_while_another_cell_runs(notebook: Notebook) -> None:
    notebook.do("widget.content.widgets[1].model.sharedModel.setSource('%%loom\\nslow')")
    notebook.run(0)
    notebook.run(1)
    notebook.button("Stop").wait_for()
    notebook.run(2, wait=False)
    notebook.page.wait_for_timeout(700)
    pressed = time.monotonic()
    notebook.button("Stop").click()
    notebook.page.locator(".loom-status", has_text="Stopped").wait_for()
    assert time.monotonic() - pressed < 4


def test_text_is_never_markup_and_nothing_is_hidden(notebook: Notebook) -> None:
    page = notebook.page
    notebook.do("widget.content.widgets[1].model.sharedModel.setSource('%%loom\\nhostile')")
    notebook.run(0)
    notebook.run(1)
    page.locator(".loom-status", has_text="Failed").wait_for()
    cell = page.locator(".jp-CodeCell").nth(1)
    for live in (True, False):
        cell.locator(".loom-notice", has_text="onerror").first.wait_for()
        cell.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        assert page.evaluate("window.hurt") is None
        assert cell.locator("img").count() == 0
        text = cell.inner_text()
        assert not {"\u202e", "\x1b"} & set(text)
        assert "⟨U+202E⟩" in text
        assert len(text) < 100_000
        if live:  # and as the page that a saved notebook keeps
            notebook.save()
            notebook.do("await widget.context.sessionContext.shutdown();")
            notebook.open()


@pytest.fixture(params=["disabled", "perComm", "perCommTarget"])
def comms(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way in which JupyterLab sends what is pressed to the kernel."""
    plugin = "@jupyterlab/apputils-extension:kernels-settings"
    lab.setting(plugin, {"commsOverSubshells": request.param})
    yield request.param
    lab.setting(plugin, {})


def test_buttons_work_over_every_kind_of_comm(comms: str, notebook: Notebook) -> None:
    notebook.run(0)
    notebook.run(1)
    notebook.button("Accept").click()
    notebook.page.locator(".loom-status", has_text="Accepted").wait_for()
    assert (notebook.lab.work / "tariff.py").read_text() == AFTER
    notebook.do("widget.content.widgets[1].model.sharedModel.setSource('%%loom\\nslow')")
    notebook.run(1)
    notebook.button("Stop").click()
    notebook.page.locator(".loom-status", has_text="Stopped").wait_for()
    assert notebook.errors == []


def test_a_change_that_fits_is_accepted_merged(notebook: Notebook) -> None:
    notebook.run(0)
    notebook.run(1)
    notebook.button("Accept").wait_for()
    file = notebook.lab.work / "tariff.py"
    file.write_text(BEFORE + "# mine\n")
    notebook.button("Accept").click()
    notebook.page.locator(".loom-notice", has_text="do not touch").wait_for()
    notebook.button("Accept merged").click()
    notebook.page.locator(".loom-status", has_text="Accepted").wait_for()
    assert file.read_text() == AFTER + "# mine\n"


def test_a_page_loaded_again_in_the_middle_shows_the_run_on(notebook: Notebook) -> None:
    notebook.do("widget.content.widgets[1].model.sharedModel.setSource('%%loom\\nslow')")
    notebook.run(0)
    notebook.run(1)
    notebook.button("Stop").wait_for()
    notebook.save()
    notebook.open()
    notebook.button("Stop").wait_for()
    notebook.button("Stop").click()
    notebook.page.locator(".loom-status", has_text="Stopped").wait_for()


def test_evidence_opens_by_keyboard_and_leads_to_the_line(notebook: Notebook) -> None:
    page = notebook.page
    notebook.run(0)
    notebook.run(1)
    notebook.button("Accept").wait_for()
    row = page.locator(".loom-evidence summary").first
    row.focus()
    page.keyboard.press("Enter")
    page.locator(".loom-rows li", has_text="path mentioned").wait_for()
    page.locator(".loom-rows a", has_text="tariff() l.1").click()
    page.wait_for_function("window.jupyterapp.shell.currentWidget.context.path === 'tariff.py'")
