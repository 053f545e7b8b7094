"""What is one line away from a text: small changes, lines written anew, branches at the model's doubts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from loom_jupyter.models.protocol import Filler, Message, Scorer, TokenScore, Usage
from loom_jupyter.pipeline.search.doubts import (
    PER_TOKEN,
    Candidate,
    Doubt,
    doubts,
    first_divergence,
    gaps_at,
    line_candidates,
)
from loom_jupyter.pipeline.search.mutations import mutated
from loom_jupyter.pipeline.search.source import Undocumented, undocumented
from loom_jupyter.pipeline.search.suspicion import Suspicion
from loom_jupyter.pipeline.talk import Talk

# Alternatives a token that the model is asked for, and small changes tried before it writes anything.
ALTERNATIVES = 20
FREE = 20
BRANCHES = 30
LINE_TOKENS = 60
# Lines that are written anew, and characters that may be read for them: each needs what stands behind it.
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
        """Yield the text with one line written anew by a model that does not see the old one: it cannot copy."""
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
