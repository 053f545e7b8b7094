"""What a query of the user may do: read the index, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from loom_jupyter.context.index import Index
from loom_jupyter.context.store import QueryError


@pytest.fixture
def index(make: Callable[..., Path], opened: Callable[..., Index]) -> Iterator[Index]:
    return opened(make({"shop.py": "def tariff():\n    return 1\n"}))


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to '{0}/out.csv'",
        "export database '{0}/out'",
        "attach '{0}/out.db'",
        "attach '{0}/secret.db' as other",
        "create table loom.mine as select 1",
        "create table mine as select 1",
        "insert into loom.files values (1)",
        "delete from loom.files",
        "update loom.files set path = ''",
        "drop view files",
        "install httpfs",
        "load httpfs",
        "force install spatial from community",
        "set enable_external_access = true",
        "set threads = 1",
        "set variable x = 1",
        "reset lock_configuration",
        "pragma database_list",
        "pragma enable_profiling = 'json'",
        "call pragma_version()",
        "call enable_logging(storage = 'file', storage_path = '{0}/out')",
        "use loom",
        "prepare p as select 1",
        "vacuum",
        "checkpoint",
        "explain analyze copy (select 1) to '{0}/out.csv'",
        "explain analyze delete from loom.files",
        "select 1; copy (select 1) to '{0}/out.csv'",
        "select 1; select 2",
        "select * from read_csv('{0}/secret.csv')",
        "select * from read_text('{0}/secret.csv')",
        "select * from read_blob('{0}/secret.csv')",
        "select * from sniff_csv('{0}/secret.csv')",
        "select * from read_json_auto('{0}/secret.csv')",
        "select * from read_parquet('http://127.0.0.1:9/x.parquet')",
        "select * from '{0}/secret.csv'",
        "select * from glob('{0}/*')",
        "select * from query('select * from read_text(''{0}/secret.csv'')')",
        "select getenv('HOME')",
        "select * from secret_frame",
        "from enable_logging('QueryLog', storage = 'file', storage_path = '{0}/out')",
        "",
        "-- nothing",
    ],
)
def test_a_query_reads_the_index_and_nothing_else(query: str, index: Index, tmp_path: Path) -> None:
    secret_frame = pd.DataFrame({"word": ["s3cret"]})
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret.csv").write_text("word\ns3cret\n")
    before = index.sql("select * from files")
    with pytest.raises(QueryError):
        index.sql(query.format(folder))
    assert [file.name for file in folder.iterdir()] == ["secret.csv"]
    pd.testing.assert_frame_equal(index.sql("select * from files"), before)
    assert len(secret_frame) == 1


@pytest.mark.parametrize(
    "query",
    [
        "select path from files",
        "with a as (select path from files) select * from a",
        "from files",
        "describe files",
        "show tables",
        "summarize files",
        "explain select * from files",
        "select symbol from symbols where path = 'shop.py' -- with a comment",
        "select * from frame",
    ],
)
def test_what_only_reads_is_answered(query: str, index: Index) -> None:
    assert len(index.sql(query, {"frame": pd.DataFrame({"x": [1]})})) > 0
