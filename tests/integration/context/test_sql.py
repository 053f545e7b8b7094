"""A query of the user is bounded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loom_jupyter.context import store
from loom_jupyter.context.index import Index
from loom_jupyter.context.store import QueryError


@pytest.fixture
def index(make: Callable[..., Path], opened: Callable[..., Index]) -> Iterator[Index]:
    return opened(make({"shop.py": "def tariff():\n    return 1\n"}))


def test_a_query_ends_in_time_in_memory_and_in_rows(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueryError, match=r"more than [\d,]+ rows; add a limit"):
        index.sql("select * from range(1_000_000_000)")
    monkeypatch.setitem(store.CLOSED, "memory_limit", "100MB")
    with pytest.raises(QueryError, match="Out of Memory"):
        index.sql("select a.range, b.range from range(100_000) a, range(100_000) b order by 2, 1")
    monkeypatch.setattr(store, "QUERY_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"took longer than 0\.5 s"):
        index.sql("select count(*) from range(1_000_000) a, range(1_000_000) b where a.range + b.range = 7")
    assert time.monotonic() - started < 20
