from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.context.text import decode
from loom_jupyter.edits.text import LineEdit, bare, replace_lines, split_lines
from loom_jupyter.errors import EditError, NotTextError

# A lone \r before a \n would make one line end of two, so a text has either kind.
ENDS = st.sampled_from([["\n", "\r\n"], ["\r"]])
WORDS = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=6)


@st.composite
def texts(draw: st.DrawFn) -> str:
    ends = draw(ENDS)
    lines = draw(st.lists(st.tuples(WORDS, st.sampled_from(ends)), max_size=8))
    return "".join(word + end for word, end in lines) + draw(WORDS)


@given(texts())
def test_lines_join_to_the_text(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    assert [bare(line) for line in lines] == text.replace("\r\n", "\n").replace("\r", "\n").removesuffix(
        "\n"
    ).split("\n")[: len(lines)]


@given(texts(), st.data())
def test_untouched_lines_stay(text: str, data: st.DataObject) -> None:
    lines = split_lines(text)
    start = data.draw(st.integers(1, len(lines) + 1))
    end = data.draw(st.integers(start - 1, len(lines)))
    new = data.draw(st.text("ab\n", max_size=8))
    got = replace_lines("f", text, [LineEdit(start, end, new)])
    head, tail = "".join(lines[: start - 1]), "".join(lines[end:])
    if end < len(lines):
        assert got.startswith(head)
        assert got.endswith(tail)
        middle = got[len(head) : len(got) - len(tail)]
    else:
        assert got.startswith(head)
        middle = got[len(head) :]
    if start <= end < len(lines):
        assert [bare(line) for line in split_lines(middle)] == [bare(line) for line in split_lines(new)]


@given(texts(), st.data())
def test_repeating_the_range_changes_nothing(text: str, data: st.DataObject) -> None:
    lines = split_lines(text)
    start = data.draw(st.integers(1, len(lines) + 1))
    end = data.draw(st.integers(start - 1, len(lines)))
    unit = "".join(bare(line) + "\n" for line in lines[start - 1 : end])
    assert replace_lines("f", text, [LineEdit(start, end, unit)]) == text


def test_new_lines_take_the_prevailing_end_and_repeated_ones_keep_theirs() -> None:
    text = "a\r\nb\nc\r\n"
    assert replace_lines("f", text, [LineEdit(1, 3, "a\nb\nnew\nc\n")]) == "a\r\nb\nnew\r\nc\r\n"


def test_no_final_newline_stays_so() -> None:
    assert replace_lines("f", "a\nb", [LineEdit(2, 2, "c\nd\n")]) == "a\nc\nd"
    assert replace_lines("f", "a\nb", [LineEdit(3, 2, "c\n")]) == "a\nb\nc"


def test_several_edits_count_lines_as_they_were() -> None:
    edits = [LineEdit(1, 1, "x\ny\n"), LineEdit(3, 3, ""), LineEdit(4, 3, "z\n")]
    assert replace_lines("f", "a\nb\nc\nd\n", edits) == "x\ny\nb\nz\nd\n"


def test_form_feed_and_separators_are_no_line_ends() -> None:
    text = "a\x0cb\n\u2028c\nd\n"
    assert replace_lines("f", text, [LineEdit(3, 3, "e\n")]) == "a\x0cb\n\u2028c\ne\n"


@pytest.mark.parametrize("span", [(0, 1), (2, 0), (3, 4), (5, 5), (1, -1)])
def test_a_range_that_does_not_exist_is_refused(span: tuple[int, int]) -> None:
    with pytest.raises(EditError, match="run again"):
        replace_lines("f", "a\nb\nc\n", [LineEdit(*span, "x\n")])


@pytest.mark.parametrize("spans", [[(1, 3), (2, 2)], [(1, 2), (2, 3)], [(1, 3), (3, 2)], [(1, 2), (1, 2)]])
def test_overlapping_ranges_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises(EditError, match="overlap"):
        replace_lines("f", "a\nb\nc\n", [LineEdit(*span, "x\n") for span in spans])


def test_a_line_seen_in_another_encoding_stands_for_the_files_own() -> None:
    text, encoding = decode("f.txt", b"caf\x92e\r\nold\r\n")
    edit = LineEdit(1, 2, "caf\x92e\nnew\n", seen="caf\x92e\nold\n")
    assert encoding.encode("f.txt", replace_lines("f.txt", text, [edit])) == b"caf\x92e\r\nnew\r\n"


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (b"", "utf-8"),
        ("é\n".encode(), "utf-8"),
        (codecs.BOM_UTF8 + b"a\n", "utf-8"),
        (codecs.BOM_UTF16_LE + "aé\n".encode("utf-16-le"), "utf-16-le"),
        (codecs.BOM_UTF16_BE + "aé\n".encode("utf-16-be"), "utf-16-be"),
        (codecs.BOM_UTF32_LE + "aé\n".encode("utf-32-le"), "utf-32-le"),
        (b"caf\xe9 \x80\n", "cp1252"),
        (b"caf\xe9 \x81\n", "latin-1"),
        ("# -*- coding: cp1251 -*-\nx = 'да'\n".encode("cp1251"), "cp1251"),
        ("# coding: latin-1\nx = 'é'\n".encode("latin-1"), "iso-8859-1"),
    ],
)
def test_encodings_give_the_same_bytes_back(data: bytes, codec: str) -> None:
    text, encoding = decode("x.py", data)
    assert encoding.codec == codec
    assert encoding.encode("x.py", text) == data


@given(st.binary(max_size=60))
def test_what_decodes_encodes_to_the_same_bytes(data: bytes) -> None:
    try:
        text, encoding = decode("f.txt", data)
    except NotTextError:
        assert b"\0" in data or data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE))
    else:
        assert encoding.encode("f.txt", text) == data


def test_binary_is_refused() -> None:
    with pytest.raises(NotTextError, match="UTF-8"):
        decode("x.bin", b"\x00\x01\x02")


def test_a_sign_that_the_encoding_cannot_hold_is_refused() -> None:
    _, encoding = decode("x.py", b"# coding: latin-1\nx = 1\n")
    with pytest.raises(NotTextError, match="iso-8859-1"):
        encoding.encode("x.py", "→")
