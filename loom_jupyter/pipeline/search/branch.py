"""Where a model doubts a text that it is shown, and what it would write instead.

A small model asked to rewrite a function mostly copies it. Force-decoding the function as if it were the answer
shows where the model would rather have written something else: positions at which another token's
log-probability comes close to, or above, that of the token that stands there.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loom_jupyter.models.protocol import Branch, TokenScore

PER_TOKEN = 2
# Of 400 inserted lines that were tried none was the answer, of 480 replaced ones some were: insertions wait.
INSERTED = 1.5


@dataclass(frozen=True, slots=True)
class Doubt:
    """A place to leave the text.

    Attributes
    ----------
    start
        Offset in the text, in characters.
    margin
        Log-probability of the other token less that of the one that stands there; above 0, the model would
        rather have written the other.
    """

    branch: Branch
    start: int
    margin: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A complete new text of a unit, and how it was made."""

    text: str
    kind: str
    margin: float


def doubts(text: str, scores: Sequence[TokenScore], limit: int, *, python: bool) -> list[Doubt]:
    """Return the `limit` strongest doubts, strongest first; comments and docstrings are left alone."""
    quiet = list(_quiet_python(text)) if python else list(_quiet_lines(text))
    found = []
    for score in scores:
        if not score.text or any(a <= score.start < b for a, b in quiet):
            continue
        others = [a for a in score.alternatives if _worth(a.text, score.text)][:PER_TOKEN]
        found += [
            Doubt(Branch(score.index, other.token), score.start, other.logprob - score.logprob) for other in others
        ]
    return sorted(found, key=lambda d: (-d.margin, d.start, d.branch.token))[:limit]


def line_candidates(text: str, doubt: Doubt, continuation: str) -> list[Candidate]:
    """Return the two texts that a branch gives: its line in place of the old one, and before the old one."""
    begin = text.rfind("\n", 0, doubt.start) + 1
    end = text.find("\n", doubt.start)
    end = len(text) if end < 0 else end
    line = (text[begin : doubt.start] + continuation).rstrip()
    if not line.strip() or line == text[begin:end].rstrip():
        return []
    return [
        Candidate(text[:begin] + line + text[end:], "replaced line", doubt.margin),
        Candidate(text[:begin] + line + "\n" + text[begin:], "inserted line", doubt.margin - INSERTED),
    ]


def gap_at(text: str, at: int) -> tuple[str, str, str]:
    """Return what stands before the line at an offset, indentation included; its rest; what stands behind."""
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    line = text[begin:end]
    begin += len(line) - len(line.lstrip())
    return text[:begin], text[begin:end].rstrip(), text[end:]


def gaps_at(text: str, places: Sequence[int], limit: int, reading: int) -> list[tuple[str, str, str]]:
    """Return the gaps of the lines at some offsets, each once, in their order.

    Parameters
    ----------
    limit
        How many at most.
    reading
        Characters that a model may have to read for them in all, which shares what two of them begin with.
    """
    found: list[tuple[str, str, str]] = []
    last = 0
    for gap in dict.fromkeys(gap_at(text, place) for place in places):
        reading -= max(0, len(gap[0]) - last) + len(gap[2])
        if len(found) == limit or (found and reading < 0):
            break
        found.append(gap)
        last = len(gap[0])
    return found


def first_divergence(scores: Sequence[TokenScore]) -> Doubt | None:
    """Return where a greedy rewrite would first leave the text; None if it would copy it."""
    for score in scores:
        if score.alternatives and score.alternatives[0].logprob > score.logprob:
            best = score.alternatives[0]
            return Doubt(Branch(score.index, best.token), score.start, best.logprob - score.logprob)
    return None


def _worth(other: str, standing: str) -> bool:
    new, old = other.strip(), standing.strip()
    return bool(new and old) and new != old and "\n" not in other and "```" not in other


def _quiet_lines(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith(("#", "//", "/*", "* ", "--")):
            yield position, position + len(line)
        position += len(line)


def _quiet_python(text: str) -> Iterator[tuple[int, int]]:
    """Comments, and strings that stand as statements."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    fresh = True
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            span = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
            if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and fresh):
                yield span
            elif token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
                fresh = token.type == tokenize.NEWLINE
    except (tokenize.TokenError, SyntaxError):
        return
