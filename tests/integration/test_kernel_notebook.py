"""The notebook as evidence, in a real kernel; the work between task and proposal is a script."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kernels import LENT, Kernel, Said
from scripted_runs import project

from loom_jupyter import Loom
from loom_jupyter.context.ledger import Ledger
from loom_jupyter.runs.replay import replay
from loom_jupyter.runs.request import Request

TOKEN = "gh" + "p_" + "a1B2c3D4e5" * 3 + "f6G7h8"
FAULTY = """
def total(orders):
    return sum(price(order) for order in orders)


def price(order):
    return order["euros"] + order["tax"]
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    root = project(tmp_path / "parcels")
    (root / "turnover.py").write_text(FAULTY)
    started = Kernel(root)
    assert started.run(LENT).status == "ok"
    yield started
    started.close()


def ran(kernel: Kernel, source: str) -> Said:
    said = kernel.run(source)
    assert said.status == "ok", said.error
    return said


def finished(kernel: Kernel, source: str) -> tuple[Request, Ledger]:
    ran(kernel, source)
    folder = Path(kernel.value("[job.wait(60), str(job.folder)][1]"))
    request = Request.model_validate_json((folder / "run.json").read_text("utf-8"))
    return request, Ledger.from_json((folder / "ledger.json").read_text("utf-8"))


def rows(ledger: Ledger, rule: str) -> list[tuple[str, str, int | None]]:
    return [(r.path, r.detail, r.line) for r in ledger.rows if r.rule == rule]


def test_a_task_knows_its_notebook(kernel: Kernel) -> None:
    ran(kernel, f"from turnover import total\norders = [{{'euros': 1.5, 'key': '{TOKEN}'}}]\nlimit = 30")
    kernel.run("total(orders)")
    request, ledger = finished(kernel, "%%loom job\nkeep the orders below the limit")
    assert rows(ledger, "in the traceback") == [
        ("turnover.py", "KeyError in price", 7),
        ("turnover.py", "KeyError in total", 3),
        ("<notebook>", "KeyError in In [3]: total(orders)", None),
    ]
    assert rows(ledger, "loaded here") == [("turnover.py", "used by the notebook", None)]
    assert ("<notebook>", "orders: list of 1, dict", None) in rows(ledger, "live variable")
    assert ("<notebook>", "limit: int", None) in rows(ledger, "live variable")
    assert ("turnover.py", "In [3] calls total()", 2) in rows(ledger, "earlier cell")
    assert "In the notebook:\n- orders: list of 1, dict\n- limit: int" in request.words
    assert TOKEN not in request.model_dump_json()
    assert "= 30" not in request.words
    found = "[list(ledger[ledger.rule == 'loaded here'].path), job.state.value]"
    ran(kernel, "ledger = %loom ledger")
    assert kernel.value(found) == [["turnover.py"], "review"]


def test_values_are_told_where_they_are_asked_for(kernel: Kernel) -> None:
    ran(kernel, f"limit = 30\nkey = '{TOKEN}'")
    request, _ = finished(kernel, "%%loom --values job\nraise the limit, and use the key")
    assert "limit: int = 30" in request.words
    assert "key: str of 40 = '<***>'" in request.words


@pytest.mark.parametrize("off", ["%config LoomMagics.notebook = False", "pyproject"])
def test_one_setting_turns_all_of_it_off(kernel: Kernel, off: str) -> None:
    if off == "pyproject":
        ran(kernel, "from pathlib import Path\nf = Path('pyproject.toml')")
        ran(kernel, "f.write_text(f.read_text() + '[tool.loom]\\nnotebook = false\\n')")
    else:
        ran(kernel, off)
    ran(kernel, "from turnover import total\norders = [{'euros': 1.5}]")
    kernel.run("total(orders)")
    request, ledger = finished(kernel, "%%loom job\nkeep the orders below the limit")
    assert request.notebook is None
    assert all(row.path != "<notebook>" for row in ledger.rows)
    request, _ = finished(kernel, "%loom fix job")
    assert request.notebook is not None
    assert (request.notebook.modules, request.notebook.variables) == ((), ())


def test_fix_makes_a_task_of_the_last_exception(kernel: Kernel) -> None:
    ran(kernel, "from turnover import total\norders = [{'euros': 1.5}]")
    kernel.run("total(orders)")
    kernel.run("%loom undo")  # a complaint of Loom's own is not what is to be fixed
    request, ledger = finished(kernel, f"%loom fix --check {sys.executable!r} --budget 9 job")
    assert request.task == (
        "`total(orders)` raises KeyError: 'tax'\n"
        'The exception comes from `price` (turnover.py, line 7): `return order["euros"] + order["tax"]`\n'
        "There, order: dict of 1.\n"
        "Correct the code, so that this no longer raises."
    )
    assert (request.check, request.budget, request.ask) == (sys.executable, 9.0, False)
    assert ledger.scores[0][0] == "turnover.py"


def test_fix_explains_what_a_module_refuses(kernel: Kernel) -> None:
    ran(kernel, "%%writefile limits.py\ndef limit(n):\n    if n < 0:\n        raise ValueError('too low')")
    kernel.run("from limits import limit\nlow = -1\nlimit(low)")
    request, _ = finished(kernel, "%loom fix job")
    assert (request.ask, request.cell) == (True, False)
    assert request.task.startswith("The cell In [3] raises ValueError: too low")
    assert "- low: int" in request.words
    assert kernel.value("[job.state.value, bool(job.proposal.answer)]") == ["accepted", True]
    (mapped,) = kernel.value("[e.excerpts for e in job.events() if e.type == 'map']")
    assert mapped[0] == "<notebook> · In [3] (lines 1-3)"


def test_fix_rewrites_the_cell_that_is_at_fault(kernel: Kernel) -> None:
    ran(kernel, "prices = {'eur': 1}")
    kernel.run("n = 1\nif n < 2:\n    raise KeyError('usd')")
    request, _ = finished(kernel, "%loom fix --check cell job")
    assert (request.ask, request.cell, request.check) == (False, True, "cell")
    assert request.task.startswith(
        "The cell In [3] raises KeyError: 'usd'\nIt fails at line 3: `raise KeyError('usd')`"
    )
    assert list(kernel.value("list(job.proposal.diffs)")) == ["In [3]"]


def test_fix_without_an_exception_is_one_sentence(kernel: Kernel) -> None:
    said = kernel.run("%loom fix")
    assert said.text.strip() == "UsageError: There is no exception to fix: none was raised in this notebook yet."


def test_another_process_sees_and_replays_the_same(kernel: Kernel) -> None:
    ran(kernel, "limit = 30")
    request, ledger = finished(kernel, "%%loom job\nraise the limit")
    run: Any = Loom(Path(request.root)).last_run()
    assert run.request == request
    assert run.ledger.rows == ledger.rows
    assert replay(run).same
