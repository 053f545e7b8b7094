from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.models.stream import TextStream


def test_a_character_split_over_tokens_comes_whole() -> None:
    stream = TextStream()
    data = "é€😀".encode()
    pieces = [stream.feed(data[i : i + 1]) for i in range(len(data))]
    assert [p for p in pieces if p] == ["é", "€", "😀"]
    assert stream.close() == ""


def test_a_possible_stop_string_is_held_back_until_it_cannot_be_one() -> None:
    stream = TextStream(["```\n"])
    assert stream.feed(b"x = 1\n``") == "x = 1\n"
    assert stream.feed(b"`") == ""
    assert stream.feed(b"py") == "```py"
    assert stream.feed(b"\n```\nrest") == "\n"
    assert stream.stopped
    assert stream.feed(b"more") == ""
    assert stream.text == "x = 1\n```py\n"


def test_what_was_held_back_comes_out_at_the_end() -> None:
    stream = TextStream(["END"])
    assert stream.feed(b"at the E") == "at the "
    assert stream.close() == "E"
    assert stream.text == "at the E"


def test_half_a_character_at_the_end_is_replaced() -> None:
    stream = TextStream()
    stream.feed("é".encode()[:1])
    assert stream.close() == "\N{REPLACEMENT CHARACTER}"


@given(
    text=st.text(alphabet="ab\n`é😀", max_size=40),
    stops=st.lists(st.text(alphabet="ab\n`é", min_size=1, max_size=3), max_size=3),
    cuts=st.lists(st.integers(0, 120), max_size=20),
)
def test_any_cutting_gives_the_text_before_the_first_stop(text: str, stops: list[str], cuts: list[int]) -> None:
    data = text.encode()
    edges = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    stream = TextStream(stops)
    pieces = []
    for a, b in pairwise(edges):
        pieces.append(stream.feed(data[a:b]))
        if stream.stopped:
            break
    pieces.append(stream.close())
    assert "".join(pieces) == stream.text
    # Text that is already out cannot be taken back, so a longer stop that begins earlier may lose to a shorter one
    # that was complete first; without stops that contain each other the first in the text wins.
    ends = [text.find(s) for s in stops if s in text]
    if not ends:
        assert stream.text == text
    elif not any(a != b and a in b for a in stops for b in stops):
        assert text.startswith(stream.text)
        assert len(stream.text) >= min(ends)
        assert stream.stopped
