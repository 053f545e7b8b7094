"""What is one line away from a text: small changes, lines written afresh, branches at the model's doubts."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from loom_jupyter.context.context_map import Target
from loom_jupyter.models.protocol import Filler, Message, Scorer, TokenScore, Usage
from loom_jupyter.pipeline.interfaces import Talk
from loom_jupyter.pipeline.search.branch import (
    PER_TOKEN,
    Candidate,
    Doubt,
    doubts,
    first_divergence,
    gaps_at,
    line_candidates,
)
from loom_jupyter.pipeline.search.mutate import mutated
from loom_jupyter.pipeline.search.source import Undocumented, undocumented

# Which statements of a unit the failing tests executed: a repair elsewhere cannot help them.

# What a change to a statement that no failing test executes loses, as a log-probability: it comes last, not never,
# because a trace may miss a line.
UNEXECUTED = 6.0


@dataclass(frozen=True, slots=True)
class _Span:
    """A statement's own lines (of a block only its head), 0-based, the last included."""

    first: int
    last: int
    executed: bool


class Suspicion:
    """Puts candidates in order, those last that change nothing which the failing tests executed."""

    def __init__(self, target: Target) -> None:
        self._before = target.text.splitlines()
        self._spans = _spans(target) if target.executed else []

    def ordered(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return candidates, likeliest first."""
        return sorted(candidates, key=lambda c: self._loss(c) - c.margin)

    def _loss(self, candidate: Candidate) -> float:
        return self.loss(self._first_changed(candidate.text)) if self._spans else 0.0

    def loss(self, line: int) -> float:
        """Return what a change of this line (0-based, of the unit) loses."""
        near = [s for s in self._spans if s.first <= line <= s.last]
        # A line between two statements belongs to either.
        near = (
            near or [s for s in self._spans if s.last < line][-1:] + [s for s in self._spans if s.first > line][:1]
        )
        return 0.0 if any(s.executed for s in near) or not near else UNEXECUTED

    def _first_changed(self, text: str) -> int:
        after = text.splitlines()
        for n, (old, new) in enumerate(zip(self._before, after, strict=False)):
            if old != new:
                return n
        return min(len(self._before), len(after))


def _spans(target: Target) -> list[_Span]:
    """Return the statements of a function's body; its head is executed when it is defined, which no test shows."""
    try:
        tree = ast.parse(textwrap.dedent(target.text))
    except (SyntaxError, ValueError):
        return []
    lines = {line - target.start for line in target.executed}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or isinstance(node, _DEFINITIONS) or _says(node):
            continue
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        if inner := getattr(node, "body", None):
            last = max(first, inner[0].lineno - 2)
        found.append(_Span(first, last, any(first <= line <= last for line in lines)))
    return sorted(found, key=lambda s: (s.first, s.last))


_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _says(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, which nothing executes."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


# Alternatives a token that the model is asked for, and small changes tried before it writes anything.
ALTERNATIVES = 20
FREE = 20
BRANCHES = 30
LINE_TOKENS = 60
# Lines that are written afresh, and characters that may be read for them: each needs what stands behind it.
FILLS = 12
FILL_READING = 7000


class Lines:
    """Looks at a text as if it were the reply to a prompt.

    Parameters
    ----------
    messages, prefix
        The prompt, and how its reply begins.
    seen
        What the failing tests executed of the text; None where that is not known.
    """

    def __init__(
        self,
        talk: Talk,
        messages: Sequence[Message],
        prefix: str,
        text: str,
        seen: Suspicion | None = None,
        *,
        python: bool,
    ) -> None:
        self._talk, self._messages, self._prefix, self._text = talk, messages, prefix, text
        self._seen, self._python = seen, python
        self._told = undocumented(text) if python else Undocumented(text)

    @property
    def scorable(self) -> bool:
        """Whether the model can say how likely it finds a text."""
        return isinstance(self._talk.model, Scorer)

    @property
    def tokens(self) -> int:
        """How many tokens of the text were scored."""
        return len(self._scores)

    @property
    def copied(self) -> bool:
        """Whether the model, written greedily, would only repeat the text."""
        return bool(self._scores) and first_divergence(self._scores) is None

    def small(self, *, checked: bool) -> list[Candidate]:
        """Return small changes, likeliest first; none where no check can judge them."""
        return self._changes if self._python and checked else []

    def filled(self) -> Iterator[Candidate]:
        """Yield the text with one line written afresh by a model that does not see the old one: it cannot copy."""
        model = self._talk.model
        if not isinstance(model, Filler):
            return
        gaps = gaps_at(self._text, [doubt.start for doubt in self._doubts], FILLS, FILL_READING)
        replies = model.infill(
            [(before, behind) for before, _, behind in gaps], max_tokens=LINE_TOKENS, cancel=self._talk.cancel
        )
        used = Usage()
        for (before, old, behind), reply in zip(gaps, replies, strict=False):
            used += reply.usage
            new = reply.text.rstrip()
            if reply.finish == "stop" and new.strip() and new != old:
                self._tell(new)
                yield Candidate(before + new + behind, "filled line", 0.0)
        self._talk.observer.usage(self._talk.node, used)

    def rest(self, *, checked: bool) -> Iterator[Candidate]:
        """Yield the model's branches, and the small changes behind the first `FREE`, likeliest first."""
        yield from self._ordered([*self._branches(), *self.small(checked=checked)[FREE:]])

    @cached_property
    def _scores(self) -> list[TokenScore]:
        """The scores of the text's tokens, with their offsets in it.

        It is scored without its docstring, in which nothing is to be changed and which would be read twice.
        """
        model = self._talk.model
        if not isinstance(model, Scorer):
            return []
        scores, usage = model.score(
            self._messages, self._told.text, prefix=self._prefix, top=ALTERNATIVES, cancel=self._talk.cancel
        )
        self._talk.observer.usage(self._talk.node, usage)
        return self._told.placed(scores)

    @cached_property
    def _changes(self) -> list[Candidate]:
        return self._ordered(mutated(self._text, self._scores))

    @cached_property
    def _doubts(self) -> list[Doubt]:
        """The model's doubts, strongest first, those that failing tests execute before all others."""
        found = doubts(self._text, self._scores, self.tokens * PER_TOKEN, python=self._python)
        seen = self._seen
        if seen is not None:
            found.sort(key=lambda d: seen.loss(self._text.count("\n", 0, d.start)) - d.margin)
        return found

    def _ordered(self, found: Sequence[Candidate]) -> list[Candidate]:
        if self._seen is not None:
            return self._seen.ordered(found)
        return sorted(found, key=lambda candidate: -candidate.margin)

    def _branches(self) -> Iterator[Candidate]:
        """Yield what the model would write from its strongest doubts on, to the end of their lines."""
        model = self._talk.model
        if not isinstance(model, Scorer):
            return
        by_branch = {doubt.branch: doubt for doubt in self._doubts[:BRANCHES]}
        continuations = model.branch(
            self._messages,
            self._told.text,
            list(by_branch),
            prefix=self._prefix,
            max_tokens=LINE_TOKENS,
            cancel=self._talk.cancel,
        )
        used = Usage()
        for continuation in continuations:
            used += continuation.usage
            if continuation.finish != "length":
                self._tell(continuation.text)
                yield from line_candidates(self._text, by_branch[continuation.branch], continuation.text)
        self._talk.observer.usage(self._talk.node, used)

    def _tell(self, line: str) -> None:
        self._talk.observer.text(self._talk.node, f"… {line.strip()}\n")
