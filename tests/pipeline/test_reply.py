from __future__ import annotations

import contextlib
import json
import time
from enum import StrEnum

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from loom_jupyter.pipeline.contracts import TaskSpec
from loom_jupyter.pipeline.reply import ReplyError, parse_reply, read_reply


class Kind(StrEnum):
    FIX = "fix"
    ADD = "add"


class Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")
    kind: Kind
    goal: str = Field(min_length=1)
    count: int = Field(ge=0, le=9)
    terms: list[str] = []


GOOD = {"kind": "fix", "goal": "price of 2 kg", "count": 3, "terms": ["tariff", "price"]}
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
        TEXT[:-1],
        "{ // the task\n" + TEXT[1:],
        TEXT.replace("{", "{ /* note */ "),
        TEXT + "\n" + TEXT,
    ],
    ids=str,
)
def test_form_is_repaired(text: str) -> None:
    assert parse_reply(text, Answer).model_dump(mode="json") == GOOD


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
        (TEXT + TEXT.replace("fix", "add"), "several"),
        (TEXT.replace('"count": 3', '"count": 3, "count": 4'), "twice"),
        (TEXT.replace("3", "NaN"), "NaN"),
        ("{" * 5000, "reply"),
        ('{"kind": ' * 2000, "reply"),
    ],
)
def test_content_is_never_guessed(text: str, reason: str) -> None:
    with pytest.raises(ReplyError, match=reason):
        parse_reply(text, Answer)


def test_repairs_are_named() -> None:
    assert read_reply(TEXT, Answer).repairs == ()
    assert read_reply(f"```json\n{TEXT}\n```", Answer).repairs == ("taken out of its fence",)
    assert read_reply(TEXT.replace('"', "'"), Answer).repairs


def test_reply_error_is_a_value_error() -> None:
    assert issubclass(ReplyError, ValueError)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
ANSWERS = st.builds(
    Answer, kind=st.sampled_from(Kind), goal=WORDS, count=st.integers(0, 9), terms=st.lists(WORDS, max_size=4)
)

DAMAGES = {
    "none": lambda t, n: t,
    "single quotes": lambda t, n: t.replace('"', "'"),
    "no key quotes": lambda t, n: t.replace('"goal":', "goal:").replace('"kind":', "kind:"),
    "trailing comma": lambda t, n: t[:-1] + ",}",
    "no comma": lambda t, n: t.replace(', "', ' "', 1),
    "prose around": lambda t, n: f"Here you go: {t} Hope it helps!",
    "fence": lambda t, n: f"```json\n{t}\n```",
    "open fence": lambda t, n: f"```json\n{t}",
    "cut": lambda t, n: t[: max(1, n % len(t))],
    "cut last": lambda t, n: t[:-1],
    "cut two": lambda t, n: t[:-2],
    "smart quotes": lambda t, n: t.replace('"', "”"),
    "python": lambda t, n: repr(json.loads(t)),
    "comment": lambda t, n: t.replace("{", "{ // c\n", 1),
    "doubled": lambda t, n: t + t,
    "newlines": lambda t, n: t.replace(", ", ",\n"),
    "missing quote": lambda t, n: t.replace('"', "", 1),
    "missing end quote": lambda t, n: "".join(t.rsplit('"', 1)),
    "extra brace": lambda t, n: t + "}",
    "tag": lambda t, n: f"<answer>{t}</answer>",
}


@settings(max_examples=1000, deadline=None)
@given(ANSWERS, st.sampled_from(sorted(DAMAGES)), st.integers(0, 10_000))
def test_damaged_replies_are_recovered_exactly_or_refused(answer: Answer, damage: str, n: int) -> None:
    whole = json.dumps(answer.model_dump(mode="json"), ensure_ascii=False)
    # Replacing every quote is lossy where a value holds one: no reader could tell.
    assume("quotes" not in damage or not set("'”\\") & set(whole))
    text = DAMAGES[damage](whole, n)
    try:
        got = parse_reply(text, Answer)
    except ReplyError:
        return
    assert got == answer


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ReplyError):
        parse_reply(text, TaskSpec)


def test_four_kilobytes_take_milliseconds() -> None:
    text = json.dumps(GOOD | {"terms": ["word"] * 500}).replace('"', "'")
    best = min(_seconds(text) for _ in range(5))
    assert best < 0.05  # ten times the goal: this guards against quadratic work, the benchmark measures


def _seconds(text: str) -> float:
    start = time.perf_counter()
    parse_reply(text, Answer)
    return time.perf_counter() - start
