"""Sections of Markdown and reStructuredText, as symbols."""

from __future__ import annotations

import re

from loom_jupyter.context.symbol import Symbol

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
SETEXT = re.compile(r" {0,3}(=+|-{3,})[ \t]*$")
RULE = re.compile(r"([^\w\s])\1{2,}\s*$")


def sections(text: str, language: str = "markdown") -> list[Symbol]:
    """Return each heading with the lines up to the next heading of its level or above."""
    lines = text.split("\n")
    found = _rst(lines) if language == "rst" else _markdown(lines)
    last = len(lines) - 1 if lines and not lines[-1] else len(lines)
    out: list[Symbol] = []
    trail: list[tuple[int, str]] = []
    for place, (level, title, start) in enumerate(found):
        end = next((s - 1 for lv, _, s in found[place + 1 :] if lv <= level), last)
        trail = [t for t in trail if t[0] < level]
        name = " / ".join([t[1] for t in trail[-1:]] + [title])
        trail.append((level, title))
        out.append(Symbol(name, "section", start, max(end, start), lines[start - 1].strip()[:160]))
    return out


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
                found.append((len(heading[1]), heading[2], number))
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
