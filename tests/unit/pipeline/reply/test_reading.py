from __future__ import annotations

import contextlib
import json
import random
import time
import warnings
from typing import Any

import pytest
from damages import DAMAGES, Answer, Kind, damaged, says_otherwise
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from loom_jupyter.pipeline.contracts import TaskSpec
from loom_jupyter.pipeline.reply import ReplyError, parse_reply, read_reply

GOOD: dict[str, Any] = {"kind": "fix", "goal": "price of 2 kg", "count": 3, "terms": ["tariff", "price"]}
FULL = GOOD | {"note": "", "sure": None}
TEXT = json.dumps(GOOD)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"Sure, here it is:\n```json\n{TEXT}\n```\nAnything else?",
        f"```\n{TEXT}",
        f"I think {{this}} is it: {TEXT}. Good luck!",
        f"<think>maybe {{'kind': 'add'}}?</think>{TEXT}",
        TEXT.replace('"', "'"),
        TEXT.replace('"kind"', "kind").replace('"goal"', "goal"),
        TEXT.replace("]", ",]").replace("}", ",}"),
        TEXT.replace('"', "“", 1).replace('"', "”", 1),
        TEXT.replace(', "count"', ' "count"'),
        json.dumps(FULL)[:-1],
        "{ // the task\n" + TEXT[1:],
        TEXT.replace("{", "{ /* note */ "),
        TEXT + "\n" + TEXT,
        f'{{"response": {TEXT}}}',
        f"Here: {{'response': {TEXT},}}",
        f'<tool_call>\n{{"name": "answer", "arguments": {TEXT}}}\n</tool_call>',
        f'{{"name": "answer", "parameters": {TEXT}}}',
        f'{{"name": "answer", "input": {TEXT}}}',
        json.dumps({"type": "function", "function": {"name": "answer", "arguments": TEXT}}),
        json.dumps(TEXT),
        TEXT.replace('"', '\\"'),
        f"<thinking>Is it {{'kind': 'add'}}?</thinking>\n{TEXT}",
        f"<reasoning>One. <reflection>Two: {TEXT.replace('3', '4')}</reflection></reasoning>{TEXT}",
        f"It may be {TEXT.replace('3', '4')}\n</think>\n{TEXT}",
        TEXT.replace("kind", "Kind").replace("goal", " goal ").replace("count", "COUNT"),
        json.dumps(GOOD | {"note": None}),
        json.dumps(GOOD | {"note": None}).replace("null", "NULL"),
        TEXT[1:-1],
        f"```json\n{TEXT[1:-1]}\n```",
        TEXT.replace('"', "&quot;"),
        TEXT.replace("3", '"3"'),
        TEXT.replace("3", "3.0"),
        TEXT.replace('"terms": [', '"terms" ['),
        TEXT.replace(":", "=>"),
        TEXT.replace('", "goal', '"; "goal'),
        TEXT.replace('"goal"', 'goal"').replace('"kind"', '"kind'),
        TEXT.replace('"fix"', "fix"),
        TEXT.replace('"price of 2 kg"', '"""price of 2 kg"""'),
        f"{{{TEXT}}}",
        f'The answer is "{TEXT}".',
        "\ufeff" + TEXT,
    ],
    ids=str,
)
def test_form_is_repaired(text: str) -> None:
    assert parse_reply(text, Answer).model_dump(mode="json") == FULL


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("I cannot do that.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        (TEXT.replace("fix", "Fix"), "kind"),
        (TEXT.replace("fix", "repair"), "kind"),
        (TEXT.replace("3", "10"), "count"),
        (TEXT.replace('"goal": "price of 2 kg", ', ""), "goal"),
        (TEXT[:30], "middle of a value"),
        (TEXT[:-2], "middle of a list"),
        (TEXT[:-1], "ends before"),
        (TEXT + TEXT.replace("fix", "add"), "several"),
        (TEXT.replace('"count": 3', '"count": 3, "count": 4'), "twice"),
        (TEXT.replace("3", "NaN"), "NaN"),
        ("{" * 5000, "reply"),
        ('{"kind": ' * 2000, "reply"),
        ('{"kind":' * 900 + "1" + "}" * 900, "reply"),
        (TEXT.replace("price of", "\\ud83d"), "surrogate"),
        (TEXT.replace("3", "9" * 5000), "too long"),
        (TEXT.replace("3", "1e999"), "too large"),
        (TEXT.replace("3", "true"), "count"),
        (TEXT.replace("}", ', "sure": 1}'), "sure"),
        (TEXT.replace("}", ', "sure": "yes"}'), "sure"),
        (TEXT.replace('["tariff", "price"]', '"tariff, price"'), "terms"),
        (TEXT.replace('["tariff", "price"]', "[3]"), "terms"),
        (TEXT.replace("3", "null"), "count"),
        (TEXT.replace('"count": 3', '"count": 3, "count": 4,'), "twice"),
        (TEXT.replace('"count": 3', '"count": 3, "Count": 4'), "twice"),
        (repr(GOOD | {"Count": 4}), "twice"),
        (f"```json\n{TEXT}\n```\nNo, better: {TEXT.replace('fix', 'add')}", "several"),
        (f"{TEXT} or {TEXT.replace('fix', 'add').replace('}', ',}')}", "several"),
        (f"{TEXT} No, better: {TEXT.replace('fix', 'add')[:-20]}", "several"),
        (f"<think>It may be {TEXT}", "thoughts"),
        (f'{{"a": {TEXT}, "b": 1}}', "kind"),
        ("kind: fix\ngoal: price\ncount: 3\n", "no JSON object"),
    ],
)
def test_content_is_never_guessed(text: str, reason: str) -> None:
    with pytest.raises(ReplyError, match=reason):
        parse_reply(text, Answer)


STRINGS = [
    "strip <think>a</think> from output", "a // b rounds", "use a /* c */ b", "see http://x.y/z", "it''s", "don't",
    r"C:\apps\data", r"\5", r"\_", "a\\\nb", 'say "hi" now', "{this} and {that}", "}", "“so”", "# so", "\\n",
]  # fmt: skip


@pytest.mark.parametrize("said", STRINGS)
def test_strings_come_out_as_they_stood(said: str) -> None:
    data = GOOD | {"goal": said}
    text = json.dumps(data, ensure_ascii=False)
    assert read_reply(text, Answer).repairs == ()
    for other in (text, text[:-1] + ",}", text.replace('"kind"', "kind"), f"Here: {text}", repr(data)):
        assert parse_reply(other, Answer).goal == said
    with contextlib.suppress(ReplyError):
        assert parse_reply(DAMAGES["smart quotes"](text, data, random.Random(1)) or "", Answer).goal == said


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("price of", r"C:\apps\data"),
        TEXT.replace("price of", r"\5"),
        TEXT.replace("price of", r"\_"),
        TEXT.replace("price of", "\\\n"),
        TEXT.replace('"', "'").replace("price of", "it''s"),
        TEXT.replace('"price of 2 kg"', "'price '\n 'of 2 kg'"),
        TEXT.replace('"tariff", "price"', '"tariff"\n "price"'),
        TEXT.replace('"price of 2 kg"', '"price" + " of 2 kg"'),
        TEXT.replace('"price of 2 kg"', "price of 2 kg"),
        TEXT.replace('["tariff", "price"]', "[tariff, price]"),
        TEXT.replace('"tariff", ', '"tariff, '),
        TEXT.replace('"count": 3,', '// "count": 3,\n'),
        '{"kind": "fix", "count": 3, "goal": "end with "} now"}',
    ],
    ids=str,
)
def test_two_readings_are_refused(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ReplyError):
            parse_reply(text, Answer)


def test_a_missing_colon_loses_nothing() -> None:
    text = '{"intent": "change", "goal": "a", "acceptance" ["b"], "terms": ["cc"]}'
    assert parse_reply(text, TaskSpec).model_dump() == json.loads(text.replace('" [', '": ['))
    assert parse_reply(r'{"intent": "change", "goal" "\\n", "terms": ["cc"]}', TaskSpec).goal == r"\n"


def test_an_echo_of_the_question_is_no_answer() -> None:
    asked = f"Answer with one JSON object, such as {TEXT} or {{'kind': 'fix' | 'add', 'goal': what}}"
    other = TEXT.replace("fix", "add")
    said = asked.removeprefix("Answer with one ") + "\n" + other
    assert read_reply(said, Answer, asked).value.kind is Kind.ADD
    assert read_reply(f"Sure: {TEXT}", Answer, asked).value.kind is Kind.FIX
    with pytest.raises(ReplyError, match="several"):
        parse_reply(said, Answer)


def test_a_schema_is_no_answer() -> None:
    schema = json.dumps(Answer.model_json_schema())
    assert parse_reply(f"{schema}\n{TEXT}", Answer).kind is Kind.FIX
    with pytest.raises(ReplyError):
        parse_reply(schema, Answer)


def test_what_is_wrapped_is_not_lost_to_defaults() -> None:
    class Choice(BaseModel):
        terms: list[str] = []

    assert parse_reply('{"response": {"terms": ["a"]}}', Choice).terms == ["a"]
    assert parse_reply("{}", Choice).terms == []


def test_repairs_are_named() -> None:
    assert read_reply(TEXT, Answer).repairs == ()
    assert read_reply(f"```json\n{TEXT}\n```", Answer).repairs == ("taken out of its fence",)
    assert read_reply(TEXT.replace('"', "'"), Answer).repairs == ("other quotes than JSON's",)
    assert read_reply(TEXT.replace("3", '"3"'), Answer).repairs == ("count: a number in quotes",)
    assert read_reply(TEXT.replace("goal", "Goal"), Answer).repairs == ("'Goal' read as 'goal'",)


def test_repairs_are_weighed() -> None:
    texts = [
        TEXT,
        f"Here: {TEXT}",
        TEXT.replace('"', "'"),
        TEXT.replace(', "', ' "', 1),
        TEXT[1:-1].replace(", ", " ", 1),
    ]
    penalties = [read_reply(text, Answer).penalty for text in texts]
    assert penalties[0] == 0
    assert penalties == sorted(set(penalties))
    assert read_reply(f"{texts[2]}\n{TEXT}", Answer).penalty == 1, "of two readings alike the lighter one counts"
    wreck = (
        TEXT.replace(", ", " ", 1)
        .replace('"terms":', '"terms"')
        .replace('"goal"', 'goal"')
        .replace('"fix"', "fix")
    )
    with pytest.raises(ReplyError, match="guessing"):
        parse_reply(wreck.replace('"price of 2 kg"', '"price of "2" kg"'), Answer)


def test_reply_error_is_a_value_error() -> None:
    assert issubclass(ReplyError, ValueError)


def test_no_damaged_reply_is_misread() -> None:
    """A sample; ``python -m tests.benchmarks.bench_reply`` reads any number."""
    for damage, text, said in damaged(random.Random(7), 3000):
        with contextlib.suppress(ReplyError):
            assert parse_reply(text, Answer) == said or says_otherwise(text, said), (damage, text)


# What takes content away, or leaves two readings whatever the strings say.
LOSSES = {"cut", "cut two", "a string in two", "a string in two, added", "comment at the end", "no commas"}
LOSSES |= {"no opening quote", "no closing quote", "no quotes at a string", "triple quotes", "a token dropped"}
LOSSES |= {"a token doubled", "a mark put in", "two commas", "no comma", "no comma, no blank", "semicolons"}


@pytest.mark.parametrize("damage", sorted(DAMAGES.keys() - LOSSES))
def test_other_damages_are_recovered(damage: str) -> None:
    data = GOOD | {"terms": ["tariff"], "note": "see price", "sure": True}
    text = DAMAGES[damage](json.dumps(data), data, random.Random(1))
    assert text is not None
    assert parse_reply(text, Answer).model_dump(mode="json") == data


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300) | st.lists(st.sampled_from("{}[]\"':,\\/#“”`<>a1 \n"), max_size=200).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ReplyError):
        parse_reply(text, TaskSpec)


@pytest.mark.parametrize(
    "piece",
    ["{word word} ", "{'a':((((", '{"a":', "<think>", '"a"a', '{"goal": "', "{//", "[", '{"goal": "g", \'a\':'],
)
def test_four_kilobytes_take_milliseconds(piece: str) -> None:
    text = json.dumps(GOOD | {"terms": ["word"] * 500}).replace('"', "'")
    hostile = (piece * 4096)[:4096]
    best = min(_seconds(text) + _seconds(hostile) for _ in range(5))
    assert best < 0.05  # five times the goal: this guards against quadratic work, the benchmark measures


def _seconds(text: str) -> float:
    start = time.perf_counter()
    with contextlib.suppress(ReplyError):
        parse_reply(text, Answer)
    return time.perf_counter() - start
