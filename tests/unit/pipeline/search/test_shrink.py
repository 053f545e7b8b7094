from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.pipeline.search.crossover import hunks, with_hunks

TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n", "\n"]), max_size=12).map("".join)


@given(TEXTS, TEXTS)
def test_all_hunks_make_the_change_and_none_undoes_it(before: str, after: str) -> None:
    found = hunks(before, after)
    assert with_hunks(before, after, found) == after
    assert with_hunks(before, after, []) == before


def test_one_hunk_is_left_out() -> None:
    before, after = "a\nb\nc\nd\ne\n", "A\nb\nc\nd\ne\nf\n"
    first, second = hunks(before, after)
    assert with_hunks(before, after, [first]) == "A\nb\nc\nd\ne\n"
    assert with_hunks(before, after, [second]) == "a\nb\nc\nd\ne\nf\n"
