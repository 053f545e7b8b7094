"""Search and replace, for units that are too long to be written again: each search must fit one place only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher

_OPENS = re.compile(r"[ \t]*+<{5,9} ?SEARCH")
_PARTS = re.compile(r"[ \t]*+={5,9}[ \t]*+")
_ENDS = re.compile(r"[ \t]*+>{5,9}(?: ?REPLACE)?[ \t]*+")
# Share of an anchored passage's inner lines that must be alike; shorter passages are all anchor.
_ALIKE, _ANCHORED = 0.8, 4
# Longer lines are alike only if they are equal; a search that takes more comparisons than that is given up.
_LONGEST, _MOST_COMPARED, _MOST_LIKENED = 200, 200_000, 2_000


class PatchError(ValueError):
    """A patch that cannot be applied; the message says why."""


def patched(text: str, reply: str) -> str:
    """Apply the SEARCH/REPLACE blocks of a reply to a text, one after the other.

    A search is looked for exactly, then without regard to trailing blanks, then at another indentation (the new
    lines are moved alike), then by its first and last line. It must fit one place on the first of these rungs on
    which it fits any; nothing outside of that place changes.

    Raises
    ------
    PatchError
        If there is no block, or a search fits nowhere or in several places.
    """
    blocks = list(_blocks(reply))
    if not blocks:
        raise PatchError("there is no SEARCH/REPLACE block in it")
    lines = _lines(text)
    for old, new in blocks:
        first, last, fresh = _placed(lines, _trimmed(old), new)
        lines[first:last] = fresh
    return "\n".join(lines) + "\n"


def _blocks(reply: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the lines that each complete block searches for, and those that take their place."""
    old: list[str] | None = None
    new: list[str] | None = None
    for line in reply.split("\n"):
        if old is None:
            old = [] if _OPENS.match(line) else None
        elif new is None:
            if _PARTS.fullmatch(line):
                new = []
            else:
                old.append(line)
        elif _ENDS.fullmatch(line):
            yield old, new
            old = new = None
        else:
            new.append(line)


def _lines(text: str) -> list[str]:
    r"""Split at ``\n`` alone: a form feed is no line end in a file."""
    return text.removesuffix("\n").split("\n") if text else []


def _placed(lines: Sequence[str], old: Sequence[str], new: Sequence[str]) -> tuple[int, int, list[str]]:
    if not old:
        raise PatchError("a SEARCH block is empty")
    begins = old[0].strip()
    near = [n for n in range(len(lines) - len(old) + 1) if lines[n].strip() == begins]
    if len(near) * len(old) > _MOST_COMPARED:
        raise PatchError(f"{begins!r} stands in too many places; search for fewer lines, or others")
    rungs = (_exact, _trailing, _moved, _anchored)
    for fits in rungs if len(near) * len(old) <= _MOST_LIKENED else rungs[:-1]:
        found = [n for n in near if fits(lines[n : n + len(old)], old)]
        if len(found) > 1:
            raise PatchError(f"{old[0].strip()!r} fits {len(found)} places; search for more lines")
        if found:
            place = slice(found[0], found[0] + len(old))
            return place.start, place.stop, _shifted(new, old, lines[place])
    raise PatchError(f"{old[0].strip()!r} is nowhere")


def _exact(here: Sequence[str], old: Sequence[str]) -> bool:
    return list(here) == list(old)


def _trailing(here: Sequence[str], old: Sequence[str]) -> bool:
    return all(a.rstrip() == b.rstrip() for a, b in zip(here, old, strict=True))


def _moved(here: Sequence[str], old: Sequence[str]) -> bool:
    """Whether the lines are the same but for one and the same shift to the left or right."""
    return _dedented(here) == _dedented(old)


def _anchored(here: Sequence[str], old: Sequence[str]) -> bool:
    """Whether first and last line are the same, and most of what is between."""
    if len(old) < _ANCHORED or here[0].strip() != old[0].strip() or here[-1].strip() != old[-1].strip():
        return False
    inner = [[line.strip() for line in part[1:-1]] for part in (here, old)]
    alike = [_likeness(a, b) for a, b in zip(*inner, strict=True)]
    return sum(alike) / len(alike) >= _ALIKE


def _likeness(one: str, other: str) -> float:
    if one == other or max(len(one), len(other)) > _LONGEST:
        return float(one == other)
    return SequenceMatcher(None, one, other).ratio()


def _trimmed(lines: list[str]) -> list[str]:
    """Drop blank lines at both ends."""
    filled = [n for n, line in enumerate(lines) if line.strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def _shifted(new: Sequence[str], old: Sequence[str], here: Sequence[str]) -> list[str]:
    """Move new lines as the place stands to what was searched for."""
    there, wanted = _margin(old), _margin(here)
    if there == wanted:
        return list(new)
    move: Callable[[str], str] = lambda line: wanted + line.removeprefix(there) if line.strip() else line  # noqa: E731
    return [move(line) for line in new]


def _margin(lines: Sequence[str]) -> str:
    """Return the blanks that all lines begin with."""
    margins = [line[: len(line) - len(line.lstrip())] for line in lines if line.strip()]
    least, most = min(margins), max(margins)  # in order, what these two share all share
    size = next(
        (n for n, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), min(len(least), len(most))
    )
    return least[:size]


def _dedented(lines: Sequence[str]) -> list[str]:
    margin = len(_margin(lines)) if any(line.strip() for line in lines) else 0
    return [line[margin:].rstrip() if line.strip() else "" for line in lines]


# Find the code in a reply.

FENCE = "```"
_PROSE = (".md", ".markdown", ".mdx", ".rst", ".txt", ".qmd", ".rmd")
_OPEN = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*$", re.M)


def fence_around(path: str, text: str) -> str:
    """Return a fence that no line of a text ends: what is written about code holds fences of its own."""
    longest = max((len(match[1]) for match in _OPEN.finditer(text)), default=0)
    return "`" * max(longest + 1, 4) if longest or path.lower().endswith(_PROSE) else FENCE


def fenced_code(text: str, *, opened: str = "") -> str | None:
    """Return the reply's code block, with a final newline.

    Parameters
    ----------
    opened
        The opening fence, if the prompt already wrote it, so that the reply starts inside the block.

    Returns
    -------
    str or None
        The first block; None if the reply holds none. A block that is never closed is taken to its end.
    """
    fence = opened
    if not opened:
        start = _OPEN.search(text)
        if start is None:
            return None
        fence = start.group(1)
        text = text[start.end() + 1 :]
    close = re.search(rf"^[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", text, re.M)
    if close:
        text = text[: close.start()]
    elif len(fence) > len(FENCE) and len(_OPEN.findall(text)) % 2 and text.rstrip().endswith(f"\n{FENCE}"):
        text = text.rstrip()[: -len(FENCE)]  # a longer fence that was closed by a usual one
    code = text.strip("\n")
    return code + "\n" if code.strip() else None


def tag_of(path: str) -> str:
    """Return the fence tag of a file: ``python``, ``rust``, …, or nothing."""
    return _TAGS.get(path.rsplit(".", 1)[-1].lower(), "")


_TAGS = {
    "py": "python",
    "pyi": "python",
    "ipynb": "python",
    "js": "javascript",
    "jsx": "jsx",
    "ts": "typescript",
    "tsx": "tsx",
    "rs": "rust",
    "go": "go",
    "c": "c",
    "h": "c",
    "cpp": "cpp",
    "java": "java",
    "sql": "sql",
    "md": "markdown",
    "toml": "toml",
    "yaml": "yaml",
    "yml": "yaml",
    "json": "json",
    "r": "r",
    "jl": "julia",
    "sh": "bash",
}
