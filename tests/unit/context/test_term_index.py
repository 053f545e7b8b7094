"""What counting by numpy tells of a text."""

from __future__ import annotations

from loom_jupyter.context.term_index import Counted, Lexicon, Text, count


def told(got: Counted) -> dict[tuple[int, int, str], tuple[int, int]]:
    rows = zip(got.term, got.file, got.where, got.times, got.line, strict=True)
    return {(f, w, got.vocabulary[t]): (n, line) for t, f, w, n, line in rows}


def test_a_lexicon_that_forgets_counts_the_same() -> None:
    texts = [Text(0, 0, b"one two three two one"), Text(1, 0, "drei two größe".encode())]
    lexicon = Lexicon()
    first = told(count(texts, lexicon))
    lexicon.known.clear()
    assert told(count(texts, lexicon)) == first
    assert told(count(list(reversed(texts)), lexicon)) == first


def test_lines_may_be_given_and_ranges_count_twice() -> None:
    got = count([Text(3, 2, b"depot\nscale depot", [7, 9], [(6, 11)], 4)], Lexicon())
    assert told(got) == {(3, 2, "depot"): (2, 7), (3, 2, "scale"): (1, 9), (3, 4, "scale"): (1, 9)}


def test_nothing_is_nothing() -> None:
    assert told(count([], Lexicon())) == {}
    assert count([Text(0, 0, b"")], Lexicon()).tokens == [0]
