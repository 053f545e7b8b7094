"""The faults of form that are put right in a model's reply, and how much each weighs against a reading."""

from __future__ import annotations

from typing import NamedTuple


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
