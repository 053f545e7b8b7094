"""What a notebook keeps: executed without a front end, saved, converted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from places import FIXTURES
from scripted_runs import AFTER, project

SETUP = f"""import sys
sys.path.insert(0, {str(FIXTURES)!r})
import scripted_runs
scripted_runs.install()
%load_ext loom_jupyter"""


def executed(root: Path, *cells: str) -> Any:
    """Return a notebook of these cells, executed in `root`."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (SETUP, *cells)])
    return NotebookClient(notebook, resources={"metadata": {"path": str(root)}}, timeout=60).execute()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        root = project(tmp_path_factory.mktemp("saved") / "parcels")
        return executed(
            root,
            "%%loom --wait --check 'pytest -q' run\ntariff of 2 kg",
            "ledger = %loom ledger\nledger",
            "%loom diff",
            "%loom accept",
            "print(open('tariff.py').read())",
            "run",
        )


def outputs(notebook: Any, cell: int) -> list[dict[str, Any]]:
    return [output.get("data", output) for output in notebook.cells[cell].outputs]


def test_the_outcome_is_kept_as_html_and_text(saved: Any) -> None:
    page, buttons = outputs(saved, 1)
    assert set(page) == {"text/html", "text/plain"}
    assert "if weight &lt;= 2:" in page["text/html"]
    assert buttons["text/html"] == ""


def test_accepting_in_a_later_cell_shows_in_the_panel_above(saved: Any) -> None:
    assert "Accepted" in outputs(saved, 1)[0]["text/plain"]
    assert AFTER in outputs(saved, 5)[0]["text"]


def test_verbs_leave_tables_and_diffs(saved: Any) -> None:
    assert "<table" in outputs(saved, 2)[0]["text/html"]
    assert "loom-added" in outputs(saved, 3)[0]["text/html"]
    assert "Accepted: tariff.py" in outputs(saved, 4)[0]["text/plain"]
    assert "tariff of 2 kg" in outputs(saved, 6)[0]["text/html"]


def test_converted_to_html_the_outcome_stands_there_once(saved: Any) -> None:
    nbconvert = pytest.importorskip("nbconvert")
    page, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.from_dict({**saved, "cells": saved.cells[:2]}))
    assert page.count("src/tariff.py") + page.count('aria-label="Diff of tariff.py"') == 1
    assert "Error displaying widget" not in page


def test_converted_to_markdown_it_reads_too(saved: Any) -> None:
    nbconvert = pytest.importorskip("nbconvert")
    page, _ = nbconvert.MarkdownExporter().from_notebook_node(saved)
    assert "if weight &lt;= 2:" in page


def test_an_awaited_failure_stops_the_notebook(tmp_path: Path) -> None:
    root = project(tmp_path / "parcels")
    with pytest.raises(CellExecutionError):
        executed(root, "%%loom --wait\nfail", "open('later', 'w')")
    assert not (root / "later").exists()


def test_an_awaited_failure_may_be_expected(tmp_path: Path) -> None:
    root = project(tmp_path / "parcels")
    cell = nbformat.v4.new_code_cell("%%loom --wait\nfail", metadata={"tags": ["raises-exception"]})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SETUP), cell])
    NotebookClient(notebook, resources={"metadata": {"path": str(root)}}, timeout=60).execute()
    assert any("Failed, nothing was written" in str(output) for output in cell.outputs)
