"""Sections of Markdown and reStructuredText, as symbols."""

from __future__ import annotations

import re

from loom_jupyter.context.definitions import Symbol

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
ATX = re.compile(r" {0,3}(#{1,6})[ \t]++(.+)$")
SETEXT = re.compile(r" {0,3}(=+|-{3,})[ \t]*$")
RULE = re.compile(r"([^\w\s])\1{2,}\s*$")


def sections(text: str, language: str = "markdown") -> list[Symbol]:
    """Return each heading with the lines up to the next heading of its level or above."""
    lines = text.split("\n")
    found = _rst(lines) if language == "rst" else _markdown(lines)
    last = len(lines) - 1 if lines and not lines[-1] else len(lines)
    out: list[Symbol] = []
    trail: list[tuple[int, str]] = []
    ends = _ends(found, last)
    for (level, title, start), end in zip(found, ends, strict=True):
        trail = [t for t in trail if t[0] < level]
        name = " / ".join([t[1] for t in trail[-1:]] + [title])
        trail.append((level, title))
        out.append(Symbol(name, "section", start, max(end, start), lines[start - 1].strip()[:160]))
    return out


def _ends(found: list[tuple[int, str, int]], last: int) -> list[int]:
    """Return the last line of each section: the one before the next heading of its level or above."""
    ends = [last] * len(found)
    opened: list[int] = []
    for place, (level, _, start) in enumerate(found):
        while opened and found[opened[-1]][0] >= level:
            ends[opened.pop()] = start - 1
        opened.append(place)
    return ends


def _title(text: str) -> str:
    """Return a heading without the signs that may close it."""
    text = text.rstrip(" \t")
    return text.rstrip("#").rstrip(" \t") or text


def _markdown(lines: list[str]) -> list[tuple[int, str, int]]:
    found: list[tuple[int, str, int]] = []
    fence = ""
    for number, line in enumerate(lines, 1):
        mark = FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence:
            heading = ATX.match(line)
            under = SETEXT.match(line) if number > 1 else None
            above = lines[number - 2].strip() if under else ""
            if heading:
                found.append((len(heading[1]), _title(heading[2]), number))
            elif under and above and not above.startswith(("#", "|", ">", "-")):
                found.append((1 if under[1][0] == "=" else 2, above, number - 1))
    return found


def _rst(lines: list[str]) -> list[tuple[int, str, int]]:
    found: list[tuple[int, str, int]] = []
    levels: list[str] = []
    for number in range(1, len(lines)):
        rule, title = RULE.match(lines[number]), lines[number - 1]
        if not rule or not title.strip() or title[0].isspace() or RULE.match(title):
            continue
        if len(lines[number].rstrip()) < len(title.rstrip()):
            continue
        over = number > 1 and lines[number - 2].rstrip() == lines[number].rstrip()
        style = rule[1] + ("^" if over else "")
        if style not in levels:
            levels.append(style)
        found.append((levels.index(style) + 1, title.strip(), number))
    return found
