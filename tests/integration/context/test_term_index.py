"""Counting by numpy against the plain definition of a token, a term and a line."""

from __future__ import annotations

import re
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from loom_jupyter.context.term_index import Counted, Lexicon, Text, count
from loom_jupyter.context.terms import terms

ALPHABET = "aB_9 \n\t.-é文ß²́" + "\u2028\x00x"
WRITTEN = st.one_of(
    st.text(ALPHABET, max_size=60),
    st.lists(
        st.sampled_from(["parcelPrice", "parcel_price", "a" * 48, "a" * 49, "abcdefgh", "abcdefghi", " ", "\n"])
    ).map("".join),
)


def told(got: Counted) -> dict[tuple[int, int, str], tuple[int, int]]:
    rows = zip(got.term, got.file, got.where, got.times, got.line, strict=True)
    return {(f, w, got.vocabulary[t]): (n, line) for t, f, w, n, line in rows}


def plainly(texts: list[tuple[int, int, str]]) -> tuple[dict[tuple[int, int, str], tuple[int, int]], list[int]]:
    found: dict[tuple[int, int, str], list[int]] = defaultdict(list)
    tokens = []
    for file, where, text in texts:
        tokens.append(len(re.findall(r"\w{2,}", text)))
        for number, line in enumerate(text.split("\n"), 1):
            for token in re.findall(r"\w{2,}", line):
                for term in terms(token):
                    found[file, where, term].append(number)
    return {key: (len(lines), min(lines)) for key, lines in found.items()}, tokens


@settings(max_examples=300, deadline=None)
@given(st.lists(WRITTEN, max_size=6))
def test_counts_what_the_definition_says(written: list[str]) -> None:
    texts = [(number // 2, number % 2, text) for number, text in enumerate(written)]
    got = count([Text(f, w, t.encode()) for f, w, t in texts], Lexicon())
    assert (told(got), got.tokens) == plainly(texts)
