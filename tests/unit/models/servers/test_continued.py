from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.models.servers.openai import Continued

PREFIX, STOP = "```python\n", ["\n```"]
CODE = "def f():\n    return 1"
REPLIES = [
    CODE + "\n```",  # goes on after the prefix
    CODE + "\n```\nThis adds nothing.",
    CODE + "\n```\nOr shorter:\n```python\npass\n```",
    PREFIX + CODE + "\n```\n",  # repeats it
    "Here it is:\n\n" + PREFIX + CODE + "\n```\nThat was it.",  # begins anew
    "Here it is:\n```py\n" + CODE + "\n```",
    CODE,  # cut off
]


@given(reply=st.sampled_from(REPLIES), cuts=st.lists(st.integers(0, 80), max_size=12))
def test_the_code_comes_out_however_it_is_wrapped_and_cut(reply: str, cuts: list[int]) -> None:
    said, told = Continued(PREFIX, STOP), ""
    ends = sorted({0, *(c for c in cuts if c < len(reply)), len(reply)})
    for begin, end in pairwise(ends):
        told += said.feed(reply[begin:end])
    told += said.close()
    assert said.text == CODE
    assert told.endswith(CODE)
    assert said.stopped == (reply != CODE)


@pytest.mark.parametrize("reply", [CODE + "\n```\n", "```\n" + CODE + "\n```", "Here:\n```\n" + CODE + "\n```\n"])
def test_a_bare_fence_opens_only_what_another_closes(reply: str) -> None:
    said = Continued("```\n", STOP)
    said.feed(reply)
    assert said.text == CODE


def test_without_a_prefix_nothing_is_held_or_cut() -> None:
    said = Continued("", ["x"])
    assert [said.feed("a```"), said.feed("x"), said.close()] == ["a```", "x", ""]
    assert said.text == "a```x"
