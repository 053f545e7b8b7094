"""Examples in the user's words: found where they are said plainly, verbatim, and never made up."""

from __future__ import annotations

import ast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loom_jupyter.checks.examples import (
    MAX_EXAMPLES,
    Example,
    Outcome,
    find_examples,
    mentions_call,
    occurs,
    parts,
    quoted,
)

SAID = [
    ("`price(2.0)` gives 7, I expect 5", "price(2.0)", "5", "7"),
    ("price(2.0) gives 7.5 but should be 4.9", "price(2.0)", "4.9", "7.5"),
    ("`price(2.0)` returns 7.5 instead of 4.9", "price(2.0)", "4.9", "7.5"),
    ("price(2.0) should return 4.9, not 7.5.", "price(2.0)", "4.9", "7.5"),
    ("price(2.0) should return 4.9 rather than 7.5.", "price(2.0)", "4.9", "7.5"),
    ("I expect `price(2.0)` to be 5 but it gives 7", "price(2.0)", "5", "7"),
    ("Expected price(2) == 5, got 7", "price(2)", "5", "7"),
    (
        "`zone('')` raises IndexError, it should raise ValueError",
        "zone('')",
        "raises ValueError",
        "raises IndexError",
    ),
    ("f(3) crashes with ZeroDivisionError instead of returning 0", "f(3)", "0", "raises ZeroDivisionError"),
    ('zone("x") should give "home"', 'zone("x")', '"home"', None),
    ("I get 7 for `f(2)` and expect 5", "f(2)", "5", "7"),
    ("I expect 4.9 for `price(2.0)` but get 7.5", "price(2.0)", "4.9", "7.5"),
    (">>> price(2.0)\n7.5\n\nexpected 4.9", "price(2.0)", "4.9", "7.5"),
    ("so that f(2) returns 5", "f(2)", "5", None),
    ("`discount(10)` is 0.0 but should be `0.05`", "discount(10)", "0.05", "0.0"),
    ("f(2) -> 7 (expected: 5)", "f(2)", "5", "7"),
    ("label('a', 'b')[0] returns 'A'. I want 'a'.", "label('a', 'b')[0]", "'a'", "'A'"),
    ("parse('a)') gives [1, 2], should be {'a': 1}", "parse('a)')", "{'a': 1}", "[1, 2]"),
    ("Order('x').gross() used to return 1.5, now it returns 2", "Order('x').gross()", "1.5", None),
    ("f(-1) should be -1", "f(-1)", "-1", None),
]
NOTHING = [
    "parcel_price(weight=2.0) charges the wrong tariff; up to 2 kg should cost the small one",
    "`f(2)` doesn't return 5",
    "price(2) gives 7,50 but should be 5,10",
    "price(2) should be 1.2.3",
    "price(2) should be 50 % less, or 50% more",
    "the tariff(s) should be 5",
    "f(2) gives 7",
    "f(2) should be 5. No, f(2) should be 5 or 6, it should be 7",
    "f(2) is slow.\n\nThe list should be [1, 2].",
    "2 kg should cost 4.9",
    "f(2 should be 5",
    "`x = f(2)` should be 5",
    "f(lambda: 1) should be 5",
    "",
]


@pytest.mark.parametrize(("words", "call", "expected", "actual"), SAID)
def test_what_is_said_is_found(words: str, call: str, expected: str, actual: str | None) -> None:
    (found,) = find_examples(words)
    assert (found.call, str(found.expected)) == (call, expected)
    if actual is not None:
        assert str(found.actual) == actual


@pytest.mark.parametrize("words", NOTHING)
def test_what_is_not_said_is_not_found(words: str) -> None:
    assert find_examples(words) == []


def test_each_call_has_its_own() -> None:
    found = find_examples("f(1) gives 3, should be 2. f(2) is fine.\n\n- `g(0)` raises KeyError, expected None\n")
    assert [str(e) for e in found] == ["f(1) must give 2", "g(0) must give None"]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
).map(repr)
NAMES = st.from_regex(r"[a-z]{2,8}_[a-z]{1,6}(\.[a-z]{2,6}_x)?", fullmatch=True)
SHAPES = st.sampled_from(
    [
        "`{call}` gives `{actual}`, I expect `{expected}`",
        "{call} returns {actual} but should return {expected}",
        "Hello,\n{call} gives {actual} instead of {expected}!",
        "it would be nice: `{call}` should be {expected}, not {actual}",
        "expected {call} to be {expected}, got {actual}",
    ]
)


@given(NAMES, st.lists(VALUES, max_size=3), VALUES, VALUES, SHAPES)
def test_an_example_of_any_values_is_found_exactly(
    name: str, arguments: list[str], expected: str, actual: str, shape: str
) -> None:
    call = f"{name}({', '.join(arguments)})"
    words = shape.format(call=call, expected=expected, actual=actual)
    ticks = "`" in call + expected + actual
    if expected == actual or ticks or max(map(len, (call, expected, actual))) > 300:
        return
    assert find_examples(words) == [Example(call, Outcome(expected), Outcome(actual))]


PIECES = [*" `()[]{}'\".,\n", "f(2)", "should be ", "gives ", " instead of ", "5", "not "]


@given(st.text(max_size=200), st.lists(st.sampled_from(PIECES)))
@example("`f(2)`" * 50, [])
@example("f(" * 300, [])
@example("f(2) should be " * 20, [])
def test_no_words_make_it_invent_anything(words: str, pieces: list[str]) -> None:
    for text in (words, "".join(pieces), words + "".join(pieces)):
        found = find_examples(text)
        assert len(found) <= MAX_EXAMPLES
        for one in found:
            assert occurs(one, text)
            for part in (one.call, one.expected.text, *([one.actual.text] if one.actual else [])):
                assert part in text
                ast.parse(part, mode="eval")
        assert not found or mentions_call(text)


def test_what_does_not_stand_in_the_request_is_refused() -> None:
    assert not occurs(Example("f(2)", Outcome("5")), "f(2) should be 6")
    assert not occurs(Example("f(3)", Outcome("5")), "f(2) should be 5")
    assert not occurs(Example("f2", Outcome("5")), "f2 should be 5")
    assert occurs(Example("f(2)", Outcome("5")), "f(2) should be 5")


WORDS = "For two kilos price(2.0) comes to 7.5 here. The list says 4.90! And price(-1) ought to be a ValueError."


@pytest.mark.parametrize(
    ("call", "expected", "actual", "found"),
    [
        ("price(2.0)", "4.90", "7.5", Example("price(2.0)", Outcome("4.90"), Outcome("7.5"))),
        (" price(2.0) ", "`4.90`", "", Example("price(2.0)", Outcome("4.90"))),
        ("price(-1)", "ValueError", "", Example("price(-1)", Outcome("ValueError", raises=True))),
        ("price(2)", "4.90", "", None),  # not what stands there
        ("price(2.0)", "4.9", "", None),
        ("price(2.0)", "5", "", None),
        ("price(2.0)", "7.5", "7.5", None),
        ("price", "4.90", "", None),  # no call
        ("price(2.0)", "", "7.5", None),
        ("price(2.0)", "The list", "", None),  # no expression
    ],
)
def test_what_somebody_else_read_must_stand_in_the_words(
    call: str, expected: str, actual: str, found: Example | None
) -> None:
    assert quoted(call, expected, actual, WORDS) == found


def test_what_an_example_could_be_made_of() -> None:
    assert parts(WORDS) == (["price(2.0)", "price(-1)"], ["7.5", "4.90", "ValueError"])
    assert parts("`zone('AT')` says `'b'` and not None") == (["zone('AT')"], ["'b'", "None"])
    assert parts("nothing here but 3") == ([], ["3"])
