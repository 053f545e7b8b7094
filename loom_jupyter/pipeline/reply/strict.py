"""Read JSON strictly: no key twice with different values, no NaN, no number that is not one."""

from __future__ import annotations

import json
import re
from typing import Any


class ReplyError(ValueError):
    """The reply holds no object of the schema; the message can be sent back to the model."""


def strictly(text: str) -> Any:
    """Return what a JSON text says.

    Raises
    ------
    json.JSONDecodeError
        If it is not JSON.
    ReplyError
        If it is, and says nothing certain.
    """
    return _DECODER.decode(text)


def object_at(text: str, start: int) -> tuple[dict[str, Any], int] | None:
    """Return the JSON object that begins at `start`, and where it ends; None if none does."""
    try:
        data, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError:
        return None
    return (data, end) if isinstance(data, dict) else None


def unpacked(text: str) -> dict[str, Any] | None:
    """Return the object that a string holds as JSON; None if it holds none."""
    try:
        data = strictly(text)
    except json.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def alike(one: Any, other: Any) -> bool:
    """Whether two values are one in JSON, where ``1`` and ``true`` differ."""
    if isinstance(one, dict | list):
        return json.dumps(one) == json.dumps(other)
    return type(one) is type(other) and bool(one == other)


def whole(text: str) -> int:
    """Return the integer that JSON's `text` says; one that Python does not read is refused."""
    try:
        return int(text)
    except ValueError:
        raise ReplyError("the reply holds a number that is too long") from None


def decimal(text: str) -> float:
    """Return the number that JSON's `text` says; one that a float cannot hold is refused."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ReplyError(f"{text} is too large for a number")
    return value


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in items:
        if key in made and not alike(made[key], value):
            raise ReplyError(f"the key {key!r} stands twice with different values")
        made[key] = value
    return made


def _constant(name: str) -> Any:
    raise ReplyError(f"{name} is not a JSON value")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_constant=_constant, parse_int=whole, parse_float=decimal
)


def behind(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where the match of a pattern at a place ends; the place itself without one."""
    found = pattern.match(text, at)
    return at if found is None else found.end()
