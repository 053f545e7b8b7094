from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.kernel.reload import loaded, reload

BEFORE = """
LIMIT = 2
NAMES = ["AT"]
def tariff(weight):
    return 4.9 if weight < LIMIT else 7.2
class Order:
    def __init__(self, weight):
        self.weight = weight
    def price(self):
        return tariff(self.weight)
def old():
    return 1
"""
AFTER = BEFORE.replace("weight < LIMIT", "weight <= LIMIT").replace("def old", "def new")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "shop_tariff.py").write_text(BEFORE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module("shop_tariff")
    sys.modules.pop("shop_tariff", None)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], None]:
    def put(text: str) -> None:
        (tmp_path / "shop_tariff.py").write_text(text + "# another length\n")

    return put


def test_functions_and_instances_do_the_new_thing(
    module: Any, write: Callable[[str], None], tmp_path: Path
) -> None:
    tariff, order = module.tariff, module.Order(2)
    assert order.price() == 7.2
    write(AFTER)
    said = reload(tmp_path, ["shop_tariff.py"], {"tariff": tariff, "order": order, "shop_tariff": module})
    assert (tariff(2), order.price()) == (4.9, 4.9)
    assert said == "Reloaded shop_tariff. `order` was made by the old Order: it keeps what that gave it."


def test_what_stays_as_it_was_is_named(module: Any, write: Callable[[str], None], tmp_path: Path) -> None:
    names = {"LIMIT": module.LIMIT + 0, "places": module.NAMES, "old": module.old, "other": 7}
    write(AFTER.replace("LIMIT = 2", "LIMIT = 3").replace('"AT"', '"AT", "DE"'))
    said = reload(tmp_path, ["shop_tariff.py"], names)
    assert "`places` is stale: it is shop_tariff.NAMES as it was; import it again." in said
    assert "`old` is stale: shop_tariff no longer has old." in said
    assert "other" not in said


def test_a_module_that_cannot_be_loaded_stays(module: Any, write: Callable[[str], None], tmp_path: Path) -> None:
    write("def tariff(:")
    said = reload(tmp_path, ["shop_tariff.py"], {})
    assert said.startswith("shop_tariff cannot be loaded again (SyntaxError")
    assert module.tariff(1) == 4.9


def test_only_modules_of_the_changed_files(module: Any, tmp_path: Path) -> None:
    assert loaded(tmp_path, ["shop_tariff.py", "README.md"]) == [module]
    assert loaded(tmp_path, ["other.py"]) == []
    assert "nothing to reload" in reload(tmp_path, ["other.py"], {})
