"""Read a model's JSON reply: lenient in form, strict in content.

Form is repaired (prose, fences, quotes, commas, comments, wrappers) and every repair is named and weighed. Content
is never guessed: what stands in a string comes out as it stood, and two different answers, a cut string and a
value outside the schema are refused. A draft among the model's thoughts is no answer, nor an echo of the question.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from loom_jupyter.pipeline.reply.fitting import fit, keys_of
from loom_jupyter.pipeline.reply.lenient import (
    BRACES,
    ENCODED,
    ENTITIES,
    FENCE,
    NOT_JSON,
    PROSE,
    THOUGHTS,
    Found,
    Keys,
    Repair,
    read_object,
)
from loom_jupyter.pipeline.reply.strict import ReplyError, behind, object_at, strictly, unpacked

__all__ = ["Reading", "ReplyError", "parse_reply", "read_reply"]

T = TypeVar("T", bound=BaseModel)

MAX_REPLY = 200_000
MOST_OBJECTS = 20
WORST = 20
"""A reading whose repairs weigh more is refused."""

_NONE = "the reply holds no JSON object; answer with one JSON object"
_SEVERAL = "the reply holds several different answers; answer with one JSON object"
_THOUGHT = "think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis"
_NEXT = re.compile(rf"\{{|<(/?)({_THOUGHT})\s*>", re.I)
_LEADING_THOUGHT = re.compile(rf"\s*<({_THOUGHT})\s*>.*?</\1\s*>", re.S | re.I)
# A brace that begins an object, not one of the prose or of a template.
_OPENS = re.compile(r"\{(?!\s*+(?:[{%]|\w[\w.,$()\[\] -]*+\}))")
_FENCE_BEFORE = re.compile(r"```[\w-]*+\s*\Z")
_FENCED = re.compile(r"\s*```[\w-]*\n(.*?)(?:```\s*)?\Z", re.S)
_CLOSERS = re.compile(r"[\s}\])]*+")
_MARKS = frozenset("\"'“”‘’`")
_CHOICES = re.compile(r"\"\s*+\|\s*+\"")  # "change" | "create": how prompts write a schema
_BRACKET = re.compile(r'\\.|["{}\[\]]', re.S)
_ENTITY = re.compile(r"&(?!quot;)(?:#\w+|\w+);")


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A reply that was understood.

    Attributes
    ----------
    repairs
        What had to be repaired in its form.
    penalty
        What the repairs weigh together: 0 for an answer as it was asked for.
    """

    value: T
    repairs: tuple[str, ...]
    penalty: int = 0


def parse_reply(text: str, model: type[T]) -> T:
    """Return the one object of type `model` that `text` holds.

    Raises
    ------
    ReplyError
        If there is none, or more than one reading of it.
    """
    return read_reply(text, model).value


def read_reply(text: str, model: type[T], asked: str = "") -> Reading[T]:
    """Like :func:`parse_reply`, and say which repairs the form needed.

    Parameters
    ----------
    asked
        The question: an object that stands in it word for word is an echo, if the reply holds another.
    """
    if len(text) > MAX_REPLY:
        raise ReplyError(f"the reply is longer than {MAX_REPLY:,} characters; answer with one JSON object only")
    if not text.strip():
        raise ReplyError("the reply is empty; answer with one JSON object")
    try:
        places = _whole(text) or _without_braces(text, keys_of(model)) or _scanned(text, keys_of(model))
        return _judged(places, model, " ".join(asked.split()))
    except RecursionError:
        raise ReplyError("the reply is nested too deeply; answer with one flat JSON object") from None


class _Place(NamedTuple):
    """A piece of the reply that looks like an object: its data, or why it cannot be read."""

    text: str
    data: dict[str, Any] | None
    repairs: tuple[Repair, ...] = ()
    reason: str = ""
    rival: bool = False


def _judged(places: list[_Place], model: type[T], asked: str) -> Reading[T]:
    """Return the one answer. What does not fit the schema is none; what cannot be read may be another."""
    reasons: list[str] = []
    found: list[tuple[Reading[T], bool]] = []
    rivals = []
    for place in places:
        echo = bool(asked) and " ".join(place.text.split()) in asked
        if place.data is None:
            reasons.append(place.reason)
            rivals += [place] if place.rival and not echo else []
            continue
        try:
            value, repairs = fit(place.data, model)
        except ReplyError as error:
            reasons.append(str(error))
            continue
        repairs = tuple(dict.fromkeys(place.repairs + repairs))
        reading = Reading(value, tuple(r.note for r in repairs), sum(r.cost for r in repairs))
        found.append((reading, echo))
    readings = [reading for reading, echo in found if not echo] or [reading for reading, _ in found]
    if not readings:
        raise ReplyError(reasons[0] if reasons else _NONE)
    best = min(readings, key=lambda reading: reading.penalty)
    if rivals or any(reading.value != best.value for reading in readings):
        raise ReplyError(_SEVERAL)
    if best.penalty > WORST:
        raise ReplyError(NOT_JSON)
    return best


def _whole(text: str) -> list[_Place]:
    """Read a reply that is JSON from its first character to its last."""
    try:
        data = strictly(text.strip())
    except json.JSONDecodeError:
        return []
    if isinstance(data, str):
        inner = unpacked(data)
        return [_Place(text, inner, (ENCODED,))] if inner is not None else []
    return [_Place(text, data)] if isinstance(data, dict) else []


def _without_braces(text: str, keys: Keys) -> list[_Place]:
    """Read a reply that begins with a key of the schema: what follows must be members to its end."""
    at, repairs = 0, [BRACES]
    while thought := _LEADING_THOUGHT.match(text, at):
        at, repairs = thought.end(), [BRACES, THOUGHTS]
    body = text[at:]
    if (fenced := _FENCED.match(body)) is not None:
        body, repairs = fenced[1], [*repairs, FENCE]
    body = body.strip()
    if not keys.mention.match(body):
        return []
    body = "{" + body + ("" if body.endswith("}") else "}")
    try:
        found = read_object(body, 0, keys)
    except ReplyError as error:
        return [_Place(text, None, reason=str(error))]
    if found.end < len(body):
        return [_Place(text, None, reason=NOT_JSON)]
    return [_Place(text, found.data, (*repairs, *found.repairs))]


def _scanned(text: str, keys: Keys) -> list[_Place]:
    entities = '"' not in text and "&quot;" in text and not _ENTITY.search(text)
    scan = _Scan(text.replace("&quot;", '"') if entities else text, keys, (ENTITIES,) if entities else ())
    scan.run()
    if scan.faults:
        raise ReplyError(scan.faults[0])
    return scan.places


@dataclass(slots=True)
class _Scan:
    """One pass over a reply: thoughts are passed over, and outermost objects taken out of the text around them."""

    text: str
    keys: Keys
    repairs: tuple[Repair, ...]
    places: list[_Place] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def run(self) -> None:
        at = behind = 0  # behind: where the last object or thought ended
        while found := _NEXT.search(self.text, at):
            start = found.start()
            if found[0] == "{":
                if not _OPENS.match(self.text, start):
                    at = start + 1
                    continue
                self._outside(behind, start)
                at = behind = self._object(start)
            else:
                self._outside(behind, start)
                at = behind = self._thought(found)
        self._outside(behind, len(self.text))

    def _thought(self, tag: re.Match[str]) -> int:
        """Return where a thought ends. One that began before the reply ends at a tag that closes nothing."""
        if not self.repairs or self.repairs[-1] != THOUGHTS:
            self.repairs += (THOUGHTS,)
        if tag[1]:
            self.places.clear()
            self.faults.clear()
            return tag.end()
        close = re.compile(rf"</{tag[2]}\s*>", re.I).search(self.text, tag.end())
        if close is not None:
            return close.end()
        if not self.places:
            self.places.append(_Place("", None, reason="the reply ends within its thoughts; answer more briefly"))
        return len(self.text)

    def _object(self, start: int) -> int:
        """Take the object that begins at `start`; return where it ends."""
        if len(self.places) == MOST_OBJECTS:
            raise ReplyError("the reply holds too many objects; answer with one JSON object")
        text = self.text
        try:
            data, end, repairs = self._read(start)
        except ReplyError as error:
            end = _closing(text, start)
            piece = text[start:end]
            rival = self.keys.member.search(piece) is not None and not _CHOICES.search(piece)
            self.places.append(_Place(piece, None, reason=str(error), rival=rival))
            return end
        before = text[max(0, start - 40) : start]
        if _FENCE_BEFORE.search(before):
            repairs = (FENCE, *repairs)
        elif text[:start].strip() or text[end:].strip():
            repairs = (PROSE, *repairs)
        self.places.append(_Place(text[start:end], data, self.repairs + repairs))
        return end

    def _read(self, start: int) -> Found:
        text = self.text
        if (strict := object_at(text, start)) is not None:
            return Found(*strict, ())
        if ENTITIES in self.repairs:  # an entity that stands in a string could be one of its own
            raise ReplyError(NOT_JSON)
        if text[start + 1 :].lstrip().startswith("\\"):
            return _escaped(text, start)
        return read_object(text, start, self.keys)

    def _outside(self, start: int, end: int) -> None:
        """Look at the text between two objects: it may tell that one of them was not read to its end."""
        gap = self.text[start:end]
        if self.keys.mention.search(gap):
            self.faults.append(NOT_JSON)
        if not self.places:
            return
        if self.text[start - 1] == "}":
            gap = gap[behind(_CLOSERS, gap, 0) :]
            begin = start - len(self.places[-1].text)
            quoted = begin > 0 and self.text[begin - 1] in _MARKS
            if gap[:1] in _MARKS and not quoted and not gap.startswith("```"):
                self.faults.append(NOT_JSON)
        if gap.count("}") > gap.count("{"):
            self.faults.append(NOT_JSON)


def _escaped(text: str, start: int) -> Found:
    """Read an object that was written into a string, but for the quotes around that."""
    end = text.rfind("}") + 1
    try:
        inner = json.loads(f'"{text[start:end]}"', strict=False)
    except json.JSONDecodeError:
        raise ReplyError(NOT_JSON) from None
    data = unpacked(inner)
    # A backslash that is left may have been one of the object's own: two readings.
    if data is None or "\\" in inner:
        raise ReplyError(NOT_JSON)
    return Found(data, end, (ENCODED,))


def _closing(text: str, start: int) -> int:
    """Return where an object that cannot be read ends: at its brace, or else with the text."""
    depth, quoted = 0, False
    for found in _BRACKET.finditer(text, start):
        mark = found[0]
        if mark == '"':
            quoted = not quoted
        elif not quoted and mark in ("{", "["):
            depth += 1
        elif not quoted and mark in ("}", "]"):
            depth -= 1
            if not depth:
                return found.end()
    return len(text)
