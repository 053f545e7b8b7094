from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from loom_jupyter.arguments import UsageError
from loom_jupyter.kernel.completion import interpolated

NAMES: dict[str, Any] = {
    "limit": 2,
    "price": 4.8999,
    "order": SimpleNamespace(country="AT", line=SimpleNamespace(weight=2.5)),
    "table": {"a": 1},
}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{limit} kg should cost {price:.2f}", "2 kg should cost 4.90"),
        ("{order.country}: {order.line.weight:>6}", "AT:    2.5"),
        ("a set is {{1, {limit}}}", "a set is {1, 2}"),
        ("nothing", "nothing"),
        ("{table}", "{'a': 1}"),
    ],
)
def test_names_attributes_and_formats_are_filled_in(text: str, said: str) -> None:
    assert interpolated(text, NAMES) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{limt}", "There is no variable 'limt' in this notebook. Did you mean limit?"),
        ("{nothing_like_it}", "There is no variable 'nothing_like_it' in this notebook."),
        ("{order.contry}", "'order' has no attribute 'contry'. Did you mean country?"),
        ("{table[a]}", "{table[a]} is more"),
        ("{limit!r}", "{limit!r} is more"),
        ("{price:{limit}}", "is more"),
        ("{0}", "{0} is more"),
        ("{}", "{} is more"),
        ("{order.__class__}", "{order.__class__} is more"),
        ("{price:d}", "{price:d} cannot be formatted"),
        ("one { brace", "write {{ for a brace"),
    ],
)
def test_what_is_more_or_missing_gets_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        interpolated(text, NAMES)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
