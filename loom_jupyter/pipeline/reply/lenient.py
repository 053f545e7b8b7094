"""Read an object from JSON text whose form is damaged.

Every production takes what stands there, names the repair that it needs, or refuses. Nothing is searched for and
nothing dropped: between two tokens only blanks and comments are skipped. A text with two readings (a quote that
may or may not end its string, neighbouring strings that may be one) is refused. Linear in the text's length.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from loom_jupyter.pipeline.reply.strict import ReplyError, alike, behind, decimal, whole

# The faults of form that are put right in a model's reply, and how much each weighs against a reading.


class Repair(NamedTuple):
    """A fault of form that was put right: a sentence for people, and its weight."""

    note: str
    cost: int


# Around the object.
FENCE = Repair("taken out of its fence", 1)
PROSE = Repair("taken out of the text around it", 1)
THOUGHTS = Repair("what was thought before it left out", 1)
ENCODED = Repair("unpacked from a string", 2)
WRAPPER = Repair("taken out of the object around it", 2)
ENTITIES = Repair("quotes written as entities", 3)
BRACES = Repair("the braces around it added", 5)

# Inside it.
TRAILING_COMMA = Repair("a comma too many", 1)
COMMENT = Repair("a comment left out", 1)
LITERAL = Repair("a constant of Python or JavaScript", 1)
LINE_BREAK = Repair("a line break inside a string", 1)
QUOTES = Repair("other quotes than JSON's", 2)
BARE_KEY = Repair("a key without quotes", 2)
MARK = Repair("another mark than JSON's between two members", 3)
ESCAPE = Repair("an apostrophe escaped without need", 3)
MISSING_COMMA = Repair("a missing comma", 5)
MISSING_COLON = Repair("a missing colon", 5)
MISSING_QUOTE = Repair("a missing quote at a key", 5)
BARE_WORD = Repair("a word without quotes", 5)
UNCLOSED = Repair("closed at its end", 5)
STRAY_QUOTES = Repair("quotes inside a string that were not escaped", 8)


DEEPEST = 32
MOST_STRAY = 500
"""How many quotes are looked at, to see which of them ends a string with quotes inside."""


# With these, a key that the schema lacks may be a piece of a string: then nothing is certain.
_RISKY = {MISSING_COMMA, MISSING_COLON, MISSING_QUOTE, BARE_WORD, STRAY_QUOTES}

NOT_JSON = "the reply is not valid JSON and cannot be repaired without guessing"
_CUT_VALUE = "the reply ends in the middle of a value; answer more briefly"
_CUT_LIST = "the reply ends in the middle of a list; answer more briefly"
_CUT_OBJECT = "the reply ends before its JSON object does; answer more briefly"
_TWO_READINGS = "the reply holds quotes that are not escaped"

_CONSTANTS = {"true": True, "false": False, "null": None, "none": None, "undefined": None}
# A quote, and the characters that can end a string which it begins.
_CLOSING = {'"': '"', "'": "'", "`": "`", "“": "“”", "”": "“”", "„": "“”", "‘": "‘’", "’": "‘’"}
_BODY = {q: re.compile(rf"([^\\{c}]*+(?:\\.[^\\{c}]*+)*+)[{c}]", re.S) for q, c in _CLOSING.items()}
_QUOTE = {q: re.compile(rf"\\.|[{c}]", re.S) for q, c in _CLOSING.items()}
# A quotation inside a string: `say "hi" now`, `d["k"]`, but not `a" + "b`.
_QUOTATION = {
    q: re.compile(rf"(?:(?<=[\s(\[{{=<])|\A)[{c}](?=\S)[^{c}]*(?<=\S)[{c}](?=[\s)\]}}>.,;!?]|\Z)")
    for q, c in _CLOSING.items()
}
_NEAR_COLON = {q: re.compile(rf":\s*+[{c}]|[{c}]\s*+:") for q, c in _CLOSING.items()}
_TRIPLE = re.compile(r"""\"{3}(?![',: ])([^"\\]+)(?<![',: ])\"{3}|'{3}(?![",: ])([^'\\]+)(?<![",: ])'{3}""")
_TOKENS = frozenset(",]}[{\"'")  # where nothing is to be skipped
_BLANKS = re.compile(r"[ \t\r\n]*+")
_COMMA = re.compile(r",[ \t\r\n]*+(?![,/\#\]}]|\Z)")  # with an item behind it
# No longer than a comment in an answer can be: behind each stray quote one is looked for.
_COMMENT = re.compile(r"//[^\n]{0,2000}+|/\*.{0,2000}?\*/|\#[^\n]{0,2000}+", re.S)
_SPACE = re.compile(rf"(?:[ \t\r\n]++|{_COMMENT.pattern})*+", re.S)
# A comment that swallowed what follows it on its line, or an item behind a stray mark or without its quotes.
_SWALLOWED = re.compile(r"""["'“”‘’`]\s*+[:=]|\A(?:\#|//)\s*+["'“”‘’`]|["'“”‘’`,][\s,;\]}]*+\Z""")
_KEY = re.compile(
    r"""(?:"([^"\\\n]*+)"|'([^'\\\n]*+)'|[“”„]([^“”„\\\n]*+)[“”]|[‘’]([^‘’\\\n]*+)[‘’]|`([^`\\\n]*+)`)"""
    + rf"(?:{_SPACE.pattern})(:|=>|=)?",
    re.S,
)
_BARE_KEY = re.compile(r"""(["']?)([^\W\d][\w$-]*+)(["']?)\s*+(?::(?!:)|=>|=(?!=))""")
_SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?(?![\w.+-])|-?[^\W\d][\w.-]*+")
_BEHIND_WORD = re.compile(r"[ \t\r\n]*+[,;}\]]")
_VALUE = re.compile(r"""["'“”„‘’`\[{0-9tfnTFN-]""")
_END = re.compile(r"\s*+(?:```\s*+|</?\w++>\s*+|<\|\w++\|>\s*+){0,50}+\Z")
_ESCAPE = re.compile(r'\\(.)|"', re.S)
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a schema says about the keys of its object.

    Attributes
    ----------
    known
        All of them, in lower case.
    required
        Those without which there is no object, in lower case.
    mention
        Finds one of them where it stands as a key, in quotes.
    member
        Finds one of them where it stands as a key, behind a brace or comma.
    """

    known: frozenset[str]
    required: frozenset[str]
    mention: re.Pattern[str]
    member: re.Pattern[str]


class Found(NamedTuple):
    """An object, where it ends in the text, and what had to be repaired."""

    data: dict[str, Any]
    end: int
    repairs: tuple[Repair, ...]


def read_object(text: str, start: int, keys: Keys) -> Found:
    """Read the object whose ``{`` stands at `start`.

    Raises
    ------
    ReplyError
        If it cannot be read, or not in one way only.
    """
    reader = _Reader(text, keys)
    data, end = reader.read(start, 1)
    if not reader.certain:
        raise ReplyError(NOT_JSON)
    return Found(data, end, tuple(reader.repairs))


class _Reader:
    """One pass over the text, in recursive descent."""

    def __init__(self, text: str, keys: Keys) -> None:
        self.text, self.keys = text, keys
        self.repairs: dict[Repair, None] = {}
        self._foreign = self._escaped = self._seam = False
        self._stray = self._words = 0
        self._quotes: set[str] = set()
        self._ahead: tuple[int, tuple[str, int, Repair | None] | None] = (-1, None)

    @property
    def certain(self) -> bool:
        """Whether no piece of a string can have been read as a key or a value."""
        # `x` may be a string that quotes code.
        if "`" in self._quotes and len(self._quotes) > 1:
            return False
        # What stands between two quotes may be the middle of a string that holds both.
        if self._seam and STRAY_QUOTES in self.repairs:
            return False
        # Whoever does not escape quotes or line breaks may mean a backslash by a backslash.
        if self._escaped and not {STRAY_QUOTES, LINE_BREAK}.isdisjoint(self.repairs):
            return False
        if {BARE_WORD, TRAILING_COMMA} <= self.repairs.keys():
            return False
        return not self._foreign or _RISKY.isdisjoint(self.repairs)

    def read(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        if depth > DEEPEST:
            raise ReplyError("the reply is nested too deeply; answer with one flat JSON object")
        made: dict[str, Any] = {}
        at = self._skip(at + 1)
        while not self.text.startswith("}", at):
            if made and self._ends(at):
                self._close(made, depth)
                at = len(self.text) - 1
                break
            key, at = self._key(at)
            value, at = self._value(self._skip(at), depth, in_list=False)
            if key in made and not alike(made[key], value):
                raise ReplyError(f"the key {key!r} stands twice with different values")
            made[key] = value
            at = self._separator(at, "}")
        known = [key.strip().casefold() in self.keys.known for key in made]
        self._foreign |= any(known) and not all(known)
        return made, at + 1

    def _close(self, made: dict[str, Any], depth: int) -> None:
        """Close the object where the text ends: it must have all its keys, or some may have been cut off."""
        if depth > 1 or not self.keys.known <= {key.strip().casefold() for key in made}:
            raise ReplyError(_CUT_OBJECT)
        self.repairs[UNCLOSED] = None

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        if depth > DEEPEST:
            raise ReplyError("the reply is nested too deeply; answer with one flat JSON object")
        items: list[Any] = []
        words = self._words
        at = self._next(at + 1, "]")
        while not self.text.startswith("]", at):
            if self._ends(at):
                raise ReplyError(_CUT_LIST)
            value, at = self._value(at, depth, in_list=True)
            items.append(value)
            at = self._separator(at, "]")
        if self._words > words + 1:  # or one text with a comma in it
            raise ReplyError(NOT_JSON)
        return items, at + 1

    def _value(self, at: int, depth: int, *, in_list: bool) -> tuple[Any, int]:
        mark = self.text[at : at + 1]
        if mark in _BODY:
            return self._string(at, mark, in_list)
        if mark == "{":
            return self.read(at, depth + 1)
        if mark == "[":
            return self._list(at, depth + 1)
        return self._scalar(at)

    def _separator(self, at: int, close: str) -> int:
        """Return where the next item begins, or the bracket that ends them, or the text."""
        if (plain := _COMMA.match(self.text, at)) is not None:
            return plain.end()
        at = self._skip(at)
        mark = self.text[at : at + 1]
        if mark == "," or (mark == ";" and close == "}"):
            if mark == ";":
                self.repairs[MARK] = None
            at = self._next(at + 1, close)
            if self.text.startswith(",", at) and close == "}":
                self.repairs[TRAILING_COMMA] = None
                at = self._next(at + 1, close)
            if self.text.startswith(close, at):
                self.repairs[TRAILING_COMMA] = None
            return at
        if mark == close or self._ends(at):
            return at
        # Of a list's neighbouring strings nobody can say whether they are two, or one written in two parts.
        if close == "]" or not self._is_member(at):
            raise ReplyError(NOT_JSON)
        self.repairs[MISSING_COMMA] = None
        return at

    def _is_member(self, at: int) -> bool:
        """Whether a key of the schema stands here, in quotes and with its colon, where a comma is missing."""
        key = self._key_at(at)
        return key is not None and key[2] in (None, QUOTES) and key[0].strip().casefold() in self.keys.known

    def _key(self, at: int) -> tuple[str, int]:
        found = self._key_at(at)
        if found is None:
            raise ReplyError(_CUT_OBJECT if not _BLANKS.sub("", self.text[at : at + 200]) else NOT_JSON)
        key, end, repair = found
        if repair is not None:
            self.repairs[repair] = None
        return key, end

    def _key_at(self, at: int) -> tuple[str, int, Repair | None] | None:
        """Return the key that stands here, where its colon ends, and its fault; None if none does."""
        if self._ahead[0] != at:
            self._ahead = at, self._look_for_key(at)
        return self._ahead[1]

    def _look_for_key(self, at: int) -> tuple[str, int, Repair | None] | None:
        text, known = self.text, self.keys.known
        if (found := _KEY.match(text, at)) is not None:
            key = next(group for group in found.groups() if group is not None)
            end, mark = found.end(), found[6]
            if mark is not None:
                return key, end, MARK if mark != ":" else None if text[at] == '"' else QUOTES
            if key.strip().casefold() in known and _VALUE.match(text, end):
                return key, end, MISSING_COLON
        if (bare := _BARE_KEY.match(text, at)) is not None:
            opening, key, closing = bare.groups()
            if not opening and not closing:
                return key, bare.end(), BARE_KEY
            if opening != closing and key.casefold() in known:
                return key, bare.end(), MISSING_QUOTE
        return None

    def _string(self, at: int, quote: str, in_list: bool) -> tuple[str, int]:
        text = self.text
        if text.startswith(quote * 3, at) and (found := _TRIPLE.match(text, at)) is not None:
            self.repairs[QUOTES] = None
            if not self._ends_string(found.end(), in_list):
                raise ReplyError(NOT_JSON)
            return found[1] or found[2], found.end()
        if (found := _BODY[quote].match(text, at + 1)) is None:
            raise ReplyError(_CUT_VALUE)
        self._quotes.add(quote)
        if quote != '"':
            self.repairs[QUOTES] = None
        body, end = found[1], found.end()
        if not self._ends_string(end, in_list):
            body, end = self._with_stray_quotes(at + 1, quote, in_list)
        self._seam |= not body or body != body.strip()
        return self._decoded(body, quote), end

    def _ends_string(self, end: int, in_list: bool) -> bool:
        """Whether a string can end here: what follows belongs to the list or object around it."""
        text = self.text
        at = behind(_SPACE, text, end)
        mark = text[at : at + 1]
        if in_list:
            return mark in (",", "]") or self._ends(at)
        if mark in (",", ";"):
            at = behind(_SPACE, text, at + 1)
            mark = text[at : at + 1]
            return mark in (",", "}") or self._ends(at) or self._key_at(at) is not None
        return mark == "}" or self._ends(at) or self._is_member(at)

    def _with_stray_quotes(self, start: int, quote: str, in_list: bool) -> tuple[str, int]:
        """Read a string with quotes inside: only one of them can end it, and the others are in pairs."""
        ends: list[re.Match[str]] = []
        for found in _QUOTE[quote].finditer(self.text, start):
            self._stray += 1
            if self._stray > MOST_STRAY:
                raise ReplyError(NOT_JSON)
            if found[0][-1] in _CLOSING[quote] and self._ends_string(found.end(), in_list):
                ends.append(found)
                if len(ends) == 2 or (not in_list and self._required_follows(found.end())):
                    break
        if not ends:
            raise ReplyError(_CUT_VALUE if self.text.count(quote, start) < 2 else NOT_JSON)
        # An escaped quote that could be the end is a backslash that was not escaped.
        if len(ends) > 1 or len(ends[0][0]) > 1:
            raise ReplyError(_TWO_READINGS)
        body = self.text[start : ends[0].start()]
        rest = _QUOTATION[quote].sub("", body)
        if any(c in rest for c in _CLOSING[quote]) or _NEAR_COLON[quote].search(body):
            raise ReplyError(_TWO_READINGS)
        if "\\" in body:  # whoever escapes no quote may have escaped no backslash
            raise ReplyError(_TWO_READINGS)
        self.repairs[STRAY_QUOTES] = None
        return body, ends[0].end()

    def _required_follows(self, end: int) -> bool:
        """Whether a required key comes next: it cannot be a piece of the string."""
        at = behind(_SPACE, self.text, end)
        if self.text[at : at + 1] != ",":
            return False
        key = self._key_at(behind(_SPACE, self.text, at + 1))
        return key is not None and key[0].strip().casefold() in self.keys.required

    def _decoded(self, body: str, quote: str) -> str:
        if "\n" in body:
            self.repairs[LINE_BREAK] = None
        if "\\" not in body:
            return body

        bare = body.count("'") > body.count("\\'"), '"' in body  # once, not for every apostrophe

        def in_json(found: re.Match[str]) -> str:
            mark = found[1]
            if mark is None:
                return '\\"'
            if mark == "'":
                return self._apostrophe(found, quote, *bare)
            if mark not in '"\\/bfnrtu':
                raise ReplyError("the reply holds an escape that is not JSON's")
            self._escaped |= mark not in '"/'
            return found[0]

        try:
            return str(_DECODER.decode(f'"{_ESCAPE.sub(in_json, body)}"'))
        except json.JSONDecodeError:
            raise ReplyError("the reply holds an escape that is not JSON's") from None

    def _apostrophe(self, found: re.Match[str], quote: str, bare: bool, doubled: bool) -> str:
        r"""Read ``\'``, which JSON lacks: in a word, and where every apostrophe of the string is written so.

        Between ``'`` it may have been ``\"``, unless the string has a bare one of these.

        Parameters
        ----------
        bare, doubled
            Whether the string holds an apostrophe without a backslash, and a ``"``.
        """
        body, at = found.string, found.start()
        within = body[max(at - 1, 0) : at].isalpha() and body[at + 2 : at + 3].isalpha()
        if quote == "'" and (within or doubled):
            return "'"
        if quote == "'" or not within or bare:
            raise ReplyError("the reply holds an escape that is not JSON's")
        self.repairs[ESCAPE] = None
        return "'"

    def _scalar(self, at: int) -> tuple[Any, int]:
        found = _SCALAR.match(self.text, at)
        if found is None:
            raise ReplyError(_CUT_VALUE if self._ends(at) else NOT_JSON)
        word, end = found[0], found.end()
        if word.lower() in _CONSTANTS:
            if word not in ("true", "false", "null"):
                self.repairs[LITERAL] = None
            return _CONSTANTS[word.lower()], end
        if self._ends(end):
            raise ReplyError(_CUT_VALUE)
        if word[-1].isdigit() and word[0] in "-0123456789":
            return number(word), end
        if word in ("NaN", "Infinity") or word[0] == "-":
            raise ReplyError(f"{word} is not a JSON value")
        if not _BEHIND_WORD.match(self.text, end):
            raise ReplyError(NOT_JSON)
        self.repairs[BARE_WORD] = None
        self._words += 1
        return word, end

    def _next(self, at: int, close: str) -> int:
        """Return where the next item begins. A comment in place of a list's last item may be that item."""
        start, at = at, self._skip(at)
        if close == "]" and self.text.startswith("]", at) and not self.text[start:at].isspace() and at > start:
            raise ReplyError(NOT_JSON)
        return at

    def _skip(self, at: int) -> int:
        """Return where the next token begins, behind blanks and comments."""
        text = self.text
        if text[at : at + 1] in _TOKENS:
            return at
        at = behind(_BLANKS, text, at)
        while text[at : at + 1] in ("/", "#") and (found := _COMMENT.match(text, at)):
            if found[0].count('"') % 2 or _SWALLOWED.search(found[0]):
                raise ReplyError(NOT_JSON)
            self.repairs[COMMENT] = None
            at = behind(_BLANKS, text, found.end())
        return at

    def _ends(self, at: int) -> bool:
        """Whether nothing more comes but the end of a fence or tag."""
        return self.text[at : at + 1] in ("", "`", "<") and _END.match(self.text, at) is not None


def number(text: str) -> int | float:
    """Return the number that `text` says; one that Python cannot hold is refused."""
    return whole(text) if text.lstrip("-").isdigit() else decimal(text)
