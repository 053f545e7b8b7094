from __future__ import annotations

from pathlib import Path

import pytest

from loom_jupyter.context.context_map import Relation
from loom_jupyter.context.index import Index
from loom_jupyter.settings import Settings


@pytest.fixture
def index(sample: Path, tmp_path: Path) -> Index:
    (sample / "parcels/tariff.py").write_text(
        (sample / "parcels/tariff.py").read_text()
        + "\n\ndef outer(n):\n    def inner():\n        return outer(n)\n"
    )
    return Index(sample, Settings(), tmp_path)


def names(index: Index, of: str, relation: Relation) -> list[str]:
    (unit,) = index.defined(of)
    return [f"{o.path} {o.symbol}" for o in index.related(unit, relation)]


def test_callees_stand_in_the_units_own_file_first(index: Index) -> None:
    assert names(index, "charged_weight", Relation.CALLEES) == ["parcels/tariff.py volume_weight"]


def test_callers_are_functions_of_the_code_and_not_of_tests(index: Index) -> None:
    assert names(index, "volume_weight", Relation.CALLERS) == ["parcels/tariff.py charged_weight"]
    assert "parcels/order.py Parcel.price" in names(index, "parcel_price", Relation.CALLERS)
    assert not any("test" in name for name in names(index, "parcel_price", Relation.CALLERS))


def test_tests_that_call_a_unit(index: Index) -> None:
    found = names(index, "parcel_price", Relation.TESTS)
    assert found[0] == "tests/test_tariff.py test_price_by_weight"
    assert all("test" in name for name in found)


def test_what_other_names_mean(index: Index) -> None:
    found = names(index, "parcel_price", Relation.DEFINITIONS)
    assert "parcels/tariff.py SMALL" in found
    assert len(found) == 4, "a budget"


def test_a_unit_is_no_neighbour_of_its_own(index: Index) -> None:
    assert names(index, "outer", Relation.CALLERS) == ["parcels/tariff.py outer.inner"]


def test_of_what_is_gone_or_of_a_notebook_nothing_is_known(index: Index) -> None:
    (unit,) = index.defined("charged_weight")
    gone = unit.model_copy(update={"path": "gone.py"})
    cell = unit.model_copy(update={"cell": "a"})
    assert index.related(gone, Relation.CALLEES) == index.related(cell, Relation.CALLEES) == []
