"""Read a model's JSON reply: lenient in form, strict in content.

Form is repaired (prose around it, fences, quotes, commas, comments, Python literals) and every repair is named.
Content is never guessed: a repair may touch punctuation only, so the letters and digits of the reply must come
out in the order they went in; two different readings, a cut string and a value outside the schema are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from json_repair import repair_json
from pydantic import BaseModel, ValidationError

T = TypeVar("T", bound=BaseModel)

MAX_REPLY = 200_000
_FENCE = re.compile(r"```[^\n`]*\n(.*?)(?:\n[ \t]*```|\Z)", re.S)
_THOUGHT = re.compile(r"<think>.*?</think>\s*", re.S | re.I)
_COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*|/\*.*?\*/|(?<![\w"])#[^\n]*', re.S)
_LITERALS = {"none": "null", "undefined": "null"}


class ReplyError(ValueError):
    """The reply holds no object of the schema; the message can be sent back to the model."""


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A reply that was understood, and what had to be repaired in its form."""

    value: T
    repairs: tuple[str, ...]


def parse_reply(text: str, model: type[T]) -> T:
    """Return the one object of type `model` that `text` holds.

    Raises
    ------
    ReplyError
        If there is none, or more than one reading of it.
    """
    return read_reply(text, model).value


def read_reply(text: str, model: type[T]) -> Reading[T]:
    """Like :func:`parse_reply`, and say which repairs the form needed."""
    if len(text) > MAX_REPLY:
        raise ReplyError(f"the reply is longer than {MAX_REPLY:,} characters; answer with one JSON object only")
    if not text.strip():
        raise ReplyError("the reply is empty; answer with one JSON object")
    text = _THOUGHT.sub("", text)
    reasons: list[str] = []
    for attempt in (_as_is, _fenced, _in_prose, _repaired):
        found: dict[str, Reading[T]] = {}
        for data, repairs in attempt(text, model, reasons):
            try:
                value = model.model_validate(data)
            except ValidationError as error:
                reasons.append(_explain(error))
                continue
            found.setdefault(value.model_dump_json(), Reading(value, repairs))
        if len(found) > 1:
            raise ReplyError("the reply holds several different answers; answer with one JSON object")
        if found:
            return next(iter(found.values()))
    raise ReplyError(reasons[-1] if reasons else "the reply holds no JSON object; answer with one JSON object")


def _as_is(text: str, _model: type[BaseModel], reasons: list[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    data = _strict(text, reasons)
    if data is not None:
        yield data, ()


def _fenced(text: str, _model: type[BaseModel], reasons: list[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for block in _FENCE.findall(text):
        data = _strict(block, reasons)
        if data is not None:
            yield data, ("taken out of its fence",)


def _in_prose(text: str, _model: type[BaseModel], reasons: list[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for piece, closed in _objects(text):
        data = _strict(piece, reasons) if closed else None
        if data is not None:
            yield data, ("taken out of the text around it",)


def _repaired(text: str, model: type[BaseModel], reasons: list[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for piece, closed in _objects(text):
        bare = _COMMENT.sub(lambda m: m.group(1) or "", piece)
        if not closed and (why := _cut(bare)):
            reasons.append(why)
            continue
        data, log = repair_json(bare, return_objects=True, logging=True, skip_json_loads=True)
        if not isinstance(data, dict):
            continue
        if _letters(bare) != _letters(json.dumps(data, ensure_ascii=False)):
            reasons.append("the reply is not valid JSON and cannot be repaired without guessing")
            continue
        if not closed and not _complete(data, model):
            reasons.append("the reply ends before its JSON object does; answer more briefly")
            continue
        notes = tuple(dict.fromkeys(str(entry.get("text", "repaired")) for entry in log)) or ("repaired",)
        yield data, notes + (() if closed else ("closed at its end",))


def _strict(text: str, reasons: list[str]) -> dict[str, Any] | None:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in items:
            if key in made and made[key] != value:
                raise ReplyError(f"the key {key!r} stands twice with different values")
            made[key] = value
        return made

    def constant(name: str) -> Any:
        raise ReplyError(f"{name} is not a JSON value")

    try:
        data = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except (json.JSONDecodeError, RecursionError):
        return None
    except ReplyError as error:
        reasons.append(str(error))
        return None
    return data if isinstance(data, dict) else None


def _objects(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each outermost ``{…}`` of the text, and whether it is closed. Braces in strings do not count."""
    position, tries = text.find("{"), 0
    while position >= 0 and tries < 20:
        end = _closing(text, position)
        yield (text[position:] if end is None else text[position : end + 1]), end is not None
        tries += 1
        position = -1 if end is None else text.find("{", end + 1)


def _closing(text: str, start: int) -> int | None:
    depth, quote, escaped = 0, "", False
    for i in range(start, len(text)):
        c = text[i]
        if escaped:
            escaped = False
        elif quote:
            if c == "\\":
                escaped = True
            elif c == quote:
                quote = ""
        elif c == '"':
            quote = c
        elif c in "{[":
            depth += 1
        elif c in "}]":
            depth -= 1
            if depth == 0:
                return i
    return None


def _cut(piece: str) -> str | None:
    """Say why an unclosed object may lack content, or None if only its last brace is missing."""
    tail = re.sub(r"\s*```\s*$", "", piece).rstrip().rstrip(",").rstrip()
    whole = tail.endswith(('"', "]", "true", "false", "null", "True", "False", "None"))
    if not whole or len(re.findall(r'(?<!\\)"', tail)) % 2:
        return "the reply ends in the middle of a value; answer more briefly"
    if _open_lists(tail):
        return "the reply ends in the middle of a list; answer more briefly"
    return None


def _open_lists(text: str) -> bool:
    plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    return plain.count("[") > plain.count("]") or plain.count("{") > plain.count("}") + 1


def _complete(data: dict[str, Any], model: type[BaseModel]) -> bool:
    return all(name in data or (field.alias or name) in data for name, field in model.model_fields.items())


def _letters(text: str) -> str:
    """Everything of the text that a repair must not touch."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m.group(1), 16)), text)
    text = re.sub(r"```\w*", "", re.sub(r'\\[nrtbf"\\/]', " ", text))
    words = re.findall(r"[^\W_]+", text.casefold())
    return "".join(_LITERALS.get(word, word) for word in words)


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the object"
    return f"{where}: {first['msg']}"
