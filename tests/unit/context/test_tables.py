from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context.index import Index
from loom_jupyter.context.store import TABLES, VIEWS

Open = Callable[..., Index]
OF_THE_INDEX = sorted(set(TABLES) - {"ledger", "runs"})


def test_every_view_is_described() -> None:
    assert sorted(re.findall(r"create view (\w+)", VIEWS)) == OF_THE_INDEX


@pytest.mark.parametrize("table", OF_THE_INDEX)
def test_the_columns_are_those_of_the_view(table: str, shop: Path, opened: Open) -> None:
    assert list(opened(shop).sql(f"select * from {table}")) == list(TABLES[table].columns)


def test_refs_are_where_the_name_stands(shop: Path, opened: Open) -> None:
    index = opened(shop)
    found = index.sql("select * from refs where symbol = 'tariff' order by path")
    assert set(found["defined_in"]) == {"src/tariff.py"}
    rows = dict(zip(found["path"], zip(found["line"].fillna(0), found["count"], strict=True), strict=True))
    assert set(rows) == {"src/parcel.py", "src/tariff.py", "tests/test_tariff.py"}
    for path, (line, count) in rows.items():
        lines = (shop / path).read_text().lower().split("\n")
        named = sum(len(re.findall("tariff", text)) for text in lines)
        if path == "src/tariff.py":
            assert (line, count) == (0, named - 1)
        else:
            assert "tariff" in lines[int(line) - 1]
            assert count == named


def test_methods_are_found_by_their_bare_name(shop: Path, opened: Open, write: Callable[..., None]) -> None:
    write(shop, {"src/use.py": "from tariff import Depot\n\nDepot().release(1)\n"})
    found = opened(shop).sql("select path, line from refs where symbol = 'Depot.release' and path <> defined_in")
    assert [tuple(r) for r in found.itertuples(index=False)] == [("src/use.py", 3)]
