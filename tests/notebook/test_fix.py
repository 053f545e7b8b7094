from __future__ import annotations

from typing import Any

from loom_jupyter.notebook import fix


def words(notebook: Any, source: str) -> str:
    notebook.run(source)
    failed = notebook.witness.last_exception(notebook.root)
    return fix.task(failed, in_cell=failed.in_cell)


def test_a_fault_of_a_module(notebook: Any) -> None:
    said = words(notebook, "from parcels.label import label\nlabel('Jo', 'Street', 'us', '3')")
    assert said.splitlines() == [
        "`label('Jo', 'Street', 'us', '3')` raises ValueError: Unknown format code 'f' for object of type 'str'",
        "The exception comes from `label` (parcels/label.py, line 14): "
        '`lines.append(f"{weight:.1f} kg  zone {zone(country)}")`',
        "There, lines: list of 3, str; weight: str of 1; country: str of 2.",
        "Correct the code, so that this no longer raises.",
    ]


def test_a_fault_of_a_cell(notebook: Any) -> None:
    said = words(notebook, "prices = {'eur': 1}\nprices['usd']")
    assert said.splitlines() == [
        "The cell In [1] raises KeyError: 'usd'",
        "It fails at line 2: `prices['usd']`",
        "There, prices: dict of 1.",
        "Explain in a few sentences why, then give the whole corrected cell in one code block.",
    ]


def test_what_a_module_refuses_is_a_fault_of_the_cell_unless_the_user_says_otherwise(notebook: Any) -> None:
    said = words(notebook, "from parcels.tariff import parcel_price\nparcel_price(0)")
    assert "The cell In [1] raises ValueError: a parcel weighs something" in said
    assert 'refuses that on purpose: `raise ValueError("a parcel weighs something")`' in said
    failed = notebook.witness.last_exception(notebook.root)
    assert fix.task(failed, in_cell=False).startswith("`parcel_price(0)` raises ValueError")


def test_an_exception_of_nowhere(notebook: Any) -> None:
    said = words(notebook, "exec('1/0')")
    assert "ZeroDivisionError" in said
