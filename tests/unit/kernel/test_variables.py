from __future__ import annotations

import importlib.util
import sys
from collections import deque
from typing import Any

import numpy as np
import pandas as pd
import pytest
from angry import ANGRY
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.kernel.variables import VALUE_CHARS, variable

TOKEN = "gh" + "p_" + "a1B2c3D4e5" * 3 + "f6G7h8"


def nowhere(_: str) -> str:
    return ""


def told(value: Any, *, values: bool = False) -> str:
    return str(variable("it", value, nowhere, values=values))


FRAME = pd.DataFrame({"date": ["2026-01-03"] * 1200, "euros": [1.5] * 1200})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (FRAME, "it: pandas.DataFrame 1,200 × 2 (date str, euros float64)"),
        (FRAME["euros"], "it: pandas.Series 1,200, float64"),
        (np.zeros((3, 4)), "it: numpy.ndarray 3 × 4, float64"),
        (np.float64(3), "it: numpy.float64, float64"),
        ([1, 2, 3], "it: list of 3, int"),
        ([1, "a"], "it: list of 2"),
        (deque([1.5]), "it: collections.deque of 1, float"),
        ({"a": 1}, "it: dict of 1"),
        (TOKEN, "it: str of 40"),
        (7, "it: int"),
        (None, "it: NoneType"),
        (print, "it: function"),
        (pd, "it: module"),
        (pd.DataFrame, "it: type"),
    ],
)
def test_type_shape_and_columns_without_the_value(value: Any, words: str) -> None:
    assert told(value) == words


def test_a_wide_table_shows_its_first_columns() -> None:
    wide = pd.DataFrame(np.zeros((2, 500)), columns=[f"c{n}" for n in range(500)])
    words = told(wide)
    assert "c0 float64, c1 float64" in words
    assert words.endswith("480 more)")
    assert len(words) < 600


def test_polars_tables_are_read_and_lazy_ones_stay_lazy() -> None:
    pl = pytest.importorskip("polars", reason="the user's own library")
    assert told(pl.DataFrame({"a": [1]})) == "it: polars.DataFrame 1 × 1 (a Int64)"
    assert "(" not in told(pl.LazyFrame({"a": [1]}))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1, 2, 3, 4, 5, 6], "[1, 2, 3, 4, 5, …]"),
        ({"a": (1, 2)}, "{'a': (1, 2)}"),
        (FRAME, "{'date': '2026-01-03', 'euros': 1.5}"),
        (np.arange(12).reshape(3, 4), "[[0, 1, 2, 3], [4,"),
        (np.int64(3), "= 3"),
        (object(), "= <object>"),
        (np.zeros((2, 5000)), "= <numpy.ndarray>"),
    ],
)
def test_values_where_they_are_asked_for(value: Any, words: str) -> None:
    assert words in told(value, values=True)
    assert words not in told(value)


def test_a_huge_number_is_not_written_out() -> None:
    assert told(1 << 99_999, values=True) == "it: int = an int of 100,000 bits"


def test_values_are_bounded_and_without_secrets() -> None:
    assert TOKEN not in told({"key": TOKEN}, values=True)
    assert "<***>" in told({"key": TOKEN}, values=True)
    assert len(told("x" * 10**6, values=True)) < VALUE_CHARS + 60


def test_columns_are_without_secrets() -> None:
    assert TOKEN not in told(pd.DataFrame({TOKEN: [1]}))


def test_no_library_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pandas")
    assert told(FRAME).startswith("it: pandas.DataFrame 1,200 × 2") or told(FRAME).startswith("it: pandas.core")
    assert "pandas" not in sys.modules


# --- objects that misbehave ---


anything = st.recursive(
    st.one_of(
        st.integers(0, len(ANGRY) - 1).map(lambda n: ANGRY[n]),
        st.integers(),
        st.text(),
        st.binary(),
        st.none(),
        st.floats(),
    ),
    lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


@given(anything, st.text(), st.booleans())
def test_whatever_an_object_does_it_is_described(value: Any, name: str, values: bool) -> None:
    described = variable(name, value, nowhere, values=values)
    assert described.type
    assert len(str(described)) < 2_000


@pytest.mark.parametrize("number", range(len(ANGRY)))
def test_each_of_them_is_described(number: int) -> None:
    assert told(ANGRY[number], values=True).startswith("it: ")


def test_a_lazy_module_stays_unloaded() -> None:
    spec = importlib.util.find_spec("this")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert told(module, values=True) == "it: module = <importlib.util._LazyModule>"
    assert type(module).__name__ == "_LazyModule"


def test_an_interrupt_is_not_held_back() -> None:
    class Interrupted(pd.DataFrame):
        @property
        def shape(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        told(Interrupted({"a": [1]}))
