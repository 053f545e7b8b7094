from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loom_jupyter.pipeline.patch import PatchError, patched

TEXT = "def f(x):\n    if x < 2:\n        return 1\n    a = 1\n    b = 2\n    c = 3\n    return 2\n"
LINE = st.text("ab =(:)", min_size=1, max_size=6).filter(str.strip)
LINES = st.lists(st.builds(lambda n, line: " " * n + line, st.integers(0, 6), LINE), min_size=1, max_size=12)


def block(old: str, new: str) -> str:
    return f"Sure:\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("    if x < 2:", "    if x <= 2:", ("x < 2", "x <= 2")),
        ("    if x < 2:   ", "    if x <= 2:", ("x < 2", "x <= 2")),
        ("if x < 2:\n    return 1", "if x <= 2:\n    return 1", ("x < 2", "x <= 2")),
        ("        if x < 2:", "        if x <= 2:", ("x < 2", "x <= 2")),
        (
            "    a = 1\n    b = 2\n    c= 3\n    return 2",
            "    a = 9\n    return 2",
            ("a = 1\n    b = 2\n    c = 3", "a = 9"),
        ),
        ("\n    a = 1\n", "    a = 9", ("a = 1", "a = 9")),
        ("    a = 1", "", ("    a = 1\n", "")),
    ],
    ids=["exact", "trailing blanks", "to the right", "to the left", "anchors", "blank lines", "deletion"],
)
def test_the_ladder(old: str, new: str, wanted: tuple[str, str]) -> None:
    reply = block(old, new) if new else block(old, "").replace("=======\n\n", "=======\n")
    assert patched(TEXT, reply) == TEXT.replace(*wanted)


def test_several_blocks_are_applied_in_order() -> None:
    reply = block("    a = 1", "    a = 4") + block("    a = 4\n    b = 2", "    a = 5")
    assert patched(TEXT, reply) == TEXT.replace("a = 1\n    b = 2", "a = 5")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("no block", "no SEARCH/REPLACE"),
        (block("", "x"), "empty"),
        (block("    d = 4", "x"), "nowhere"),
        (block("    return 2\n    x", "x"), "nowhere"),
    ],
)
def test_what_cannot_be_applied_is_refused(reply: str, why: str) -> None:
    with pytest.raises(PatchError, match=why):
        patched(TEXT, reply)


def test_a_search_that_fits_twice_is_refused_on_its_rung() -> None:
    with pytest.raises(PatchError, match="fits 2 places"):
        patched("a = 1\nb\na = 1\n", block("a = 1", "a = 2"))
    # Exactly one place, although a looser rung would find two.
    assert patched("a = 1\n  a = 1\n", block("  a = 1", "  a = 2")) == "a = 1\n  a = 2\n"
    with pytest.raises(PatchError, match="fits 2 places"):
        patched("  a = 1\n    a = 1\n", block("a = 1", "a = 2"))


@given(LINES, st.data())
def test_what_fits_exactly_once_is_replaced_and_nothing_else(lines: list[str], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first + 1, len(lines)))
    old = lines[first:last]
    places = [n for n in range(len(lines)) if lines[n : n + len(old)] == old]
    new = data.draw(LINES)
    reply = block("\n".join(old), "\n".join(new))
    if len(places) > 1:
        with pytest.raises(PatchError, match="places"):
            patched("\n".join(lines), reply)
        return
    assert patched("\n".join(lines), reply).splitlines() == [*lines[:first], *new, *lines[last:]]


@given(LINES, st.integers(0, 8), st.data())
def test_a_search_at_another_indentation_is_never_put_wrongly(
    lines: list[str], shift: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first + 1, len(lines)))
    old = lines[first:last]
    assume("pass" not in "".join(lines))
    moved = [" " * shift + line.rstrip() + " " * data.draw(st.integers(0, 2)) for line in old]
    try:
        after = patched("\n".join(lines), block("\n".join(moved), " " * shift + "pass")).splitlines()
    except PatchError:
        return
    (place,) = [n for n, line in enumerate(after) if line.strip() == "pass"]
    assert after[:place] == lines[:place]
    assert after[place + 1 :] == lines[place + len(old) :]
    assert [line.strip() for line in lines[place : place + len(old)]] == [line.strip() for line in old] or len(
        old
    ) >= 4
