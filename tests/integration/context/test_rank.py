from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loom_jupyter.context.index import Index

Open = Callable[..., Index]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=120), terms=st.lists(st.text(min_size=1, max_size=12), max_size=3))
def test_any_text_adds_up_and_added_terms_only_add(shop: Path, opened: Open, text: str, terms: list[str]) -> None:
    index = opened(shop)
    plain, more = index.rank(text), index.rank(text, terms=terms)
    for ledger in (plain, more):
        sums: dict[str, float] = {}
        for row in ledger.rows:
            sums[row.path] = sums.get(row.path, 0.0) + row.points
        assert sums == dict(ledger.scores)
    after = dict(more.scores)
    assert all(after[path] >= score for path, score in plain.scores)
