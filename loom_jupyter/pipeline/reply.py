"""Read a model's JSON reply: lenient in form, strict in content.

Form is repaired (prose around it, fences, quotes, commas, comments, Python literals) and every repair is named.
Content is never guessed: a repair may touch form only, so the letters and digits of the reply must come out in the
order they went in, and every string must have stood there as a whole; two different readings, a cut string and a
value outside the schema are refused.
"""

from __future__ import annotations

import ast
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
_COMMENT = re.compile(r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|//[^\n]*|/\*.*?\*/|(?<!\S)#[^\n]*""", re.S)
_NEIGHBOURS = re.compile(r"""["']\s+["']""")
_FOREIGN_ESCAPE = re.compile(r"""\\[^"'\\/bfnrtu\s]""")
_QUOTES = "\"'“”‘’`"
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
    for attempt in (_as_is, _fenced, _in_prose, _python, _repaired):
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
    raise ReplyError(reasons[0] if reasons else "the reply holds no JSON object; answer with one JSON object")


def _as_is(text: str, _model: type[BaseModel], _reasons: list[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    data = _strict(text)
    if data is not None:
        yield data, ()


def _fenced(text: str, _model: type[BaseModel], _reasons: list[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for block in _FENCE.findall(text):
        data = _strict(block)
        if data is not None:
            yield data, ("taken out of its fence",)


def _in_prose(text: str, _model: type[BaseModel], _reasons: list[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for piece, closed in _objects(text):
        data = _strict(piece) if closed else None
        if data is not None:
            yield data, ("taken out of the text around it",)


def _python(text: str, _model: type[BaseModel], _reasons: list[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """A Python literal is read by Python, whose escapes and quotes are its own."""
    for piece, closed in _objects(text):
        # Python joins neighbouring strings, where JSON lacks a comma; and JSON's \\/ is not its escape.
        if not closed or "\\/" in piece or _NEIGHBOURS.search(piece):
            continue
        try:
            data = ast.literal_eval(piece)
            json.dumps(data, ensure_ascii=False).encode()
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(data, dict) and all(isinstance(key, str) for key in data):
            yield data, ("read as a Python literal",)


def _repaired(text: str, model: type[BaseModel], reasons: list[str]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for piece, closed in _objects(text):
        if _FOREIGN_ESCAPE.search(piece):
            reasons.append("the reply holds an escape that is not JSON's")
            continue
        bare = _COMMENT.sub(lambda m: m.group(1) or "", piece)
        if not closed and (why := _cut(bare)):
            reasons.append(why)
            continue
        data, log = repair_json(bare, return_objects=True, logging=True, skip_json_loads=True)
        if not isinstance(data, dict):
            continue
        if not _only_form(bare, data):
            reasons.append("the reply is not valid JSON and cannot be repaired without guessing")
            continue
        if not closed and not _complete(data, model):
            reasons.append("the reply ends before its JSON object does; answer more briefly")
            continue
        notes = tuple(dict.fromkeys(str(entry.get("text", "repaired")) for entry in log)) or ("repaired",)
        yield data, notes + (() if closed else ("closed at its end",))


def _strict(text: str) -> dict[str, Any] | None:
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
    """Return where the object that begins at `start` ends. A bracket that closes nothing is a string's."""
    open_: list[str] = []
    quote, escaped = "", False
    for i in range(start, len(text)):
        c = text[i]
        if escaped:
            escaped = False
        elif quote:
            escaped = c == "\\"
            quote = "" if c == quote else quote
        elif c == '"':
            quote = c
        elif c in "{[":
            open_.append("}" if c == "{" else "]")
        elif c == open_[-1]:
            open_.pop()
            if not open_:
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


def _only_form(before: str, data: dict[str, Any]) -> bool:
    """Whether a repair touched nothing but form: same letters in the same order, and every string as it stood."""
    after = json.dumps(data, ensure_ascii=False)
    return _letters(before) == _letters(after) and all(_stood(value, before) for value in _strings(data))


def _letters(text: str) -> str:
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m.group(1), 16)), text)
    text = re.sub(r"```\w*", "", re.sub(r'\\[nrtbf"\\/]', " ", text))
    words = re.findall(r"[^\W_]+", text.casefold())
    return "".join(_LITERALS.get(word, word) for word in words)


def _strings(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from _strings(value)
    elif isinstance(data, list):
        for value in data:
            yield from _strings(value)


def _stood(value: str, text: str) -> bool:
    """Whether the text holds the value between two quotes, or as a bare word between none."""
    bare = re.fullmatch(r"[\w.-]+", value) is not None
    for form in {value, json.dumps(value, ensure_ascii=False)[1:-1], json.dumps(value)[1:-1]}:
        start = text.find(form)
        while start >= 0:
            end = start + len(form)
            quotes = (text[start - 1] in _QUOTES) + (end < len(text) and text[end] in _QUOTES)
            if quotes == 2 or (quotes == 0 and bare):
                return True
            start = text.find(form, start + 1)
    return False


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the object"
    return f"{where}: {first['msg']}"
