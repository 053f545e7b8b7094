"""Every notebook is executed as its reader would, in a real kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import nbformat
import pytest
from places import NOTEBOOKS

from loom_jupyter.events import schema

ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
# The quickstart's task is one for the model that the demo uses.
DEMO_MODEL = os.environ.get("LOOM_DEMO_MODEL", "qwen2.5-coder-1.5b")


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]


RUNS = [pytest.param(p, id=p.stem) for p in ALL]


@pytest.mark.parametrize("path", RUNS)
def test_notebooks_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loom_jupyter.models.download import locate

    if path.stem != "ledger":
        monkeypatch.setenv("LOOM_MODEL", str(locate(DEMO_MODEL)))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    folder = shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    done = subprocess.run(
        [sys.executable, folder / "run.py", folder / path.name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    if path.stem == "ledger":
        assert "jinja2/sandbox.py is number 1 of" in done.stdout
    if path.stem == "batch":
        assert done.stdout.count(": accepted") == 3
        assert "25 passed" in done.stdout
    if path.stem == "traceback":
        assert "[18.0, 7.5, 4.0]" in done.stdout.split("%loom accept")[-1]
        assert "raises ValueError: a parcel weighs something" in done.stdout
    if path.stem == "quickstart":
        assert "+    if weight <= 2:" in done.stdout
        assert "25 passed" in done.stdout
        (log,) = Path(os.environ["JUPYTER_DATA_DIR"]).glob("loom/*/runs/*/progress.jsonl")
        for line in log.read_text("utf-8").splitlines():
            jsonschema.validate(json.loads(line), schema())
