from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from places import PARCELS

from loom_jupyter import Loom
from loom_jupyter.context.store import TABLES


@pytest.fixture
def loom(tmp_path: Path) -> Loom:
    return Loom(shutil.copytree(PARCELS, tmp_path / "parcels"))


def test_every_table_and_column_is_described(loom: Loom) -> None:
    told = loom.tables()
    for name in TABLES:
        columns = told[told["table"] == name]
        assert columns["column"].tolist() == ["", *loom.sql(f"select * from {name}")]
        assert (columns["description"] != "").all()
        assert (columns["type"][1:] != "").all()


def test_the_newest_ranking_can_be_queried(loom: Loom) -> None:
    assert len(loom.sql("select * from ledger")) == 0
    assert len(loom.sql("select * from runs")) == 0
    ledger = loom.rank("parcel tariff")
    found = loom.sql("select path, sum(points) as score from ledger group by all order by min(rank)")
    assert list(zip(found["path"], found["score"], strict=True)) == ledger.scores
