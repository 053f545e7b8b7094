"""One rule for what bytes say: the index reads the text that an edit would change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.context.text import Unreadable, decode, indexed
from loom_jupyter.errors import NotTextError

PATHS = st.sampled_from(["a.py", "a.txt", "a.csv"])
BYTES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(max_size=60).map(lambda text: text.encode("utf-16-le", "surrogatepass")),
    st.text(max_size=60).map(lambda text: text.encode("cp1252", "replace")),
)


@given(PATHS, BYTES)
def test_a_text_turns_back_into_its_bytes(path: str, data: bytes) -> None:
    try:
        text, encoding = decode(path, data)
    except NotTextError:
        return
    assert encoding.encode(path, text) == data


@given(PATHS, BYTES)
def test_the_index_reads_what_an_edit_would_change(path: str, data: bytes) -> None:
    try:
        seen = indexed(path, data)
    except Unreadable:
        return
    text, _ = decode(path, data)
    if "<***>" not in seen:
        assert seen == text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize(
    ("path", "data", "text"),
    [
        ("a.txt", b"\x80 5", "\u20ac 5"),
        ("a.txt", b"caf\xe9", "caf\u00e9"),
        ("a.txt", b"\xff\xfea\x00b\x00", "ab"),
        ("a.txt", b"a\x00b\x00c\x00", "abc"),
        ("a.txt", b"\xef\xbb\xbfa", "a"),
        ("a.py", b"# coding: latin-1\n'\x80'", "# coding: latin-1\n'\x80'"),
        ("a.txt", b"# coding: latin-1\n'\x80'", "# coding: latin-1\n'\u20ac'"),
    ],
)
def test_the_same_bytes_are_the_same_text_everywhere(path: str, data: bytes, text: str) -> None:
    assert decode(path, data)[0] == text
    assert indexed(path, data) == text


@pytest.mark.parametrize("codec", ["punycode", "idna", "utf-7", "unicode_escape", "undefined"])
def test_an_odd_codec_of_a_cookie_is_not_used(codec: str) -> None:
    assert decode("a.py", f"# coding: {codec}\nx = 1\n".encode())[1].codec == "utf-8"


def test_bytes_that_are_not_text_say_so() -> None:
    with pytest.raises(Unreadable, match="binary"):
        indexed("a.bin", b"\x7fELF\x00\x01\x02" * 20)
