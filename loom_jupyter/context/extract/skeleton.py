"""Skeleton of Python source: what holds no definition is blanked out, so that it need not be parsed.

Simple statements that are no import, no docstring and no constant of the module become an empty tuple with the
same first and last byte; headers lose their conditions and parameters. Every line, indentation and name stays in
its place, so the skeleton's tree has the same definitions in the same places, in a fraction of the time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

DEEPEST = 8
STRING = (
    rb'"""(?:[^"\\]++|\\.|"(?!""))*+"""|'
    rb"'''(?:[^'\\]++|\\.|'(?!''))*+'''|"
    rb'"(?:[^"\\\n]++|\\.)*+"|'
    rb"'(?:[^'\\\n]++|\\.)*+'"
)
INNER = rb"[^()\[\]{}\"'#\\]++|#[^\n]*+|\\.|" + STRING
BRACKETS = rb"[(\[{](?:" + INNER + rb")*+[)\]}]"
for _ in range(DEEPEST - 1):
    BRACKETS = rb"[(\[{](?:" + INNER + rb"|" + BRACKETS + rb")*+[)\]}]"
REST = rb"(?:[^\n()\[\]{}\"'#\\]++|\\\n|" + STRING + rb"|" + BRACKETS + rb")*+"
BLOCKS = rb"if|for|while|with"
KEPT = rb"async|case|elif|else|except|finally|from|import|match|try|type"
LINE = re.compile(
    rb"(?:[ \t\f]*+(?:#[^\n]*+)?\n)*+(?P<indent>[ \t]*+)(?:"
    rb"(?P<block>(?:" + BLOCKS + rb")\b" + REST + rb")|"
    rb"(?P<definition>(?:class|def)\b" + REST + rb")|"
    rb"(?P<kept>(?:(?:" + KEPT + rb")\b|[rR]?[fF][rR]?(?=[\"']))" + REST + rb")|"
    rb"(?P<string>[rRbBuU]{0,2}+(?:" + STRING + rb")(?=[ \t]*+(?:[#\n]|\Z)))|"
    rb"(?P<statement>(?=[\w(\[{\"'+\-~*.])" + REST + rb")|"
    rb"(?P<other>" + REST + rb"))"
    rb"[ \t]*+(?:#[^\n]*+)?(?:\n|\Z)"
    rb"|(?P<unread>.)",  # so that nothing is searched for further on
    re.DOTALL,
)
QUOTED = re.compile(rb"\w{0,2}(?:" + STRING + rb")", re.DOTALL)
CONSTANT = re.compile(rb"\w+[ \t]*(?:(?P<typed>:)|=(?!=)[ \t]*)")
NEWLINE, COLON = ord("\n"), ord(":")
BLANK, QUOTES = b" \t\\\n", b"\"'"
SPACES = bytes(b if b == NEWLINE else ord(" ") for b in range(256))


class _Part(NamedTuple):
    """What gives way to `head`, spaces and a closing bracket."""

    start: int
    end: int
    head: bytes = b"("


def skeleton(source: bytes) -> bytes | None:
    """Return source of the same length with the same definitions; None where it has to be parsed as it is."""
    parts: list[_Part] = []
    level: bytes | None = None
    done = 0
    for line in LINE.finditer(source):
        kind = line.lastgroup
        if kind == "unread":
            return None
        done = line.end()
        start, end = line.span(kind or 0)
        while end > start and source[end - 1] in BLANK:
            end -= 1
        if end == start:
            continue
        colon = source[end - 1] == COLON
        if kind == "statement" and colon:
            return None
        before, level = level, None
        if kind == "string":
            parts += _docstring(source, start, end)
        elif colon:
            parts += _header(source, start, end - 1, kind)
        elif kind == "statement" and source.find(b"import", start, end) < 0:
            indent = line["indent"]
            found = [_Part(start, end)] if indent else _own(source, start, end)
            whole = bool(found) and found[0].start == start
            if whole and indent == before:
                # Statements that follow each other in a block become one.
                found = [_Part(parts.pop().start, end)]
            parts += found
            level = indent if whole else None
    return _blanked(source, parts) if done == len(source) else None


def _own(source: bytes, start: int, end: int) -> list[_Part]:
    """Return what of a statement of the module's own gives way: all of it, or what it assigns."""
    text = source[start:end]
    if b";" in text or not text.isascii():
        return []
    assigned = CONSTANT.match(text)
    if assigned is None:
        return [_Part(start, end)]
    return [] if assigned["typed"] else [_Part(start + assigned.end(), end)]


def _header(source: bytes, start: int, end: int, kind: str | None) -> list[_Part]:
    """Return the condition or the parameters of a header that ends before its colon."""
    if kind == "block":
        return [_Part(start, end, b"if(")]
    if kind != "definition":
        return []
    opening, closing = source.find(b"(", start, end), source.rfind(b")", start, end)
    return [_Part(opening, closing + 1)] if 0 <= opening < closing else []


def _docstring(source: bytes, start: int, end: int) -> list[_Part]:
    """Return how a docstring gives way: to an empty one, and a statement that is as long as it was."""
    quote = start
    while source[quote] not in QUOTES:
        quote += 1
    short = source[start:quote] + source[quote : quote + 1] * 2
    head = short + (b"\\\n;(" if source[quote + 3 : quote + 4] == b"\n" else b";(")
    replaced = source[start : start + len(head)]
    same = [b == NEWLINE for b in replaced] == [b == NEWLINE for b in head]
    return [_Part(start, end, head)] if same else []


def _blanked(source: bytes, parts: list[_Part]) -> bytes:
    out = bytearray(source)
    for start, end, head in parts:
        first = start + len(head)
        if first < end:
            out[start:end] = head + source[first : end - 1].translate(SPACES) + b")"
    return bytes(out)
