from __future__ import annotations

from typing import Any

from loom_jupyter.kernel import traceback
from loom_jupyter.notebook_state import Failure


def failed(notebook: Any, source: str) -> Failure:
    notebook.run(source)
    found: Failure = notebook.tracker.last_exception(notebook.root)
    return found


def wanted(found: Failure, **said: Any) -> str:
    return traceback.wanted(found, **{"ask": False, "cell": False, "files": False, "check": None, **said})


def test_a_fault_of_a_module(notebook: Any) -> None:
    found = failed(notebook, "from parcels.label import label\nlabel('Jo', 'Street', 'us', '3')")
    assert wanted(found) == wanted(found, check="cell") == "files"
    assert traceback.task(found, "files").splitlines() == [
        "`label('Jo', 'Street', 'us', '3')` raises ValueError: Unknown format code 'f' for object of type 'str'",
        "The exception comes from `label` (parcels/label.py, line 14): "
        '`lines.append(f"{weight:.1f} kg  zone {zone(country)}")`',
        "There, lines: list of 3, str; weight: str of 1; country: str of 2.",
        "Correct the code, so that this no longer raises.",
    ]


def test_a_fault_of_a_cell(notebook: Any) -> None:
    found = failed(notebook, "prices = {'eur': 1}\nprices['usd']")
    assert wanted(found) == wanted(found, check="cell") == "cell"
    assert traceback.task(found, "cell").splitlines() == [
        "The cell In [1] raises KeyError: 'usd'",
        "It fails at line 2: `prices['usd']`",
        "There, prices: dict of 1.",
        "Correct the cell, so that it no longer raises.",
    ]
    assert traceback.task(found, "answer").endswith("then show the corrected code in one code block.")


def test_what_a_module_refuses_is_explained_unless_the_user_says_more(notebook: Any) -> None:
    found = failed(notebook, "from parcels.tariff import parcel_price\nparcel_price(0)")
    assert wanted(found) == "answer"
    assert wanted(found, check="cell") == "cell"
    assert wanted(found, check="pytest -q") == wanted(found, files=True) == "files"
    said = traceback.task(found, "answer")
    assert "The cell In [1] raises ValueError: a parcel weighs something" in said
    assert 'refuses that on purpose: `raise ValueError("a parcel weighs something")`' in said
    assert traceback.task(found, "files").startswith("`parcel_price(0)` raises ValueError")


def test_what_the_user_asks_for_wins(notebook: Any) -> None:
    found = failed(notebook, "from parcels.label import label\nlabel('Jo', 'Street', 'us', '3')")
    assert wanted(found, ask=True) == "answer"
    assert wanted(found, cell=True) == "cell"
    assert traceback.task(found, "cell").startswith("The cell In [1] raises ValueError")


def test_an_exception_of_nowhere_is_explained() -> None:
    found = Failure(type="OSError", message="disk full")
    assert wanted(found) == "answer"
    assert traceback.task(found, "answer").startswith("A cell raises OSError: disk full\nExplain")
