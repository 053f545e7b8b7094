from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.models.stream import Characters, TextStream, whole


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


# Text that a server cut inside a character


def joined(pieces: list[str]) -> str:
    characters = Characters()
    return "".join([*map(characters.feed, pieces), characters.close()])


@given(text=st.text(alphabet="aé€😀🏽", max_size=12), cuts=st.lists(st.integers(0, 60), max_size=12))
def test_halves_of_pairs_are_joined_wherever_they_are_cut(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-16-le")
    edges = sorted({0, len(data), *(2 * c for c in cuts if 2 * c < len(data))})
    pieces = [data[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(edges)]
    assert joined(pieces) == text


@given(text=st.text(alphabet="aé€😀🏽", max_size=12), cuts=st.lists(st.integers(0, 60), max_size=12))
def test_bytes_are_joined_wherever_they_are_cut(text: str, cuts: list[int]) -> None:
    data = text.encode()
    edges = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    assert joined([data[a:b].decode("utf-8", "surrogateescape") for a, b in pairwise(edges)]) == text


@given(pieces=st.lists(st.text(alphabet=st.characters(min_codepoint=0xD7FF, max_codepoint=0xE000), max_size=6)))
def test_whatever_comes_can_be_written(pieces: list[str]) -> None:
    joined(pieces).encode()
    whole("".join(pieces)).encode()


def test_a_character_whose_other_half_never_comes_is_replaced() -> None:
    assert joined(["a\ud83d"]) == "a\ufffd"
    assert joined(["a\udcf0\udc9f", "b"]) == "a\ufffdb"


def test_what_is_whole_is_not_held_back() -> None:
    characters = Characters()
    assert characters.feed("a\ud83d") == "a"
    assert characters.feed("\ude00b") == "😀b"
