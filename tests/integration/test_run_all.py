"""`--wait` where notebooks run from top to bottom: nbclient, nbconvert, papermill."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from kernels import LENT
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

TARIFF = "def tariff(weight):\n    if weight < 2:\n        return 4.9\n    return 7.2\n"
SOLVED = "2 kg should cost the small price"
CHECK = "python -c 'from tariff import tariff; assert tariff(2) == {}'"


@pytest.fixture
def notebook(tmp_path: Path) -> Callable[[float], Path]:
    """Write a notebook whose run can be solved if 2 kg are to cost 4.9, and whose last cell leaves a file."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname='parcels'\n")
    (tmp_path / "tariff.py").write_text(TARIFF)

    def write(price: float) -> Path:
        sources = [
            LENT,
            f'%%loom --check "{CHECK.format(price)}" --budget 1 --wait --apply job\n{SOLVED}',
            "open('later.txt', 'w').write(job.state.value)",
        ]
        document = new_notebook(cells=[new_code_cell(source) for source in sources])
        document.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(document, tmp_path / "all.ipynb")
        return tmp_path / "all.ipynb"

    return write


def run(path: Path) -> None:
    NotebookClient(nbformat.read(path, as_version=4), resources={"metadata": {"path": path.parent}}).execute()


def test_nbclient_goes_on_when_the_run_is_solved(notebook: Callable[[float], Path], tmp_path: Path) -> None:
    run(notebook(4.9))
    assert (tmp_path / "later.txt").read_text() == "accepted"
    assert "weight <= 2" in (tmp_path / "tariff.py").read_text()


def test_nbclient_stops_at_a_run_that_failed(notebook: Callable[[float], Path], tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="No candidate passed the check"):
        run(notebook(1.0))
    assert not (tmp_path / "later.txt").exists()
    assert (tmp_path / "tariff.py").read_text() == TARIFF


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(("price", "code"), [(4.9, 0), (1.0, 1)])
def test_nbconvert(notebook: Callable[[float], Path], tmp_path: Path, price: float, code: int) -> None:
    pytest.importorskip("nbconvert")
    path = notebook(price)
    done = command("nbconvert", "--to", "html", "--execute", str(path))
    assert (done.returncode != 0) == bool(code), done.stderr[-2000:]
    assert (tmp_path / "later.txt").exists() != bool(code)
    if code:
        assert "No candidate passed the check" in done.stderr
    else:
        page = (tmp_path / "all.html").read_text()
        assert "weight &lt;= 2" in page
        assert "accepted" in page


@pytest.mark.parametrize(("price", "code"), [(4.9, 0), (1.0, 1)])
def test_papermill(notebook: Callable[[float], Path], tmp_path: Path, price: float, code: int) -> None:
    pytest.importorskip("papermill")
    done = command("papermill", str(notebook(price)), str(tmp_path / "out.ipynb"), "--cwd", str(tmp_path))
    assert (done.returncode != 0) == bool(code), done.stderr[-2000:]
    assert (tmp_path / "later.txt").exists() != bool(code)
    if code:
        assert "No candidate passed the check" in (tmp_path / "out.ipynb").read_text()


@pytest.mark.skipif(os.name != "posix", reason="a terminal of its own needs a POSIX system")
def test_a_terminal_says_above_the_prompt_how_a_run_ended(tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    (tmp_path / "pyproject.toml").write_text("[project]\nname='parcels'\n")
    (tmp_path / "tariff.py").write_text(TARIFF)
    words = [
        "-m",
        "IPython",
        "--simple-prompt",
        "--no-banner",
        "--no-confirm-exit",
        "--HistoryManager.enabled=False",
    ]
    terminal = pexpect.spawn(
        sys.executable, words, cwd=str(tmp_path), env={**os.environ, "TERM": "dumb"}, encoding="utf-8", timeout=60
    )
    try:
        terminal.expect(r"In \[1\]")
        terminal.sendline(f"exec({LENT.replace('%load_ext loom_jupyter', '')!r})")
        terminal.expect(r"In \[2\]")
        terminal.sendline("%load_ext loom_jupyter")
        terminal.expect(r"In \[3\]")
        terminal.sendline(f"get_ipython().run_cell_magic('loom', 'job', {SOLVED!r})")
        terminal.expect("runs in the background")
        terminal.expect(r"Run \S+: Waiting for your review · [\d.]+ s. `%loom diff` shows it")
        terminal.sendline("print(job.state.value)")
        terminal.expect("review")
    finally:
        terminal.close(force=True)
