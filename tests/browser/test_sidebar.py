"""The sidebar as a person uses it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from lab import Lab
from scripted_runs import AFTER, BAD, BEFORE, DIFF, TWICE, hostile, project, whole
from sidebar import BUILT, TASK, Sidebar

import loom_jupyter
from loom_jupyter import events as ev
from loom_jupyter.context.ledger import Evidence, Ledger

pytestmark = [
    pytest.mark.skipif(not BUILT.exists() and not os.environ.get("CI"), reason="not built: make sidebar"),
]
AXE = Path(loom_jupyter.__file__).parents[1] / "labextension/node_modules/axe-core/axe.min.js"


def test_a_task_from_the_first_word_to_accept_and_undo(sidebar: Sidebar) -> None:
    sidebar.ask()
    sidebar.says("Waiting for your review")
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


def test_stop_works_while_another_cell_runs_and_after_the_kernel_died(sidebar: Sidebar) -> None:
    sidebar.ask("slow")
    sidebar.button("Stop").wait_for()
    sidebar.notebook.do("widget.content.widgets.at(-1).model.sharedModel.setSource('import time; time.sleep(20)')")
    cells = sidebar.notebook.do("return widget.content.widgets.length;")
    sidebar.notebook.run(cells - 1, wait=False)
    sidebar.page.wait_for_timeout(500)
    pressed = time.monotonic()
    sidebar.button("Stop").click()
    sidebar.says("Stopped")
    assert time.monotonic() - pressed < 3

    sidebar.notebook.do("await widget.context.sessionContext.restartKernel();")
    sidebar.notebook.run(0)
    sidebar.ask("slow again")
    sidebar.place.locator(".jp-Loom-asked", has_text="slow again").wait_for()
    sidebar.place.locator(".jp-Loom-step.jp-mod-done", has_text="Explorer").wait_for()
    sidebar.notebook.do("await widget.context.sessionContext.shutdown();")
    sidebar.place.locator(".jp-Loom-notice", has_text="has ended").wait_for()
    sidebar.button("Stop").click()
    sidebar.says("Failed, nothing was written")


def test_a_page_loaded_again_and_a_second_tab_show_the_same(sidebar: Sidebar) -> None:
    sidebar.ask("slow")
    sidebar.place.locator(".jp-Loom-step.jp-mod-done", has_text="Explorer").wait_for()
    sidebar.place.get_by_role("textbox", name="What should be different").fill("not yet sent")
    sidebar.page.wait_for_timeout(1200)
    sidebar.notebook.save()
    second = sidebar.page.context.browser.new_page()
    second.goto(f"http://127.0.0.1:{sidebar.notebook.lab.port}/lab?token=t")
    second.wait_for_function("window.jupyterapp?.commands?.hasCommand('loom:focus')", timeout=60_000)
    second.evaluate("window.jupyterapp.commands.execute('loom:focus')")
    second.locator(".jp-Loom-step.jp-mod-done", has_text="Explorer").wait_for()
    sidebar.page.reload()
    sidebar.show()
    sidebar.place.locator(".jp-Loom-step.jp-mod-done", has_text="Explorer").wait_for()
    assert sidebar.place.get_by_role("textbox", name="What should be different").input_value() == "not yet sent"
    sidebar.button("Stop").click()
    sidebar.says("Stopped")
    second.locator(".jp-Loom-where", has_text="Stopped").wait_for()
    second.close()


def test_a_run_that_waits_is_answered_and_its_task_changed(sidebar: Sidebar) -> None:
    sidebar.place.get_by_role("checkbox", name="Plan").check()
    sidebar.ask("vague")
    sidebar.place.get_by_role("textbox", name="Which <b>price</b> is wrong?").fill("the small one")
    sidebar.page.keyboard.press("Enter")
    goal = sidebar.place.get_by_role("textbox", name="Goal")
    goal.fill("2 kg costs 4.9")
    sidebar.button("Continue").click()
    sidebar.says("Waiting for your review")
    assert "2 kg costs 4.9" in sidebar.place.locator(".jp-Loom-step", has_text="Architect").inner_text()


def test_a_server_that_starts_again_finds_the_same_run_waiting(sidebar: Sidebar) -> None:
    sidebar.ask()
    sidebar.says("Waiting for your review")
    seen = [sidebar.place.locator(name).all_inner_texts() for name in (".jp-Loom-step", ".jp-Loom-where")]
    lab = sidebar.notebook.lab
    lab.close()
    try:
        sidebar.place.locator(".jp-Loom-notice", has_text="does not answer").wait_for()
    finally:
        lab.start()
    sidebar.place.locator(".jp-Loom-notice", has_text="does not answer").wait_for(state="detached", timeout=60_000)
    now = [sidebar.place.locator(name).all_inner_texts() for name in (".jp-Loom-step", ".jp-Loom-where")]
    assert now == seen
    # The kernel went with the server: the new server takes the run over.
    sidebar.place.get_by_role("button", name="Accept", exact=True).dispatch_event("click")
    sidebar.says("Accepted")
    assert (lab.work / "tariff.py").read_text() == AFTER


def test_one_hunk_is_accepted_and_an_open_file_shows_it(sidebar: Sidebar) -> None:
    sidebar.notebook.do("await app.commands.execute('docmanager:open', {path: 'tariff.py'});")
    sidebar.ask("change it twice")
    sidebar.says("Waiting for your review")
    sidebar.place.get_by_role("checkbox", name="line 2").uncheck()
    sidebar.button("Accept chosen").click()
    sidebar.says("Accepted")
    only = TWICE.replace("weight <= 2", "weight < 2")
    assert (sidebar.notebook.lab.work / "tariff.py").read_text() == only
    shown = "[...window.jupyterapp.shell.widgets('main')].find(w => w.context?.path === 'tariff.py')"
    sidebar.page.wait_for_function(f"{shown}.context.model.sharedModel.getSource().includes('7.5')")


def test_unsaved_edits_are_never_lost(sidebar: Sidebar) -> None:
    sidebar.ask()
    sidebar.says("Waiting for your review")
    shown = "[...window.jupyterapp.shell.widgets('main')].find(w => w.context?.path === 'tariff.py')"
    sidebar.notebook.do("await app.commands.execute('docmanager:open', {path: 'tariff.py'});")
    sidebar.page.wait_for_function(f"{shown}?.context.model.sharedModel.getSource().includes('weight')")
    sidebar.page.locator(".jp-FileEditor .cm-content").click()
    sidebar.page.keyboard.press("Control+a")
    sidebar.page.keyboard.type("mine = 1")
    sidebar.page.wait_for_function(f"{shown}.context.model.dirty")
    sidebar.button("Accept").click()
    sidebar.page.locator(".jp-Dialog", has_text="Unsaved edits").get_by_role("button", name="Cancel").click()
    assert (sidebar.notebook.lab.work / "tariff.py").read_text() == BEFORE
    sidebar.button("Accept").click()
    sidebar.page.get_by_role("button", name="Save and accept").click()
    sidebar.place.get_by_role("alert").wait_for()
    assert (sidebar.notebook.lab.work / "tariff.py").read_text() == "mine = 1"
    sidebar.button("Reject").click()
    sidebar.says("Rejected")


def test_evidence_is_sorted_filtered_and_leads_to_the_line(sidebar: Sidebar) -> None:
    rows = [ev.EvidenceRow(path=p, rule=r, points=n, detail=p, line=3, family=f) for p, r, n, f in LEDGER]
    files = [ev.RankedFile(rank=n, path=row.path, score=row.points, rows=[row]) for n, row in enumerate(rows, 1)]
    sidebar.store([*whole(ev.RunState.REJECTED)[:-1], ev.LedgerMade(files=files, total=9), REJECTED], "the ledger")
    sidebar.place.locator(".jp-Loom-asked", has_text="2 kg").wait_for()
    paths = sidebar.place.locator(".jp-Loom-fileHead .jp-Loom-path bdi")
    evidence = sidebar.place.get_by_role("region", name="Evidence")
    assert paths.all_inner_texts()[:3] == ["tariff.py", "b.py", "a.py"]
    evidence.get_by_role("combobox", name="Sort by").select_option("path")
    assert paths.all_inner_texts()[:3] == ["a.py", "b.py", "tariff.py"]
    evidence.get_by_role("searchbox").fill("symbol")
    assert evidence.locator(".jp-Loom-file").count() == 1
    evidence.get_by_role("searchbox").fill("")
    evidence.get_by_role("button", name="git").click()
    assert evidence.locator(".jp-Loom-file").count() == 2
    evidence.get_by_role("button", name="tariff.py", exact=True).click()
    sidebar.page.wait_for_function(
        "window.jupyterapp.shell.currentWidget?.content?.editor?.getCursorPosition().line === 2"
    )


def test_the_whole_ledger_is_there(sidebar: Sidebar) -> None:
    paths = [f"pkg/m{n:03}.py" for n in range(120)]
    found = [Evidence(path, "term in path", 120.0 - n, f"word {n}", 3) for n, path in enumerate(paths)]
    row = ev.EvidenceRow(path=paths[0], rule="term in path", points=120, detail="word 0", line=3, family="term")
    first = [ev.RankedFile(rank=1, path=paths[0], score=120, rows=[row])]
    folder = sidebar.store([*whole()[:-1], ev.LedgerMade(files=first, total=120), REJECTED], "the whole ledger")
    whole_ledger = Ledger("q", paths, [row.points for row in found], lambda: found, list)
    (folder / "ledger.json").write_text(whole_ledger.to_json())
    evidence = sidebar.place.get_by_role("region", name="Evidence")
    files = evidence.locator(".jp-Loom-file")
    evidence.get_by_role("button", name="Show 114 more").click()
    evidence.get_by_role("button", name="Show more (70 left)").click()
    evidence.get_by_role("button", name="Show more (20 left)").click()
    evidence.get_by_role("button", name="Show more").wait_for(state="detached")
    assert files.count() == 120
    evidence.get_by_role("searchbox").fill("word 117")
    evidence.get_by_role("button", name="pkg/m117.py", exact=True).wait_for()
    sidebar.page.wait_for_function("document.querySelectorAll('.jp-Loom-file').length === 1")
    why = evidence.get_by_role("textbox", name="Why not this file?").or_(evidence.get_by_role("combobox").last)
    why.fill("m099.py")
    evidence.get_by_text("pkg/m099.py is number 100 with 21.0 points, 99.0 behind pkg/m000.py").wait_for()


LEDGER = [
    ("tariff.py", "path mentioned", 24.0, "mention"),
    ("b.py", "changed in git", 8.0, "git"),
    ("a.py", "term in symbol", 7.0, "symbol"),
]
REJECTED = ev.StateChanged(state=ev.RunState.REJECTED)


def test_text_is_never_markup_and_nothing_is_hidden(sidebar: Sidebar) -> None:
    sidebar.store([*hostile(), ev.Failed(text=BAD), ev.StateChanged(state=ev.RunState.FAILED, reason=BAD)], BAD)
    sidebar.place.locator(".jp-Loom-notice", has_text="onerror").wait_for()
    for more in sidebar.place.locator("details > summary").all():
        more.click()
    sidebar.place.locator(".jp-Loom-unfold").first.click()
    sidebar.place.locator(".cm-editor", has_text="onerror").first.wait_for()
    assert sidebar.page.evaluate("window.hurt") is None
    assert sidebar.place.locator("img").count() == 0
    text = sidebar.place.inner_text()
    assert "\u202e" not in text
    assert "⟨U+202E⟩" in text
    assert len(text) < 100_000


def test_a_run_is_found_again_and_deleted(sidebar: Sidebar) -> None:
    folder = sidebar.store(whole(ev.RunState.REJECTED), "the zebra crossing")
    sidebar.store(whole(ev.RunState.REJECTED), "something newer")
    sidebar.place.locator(".jp-Loom-asked", has_text="2 kg").wait_for()
    sidebar.button("History of runs").click()
    sidebar.place.get_by_role("searchbox").fill("ZEBRA")
    sidebar.place.locator(".jp-Loom-past", has_text="zebra").click()
    sidebar.button("Newest run").wait_for()
    sidebar.button("History of runs").click()
    sidebar.place.get_by_role("searchbox").fill("zebra")
    sidebar.place.get_by_role("button", name="Delete the run: the zebra crossing").click()
    sidebar.page.locator(".jp-Dialog").get_by_role("button", name="Delete").click()
    sidebar.place.get_by_text("No matching runs").wait_for()
    assert not folder.exists()


def test_past_runs_by_keyboard(sidebar: Sidebar) -> None:
    folder = sidebar.store(whole(ev.RunState.REJECTED), "the zebra crossing")
    sidebar.store(whole(ev.RunState.REJECTED), "something newer")
    sidebar.place.locator(".jp-Loom-asked", has_text="2 kg").wait_for()
    page = sidebar.page
    command(page, "History of Runs")
    page.wait_for_function("document.activeElement?.getAttribute('aria-label') === 'Search past tasks'")
    page.keyboard.type("zebra")
    past = sidebar.place.locator(".jp-Loom-past")
    page.wait_for_function("document.querySelectorAll('.jp-Loom-past').length === 1")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    past.wait_for(state="detached")
    sidebar.button("Newest run").wait_for()

    command(page, "Replay the Run")
    page.locator(".jp-OutputArea-output", has_text=f"Unknown run '{folder.name}'").first.wait_for()
    cells = sidebar.notebook.save()["cells"]
    assert any("".join(cell["source"]) == f"%loom replay {folder.name}" for cell in cells)
    command(page, "Delete the Run…")
    page.locator(".jp-Dialog").wait_for()
    page.keyboard.press("Enter")
    sidebar.button("Newest run").wait_for(state="detached")
    assert not folder.exists()


def command(page: Any, name: str) -> None:
    """Run a command from the palette, by keyboard."""
    page.keyboard.press("Control+Shift+C")
    page.wait_for_function("document.activeElement?.closest('.lm-CommandPalette') !== null")
    page.keyboard.type(name)
    page.locator(".lm-CommandPalette-item.lm-mod-active", has_text=name).wait_for()
    page.keyboard.press("Enter")


def test_a_console_is_opened_where_no_notebook_is(lab: Lab, page: Any) -> None:
    project(lab.work)
    page.goto(f"http://127.0.0.1:{lab.port}/lab?reset&token=t")
    page.wait_for_function("window.jupyterapp?.commands?.hasCommand('loom:focus')", timeout=60_000)
    page.evaluate("window.jupyterapp.commands.execute('loom:focus')")
    box = page.get_by_role("textbox", name="What should be different")
    box.fill("explain nothing")
    page.get_by_role("checkbox", name="Only ask").check()
    page.locator(".jp-Loom-run").click()
    page.locator(".jp-CodeConsole", has_text="%%loom --ask").wait_for()
    page.locator(".jp-Loom-asked", has_text="explain nothing").wait_for()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_nothing_keeps_anyone_out(sidebar: Sidebar, theme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: make sidebar")
    sidebar.notebook.do(f"await app.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}});")
    files = [ev.ProposedFile(path=path, added=1, removed=1, diff=DIFF) for path in ("tariff.py", "b.py")]
    events = [*whole()[:-1], ev.ProposalMade(summary="2 kg", files=files, passed=True), whole()[-1]]
    sidebar.store(events, "accessible")
    sidebar.place.locator(".cm-editor").nth(1).wait_for()
    sidebar.place.locator(".jp-Loom-unfold").first.click()
    sidebar.page.wait_for_timeout(1000)
    sidebar.page.add_script_tag(path=AXE)
    found = sidebar.page.evaluate("axe.run('.jp-Loom')")["violations"]
    grave = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
    assert [one for one in grave if next(v["impact"] for v in found if v["id"] == one[0]) in GRAVE] == []


GRAVE = ("serious", "critical")


def test_settings_that_wait_are_shown_and_trusted(sidebar: Sidebar) -> None:
    file = sidebar.notebook.lab.work / "pyproject.toml"
    file.write_text('[tool.loom]\ncheck = "pytest -q"\n')
    chip = ev.Noticed(text="check is ignored", chip="not trusted", command="%loom trust")
    sidebar.store([*whole()[:-1], chip, whole()[-1]], "with settings")
    bar = sidebar.place.get_by_role("region", name="Settings that are not trusted")
    bar.get_by_text("so these are ignored: check.").wait_for()
    assert sidebar.place.get_by_role("list", name="Notes on this run").text_content() == "not trusted%loom trust"
    bar.get_by_text("Show what they would do").focus()
    sidebar.page.keyboard.press("Enter")
    bar.get_by_text('check = "pytest -q"').wait_for()
    if AXE.exists():
        sidebar.page.add_script_tag(path=AXE)
        found = sidebar.page.evaluate("axe.run('.jp-Loom')")["violations"]
        assert [one["id"] for one in found if one["impact"] in GRAVE] == []
    # What was shown is what is trusted.
    file.write_text('[tool.loom]\ncheck = "pytest -q; true"\n')
    bar.get_by_role("button", name="Trust these settings").focus()
    sidebar.page.keyboard.press("Enter")
    bar.get_by_role("alert").get_by_text("changed since they were shown").wait_for()
    bar.get_by_text('check = "pytest -q; true"').wait_for()
    bar.get_by_role("button", name="Trust these settings").click()
    bar.wait_for(state="detached")
    sidebar.ask(check="")
    sidebar.says("Waiting for your review")
    sidebar.place.locator(".jp-Loom-step", has_text="pytest -q; true").wait_for()


def test_keyboard_alone_is_enough(sidebar: Sidebar) -> None:
    page = sidebar.page
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Alt+L")
    page.keyboard.type("the small tariff")
    page.keyboard.press("Control+Enter")
    sidebar.says("Waiting for your review")
    sidebar.button("Accept").focus()
    page.keyboard.press("Enter")
    sidebar.says("Accepted")
    page.wait_for_function("document.activeElement?.innerText?.trim() === 'Undo'")  # one goes on from here
    command(page, "Undo the Accepted Changes")
    sidebar.says("Undone")


def test_files_and_errors_are_taken_where_they_are(sidebar: Sidebar) -> None:
    page, notebook = sidebar.page, sidebar.notebook
    page.locator(".jp-DirListing-item", has_text="tariff.py").click(button="right")
    page.locator(".lm-Menu-itemLabel", has_text="Tag for Loom").click()
    sidebar.button("Remove the tag tariff.py").wait_for()
    notebook.do("await app.commands.execute('notebook:insert-cell-below');")
    for cell, text in ((1, "1 / 0"), (2, "[][1]")):
        notebook.do(f"widget.content.widgets[{cell}].model.sharedModel.setSource('{text}')")
        notebook.run(cell)
    errors = page.locator(".jp-OutputArea-output")
    errors.filter(has_text="ZeroDivisionError").first.click(button="right")
    page.locator(".lm-Menu-itemLabel", has_text="Ask Loom about This Error").click()
    task = sidebar.place.get_by_role("textbox", name="What should be different")
    page.wait_for_function("document.querySelector('.jp-Loom-words').value.includes('Fix the cause')")
    assert "ZeroDivisionError: division by zero" in task.input_value()
    assert "\x1b" not in task.input_value()

    errors.filter(has_text="IndexError").first.click(button="right")
    page.locator(".lm-Menu-itemLabel", has_text="Ask Loom about This Error").click()
    sidebar.place.locator(".jp-Loom-asked", has_text="IndexError").wait_for()
    assert any("".join(cell["source"]) == "%loom fix" for cell in notebook.save()["cells"])
