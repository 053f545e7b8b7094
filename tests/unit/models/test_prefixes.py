from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.models.engine import Prefixes, shared

TOKENS = st.lists(st.integers(0, 2), max_size=12)


@given(st.lists(TOKENS, max_size=8), TOKENS, st.integers(0, 5))
def test_the_best_shares_most(kept: list[list[int]], tokens: list[int], least: int) -> None:
    prefixes = Prefixes(1 << 20)
    for sequence in kept:
        prefixes.put(sequence, b"x")
    longest = max((shared(s, tokens) for s in kept), default=0)
    found = prefixes.best(tokens, least)
    assert (found is not None) == (longest > least)
    if found is not None:
        assert shared(found.tokens, tokens) == longest


@given(st.lists(st.tuples(TOKENS, st.integers(0, 60)), max_size=12))
def test_the_room_is_kept(sequences: list[tuple[list[int], int]]) -> None:
    prefixes = Prefixes(100)
    for tokens, size in sequences:
        prefixes.put(tokens, bytes(size))
        assert sum(len(k.state) for k in prefixes._kept) <= 100
    assert not prefixes.fits(101)


def test_what_a_longer_sequence_begins_with_goes() -> None:
    prefixes = Prefixes(100)
    prefixes.put([1, 2], b"a")
    prefixes.put([1, 2, 3], b"b")
    prefixes.put([7], b"c")
    assert len(prefixes) == 2


def test_the_least_used_goes_first() -> None:
    prefixes = Prefixes(2)
    prefixes.put([1], b"a")
    prefixes.put([2], b"b")
    assert prefixes.best([1, 5], 0) is not None
    prefixes.put([3], b"c")
    assert prefixes.best([2], 0) is None
    assert prefixes.best([1], 0) is not None


def test_a_state_that_cannot_be_cut_serves_as_a_whole_only() -> None:
    prefixes = Prefixes(100, whole=True)
    prefixes.put([1, 2], b"a")
    prefixes.put([1, 2, 3, 4], b"b")
    found = prefixes.best([1, 2, 3, 9], 0)
    assert found is not None
    assert found.tokens == [1, 2]
