from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from angry import ANGRY, AngryError

from loom_jupyter.kernel import evidence
from loom_jupyter.kernel.tracker import KernelTracker


def state(notebook: Any, task: str, **options: Any) -> Any:
    return notebook.tracker.state(task, notebook.root, **options)


def test_a_new_notebook_knows_nothing(notebook: Any) -> None:
    found = state(notebook, "make the parcel cheaper")
    assert (found.failure, found.modules, found.cells, found.variables) == (None, (), (), ())


def test_variables_that_the_task_names(notebook: Any) -> None:
    notebook.run("import pandas as pd\norders = pd.DataFrame({'euros': [1.5]})\nhidden = 1\nthe = 2\nx = 3")
    found = state(notebook, "sum the orders by x")
    assert [str(v) for v in found.variables] == ["orders: pandas.DataFrame 1 × 1 (euros float64)"]
    assert [v.name for v in state(notebook, "what is `x` in `the` frame").variables] == ["x", "the"]
    assert [c.number for c in found.cells] == [1]


def test_values_only_where_they_are_asked_for(notebook: Any) -> None:
    notebook.run("limit = 30")
    assert "30" not in str(state(notebook, "raise the limit").variables[0])
    assert str(state(notebook, "raise the limit", values=True).variables[0]) == "limit: int = 30"


def test_a_function_of_the_workspace_is_where_it_is_defined(notebook: Any) -> None:
    notebook.run("from parcels.order import Order, discount\nmine = Order('Jo')")
    found = state(notebook, "the discount of mine is wrong")
    assert [(v.name, v.path, v.symbol) for v in found.variables] == [
        ("discount", "parcels/order.py", "discount"),
        ("mine", "parcels/order.py", "Order"),
    ]


def test_an_exception_gets_older_with_every_cell_that_goes_well(notebook: Any) -> None:
    notebook.run("1 / 0")
    for age in range(3):
        assert state(notebook, "do it").failure.age == age
        notebook.run("pass")


def test_looms_own_cells_make_no_exception_older(notebook: Any) -> None:
    notebook.shell.run_line_magic("load_ext", "loom_jupyter")
    notebook.run("1 / 0")
    notebook.run("%loom help")
    notebook.shell.run_cell("pass", store_history=False)
    assert state(notebook, "do it").failure.age == 0


def test_complaints_of_magics_and_interrupts_are_no_exceptions_to_repair(notebook: Any) -> None:
    notebook.run("1 / 0")
    notebook.run("%timeit --nonsense")
    notebook.run("raise KeyboardInterrupt")
    assert state(notebook, "do it").failure.type == "ZeroDivisionError"


def test_an_exception_from_before_loom_was_loaded(notebook: Any) -> None:
    notebook.close()
    notebook.run("1 / 0")
    late = KernelTracker(notebook.shell)
    notebook.tracker = late
    notebook.shell.events.register("post_run_cell", late.after_cell)
    assert late.last_exception(notebook.root).type == "ZeroDivisionError"  # type: ignore[union-attr]


def test_a_fresh_exception_brings_its_cell_and_variables(notebook: Any) -> None:
    notebook.run("prices = {'eur': 1}")
    notebook.run("prices['usd']")
    found = state(notebook, "do something else")
    assert [c.number for c in found.cells] == [2, 1]
    assert [v.name for v in found.variables] == ["prices"]
    for _ in range(3):
        notebook.run("pass")
    assert state(notebook, "do something else").cells == ()


def test_an_exception_that_cannot_be_read_is_known_by_its_type(
    notebook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("loom_jupyter.kernel.traceback.failure", fail)
    notebook.run("[][0]")
    assert state(notebook, "do it").failure.title == "IndexError"


def test_a_part_that_cannot_be_read_is_said_and_the_rest_is_there(
    notebook: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(evidence.modules, "loaded", fail)
    notebook.run("limit = 30")
    found = state(notebook, "raise the limit")
    assert found.notices == ("This notebook's evidence lacks loaded modules (ZeroDivisionError).",)
    assert [v.name for v in found.variables] == ["limit"]


def test_objects_that_misbehave_are_in_nobodys_way(notebook: Any) -> None:
    names = {f"angry_{n}": value for n, value in enumerate(ANGRY)}
    notebook.shell.user_ns |= names
    notebook.run("; ".join(f"{name}.call" for name in names))
    found = state(notebook, " ".join(names), values=True)
    assert found.notices == ()
    data = [v.name for v in found.variables]
    assert data == [n for n, value in names.items() if not issubclass(type(value), (type, ModuleType))]
    assert found.cells


def test_an_exception_that_misbehaves_is_noted(notebook: Any) -> None:
    class Result:
        error_before_exec = None
        error_in_exec = AngryError()

        class info:  # noqa: N801 - as IPython calls it
            store_history, raw_cell = True, "fail()"

    notebook.tracker.after_cell(Result)
    assert state(notebook, "do it").failure.type.endswith("AngryError")


def test_nothing_is_imported(notebook: Any) -> None:
    before = set(sys.modules)
    notebook.run("data = [1]")
    state(notebook, "use data")
    assert not {
        m for m in set(sys.modules) - before if m.partition(".")[0] in ("pandas", "polars", "numpy", "torch")
    }
