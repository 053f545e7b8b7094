"""Fit the data of a reply to a schema: taken out of what is wrapped around it, never bent.

The schema is asked strictly, so that nothing is coerced unseen. What it complains of is repaired only where form
is at fault and one reading is possible (``"3"`` for 3, a single value for a list), and each repair is named.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from loom_jupyter.pipeline.reply.lenient import WRAPPER, Keys, Repair, number
from loom_jupyter.pipeline.reply.strict import ReplyError, alike, unpacked

T = TypeVar("T", bound=BaseModel)

_ENVELOPE = {"name", "type", "id", "function", "arguments", "parameters", "input", "properties"}
"""The keys of a tool call, and of an answer in the form of its schema."""
_DEEPEST = 3  # wrappers inside each other
_ROUNDS = 3  # a value becomes a list, then its items are repaired
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BOOLEAN = {"true": True, "false": False}
_LISTS = ("list_type", "tuple_type", "set_type", "frozen_set_type")


class Fitted(NamedTuple, Generic[T]):
    """An object of the schema, and what had to be repaired for it."""

    value: T
    repairs: tuple[Repair, ...]


class _Fault(NamedTuple):
    """What the schema complains of."""

    given: Any
    kind: str
    where: tuple[int | str, ...]
    message: str


@functools.lru_cache(maxsize=64)
def keys_of(model: type[BaseModel]) -> Keys:
    """Return what the schema says about its keys."""
    names = {name: _names(model, name) for name in model.model_fields}
    known = frozenset(key.casefold() for keys in names.values() for key in keys)
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    one_of = "|".join(sorted(re.escape(key) for keys in names.values() for key in keys)) or r"(?!)"
    return Keys(
        known,
        frozenset(keys[0].casefold() for name, keys in names.items() if name in required and len(keys) == 1),
        mention=re.compile(rf"[\"'“”‘’`]\s*+(?:{one_of})\s*+\\?[\"'“”‘’`]\s*+[:=]", re.I),
        member=re.compile(rf"[{{,]\s*+[\"'“”‘’`]?\s*+(?:{one_of})\s*+[\"'“”‘’`]?\s*+[:=]", re.I),
    )


def fit(data: dict[str, Any], model: type[T]) -> Fitted[T]:
    """Return the object that `data` is, or that it wraps.

    Raises
    ------
    ReplyError
        If there is none; what the schema says against the innermost data.
    """
    refusal: ReplyError | None = None
    for inner, repairs in _layers(data, keys_of(model)):
        try:
            value, more = _repaired(inner, model)
        except ReplyError as error:
            refusal = refusal or error
            continue
        return Fitted(value, repairs + more)
    raise refusal or ReplyError("the reply holds no JSON object; answer with one JSON object")


def _layers(
    data: dict[str, Any], keys: Keys, most: int = _DEEPEST
) -> Iterator[tuple[dict[str, Any], tuple[Repair, ...]]]:
    """Yield the data, and what it wraps. Data without any key of the schema is an answer only if it wraps none."""
    foreign = bool(data) and not any(_plain(key) in keys.known for key in data)
    inner = _payload(data) if foreign and most else None
    if inner is None:
        yield data, ()
        return
    for layer, repairs in _layers(inner, keys, most - 1):
        yield layer, (WRAPPER, *repairs)
    yield data, ()


def _payload(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an object with one key holds, or a tool call; None if it is neither."""
    if len(data) > 1 and not data.keys() <= _ENVELOPE:
        return None
    inner = [unpacked(value) if isinstance(value, str) else value for value in data.values()]
    objects = [value for value in inner if isinstance(value, dict)]
    return objects[0] if len(objects) == 1 else None


def _repaired(data: dict[str, Any], model: type[T]) -> tuple[T, tuple[Repair, ...]]:
    data, repairs = _with_its_keys(data, model)
    for left in reversed(range(_ROUNDS)):
        try:
            return model.model_validate_json(_written(data), strict=True), tuple(dict.fromkeys(repairs))
        except ValidationError as error:
            wrong = [_Fault(e["input"], e["type"], e["loc"], e["msg"]) for e in error.errors()]
        if not left:
            break
        data = copy.deepcopy(data)
        for fault in wrong:
            repair = _repair(data, fault, model)
            if repair is None:
                raise ReplyError(_explained(fault))
            repairs.append(repair)
    raise ReplyError(_explained(wrong[0]))


def _written(data: dict[str, Any]) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ReplyError("the reply holds half a character (a lone surrogate)") from None


def _with_its_keys(data: dict[str, Any], model: type[BaseModel]) -> tuple[dict[str, Any], list[Repair]]:
    """Write keys as the schema does, where they differ by case or blanks only."""
    exact = {key for name in model.model_fields for key in _names(model, name)}
    if data.keys() <= exact:
        return data, []
    by_plain: dict[str, list[str]] = {}
    for key in exact:
        by_plain.setdefault(key.casefold(), []).append(key)
    made: dict[str, Any] = {}
    repairs = []
    for key, value in data.items():
        meant = [key] if key in exact else by_plain.get(_plain(key), [key])
        name = meant[0] if len(meant) == 1 else key
        if name in made and not alike(made[name], value):
            raise ReplyError(f"the key {name!r} stands twice with different values")
        made[name] = value
        if name != key:
            repairs.append(Repair(f"{key!r} read as {name!r}", 2))
    return made, repairs


def _repair(data: dict[str, Any], fault: _Fault, model: type[BaseModel]) -> Repair | None:
    """Put right in `data` what the schema complains of, if only form is at fault."""
    given, kind, where, _ = fault
    label = ".".join(step for step in where if isinstance(step, str))
    place: Any = data
    try:
        place = functools.reduce(lambda at, step: at[step], where[:-1], place)
        if not where or not alike(place[where[-1]], given):
            return None
    except (KeyError, IndexError, TypeError):
        return None
    if given is None and len(where) == 1 and where[0] in _optional(model):
        del place[where[-1]]
        return Repair(f"{label}: null read as not given", 3)
    mended = _in_form(given, kind)
    if mended is None:
        return None
    place[where[-1]], note = mended
    return Repair(f"{label}: {note}", 4)


def _in_form(given: Any, kind: str) -> tuple[Any, str] | None:
    """Return the value that was meant, and how it was read. Booleans are never numbers, nor numbers booleans."""
    if kind in _LISTS and isinstance(given, str | int | float) and not isinstance(given, bool):
        several = isinstance(given, str) and re.search(r"[,;\n\[]", given)
        return None if several else ([given], "one value as a list")
    if isinstance(given, str):
        text = given.strip()
        if kind in ("int_type", "float_type") and _NUMBER.fullmatch(text):
            return number(text), "a number in quotes"
        if kind == "bool_type" and text.lower() in _BOOLEAN:
            return _BOOLEAN[text.lower()], "a constant in quotes"
    if kind == "int_type" and isinstance(given, float) and given.is_integer():
        return int(given), "a whole number with decimals"
    return None


def _names(model: type[BaseModel], name: str) -> tuple[str, ...]:
    """Return the keys by which the schema takes a field."""
    alias = model.model_fields[name].validation_alias
    if not isinstance(alias, str):
        return (name,)
    by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
    return (alias, name) if by_name else (alias,)


def _optional(model: type[BaseModel]) -> set[str]:
    fields = model.model_fields.items()
    return {key for name, field in fields if not field.is_required() for key in _names(model, name)}


def _plain(key: str) -> str:
    return key.strip().casefold()


def _explained(fault: _Fault) -> str:
    return f"{'.'.join(map(str, fault.where)) or 'the object'}: {fault.message}"
