from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loom_jupyter.context.index import Index
from loom_jupyter.context.pack import NoRoomError

Open = Callable[..., Index]


REQUEST = "the tariff charges too much"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=st.integers(80, 900))
def test_budget_holds_and_what_is_left_out_is_named(shop: Path, opened: Open, budget: int) -> None:
    index = opened(shop)
    ledger = index.rank(REQUEST)
    offers = index.offers(ledger)
    try:
        made = index.map(ledger, offers[:2], budget, lambda text: len(text) // 4)
    except NoRoomError:
        assert budget < 200
        return
    assert made.tokens <= budget
    assert len(made.targets) + sum(o.reason == "no room left in the window" for o in made.omitted) == 2
