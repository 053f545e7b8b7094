"""Candidates for one unit, likeliest first: what the model would write if it could not just copy."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from loom_jupyter.context.context_map import ContextMap, Excerpt, Target, place
from loom_jupyter.models.protocol import Message, Scorer, TokenScore, Usage
from loom_jupyter.pipeline.doubts import Candidate, Doubt, doubts, first_divergence, line_candidates
from loom_jupyter.pipeline.fence import fenced_code, tag_of
from loom_jupyter.pipeline.mutations import mutated
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.talk import Talk

BRANCHES = 30
LINE_TOKENS = 60
# Alternatives a token that the model is asked for, and small changes tried before it writes anything.
ALTERNATIVES = 20
FREE = 6
MARGIN_TOKENS = 200


class UnitWriter:
    """Writes candidates for one target, from one prompt whose KV cache they share."""

    def __init__(self, talk: Talk, context_map: ContextMap, target: Target) -> None:
        self.talk = talk
        self.target = target
        tag = tag_of(target.path)
        self._prefix = f"```{tag}\n"
        self._name = _name(target)
        self._prompt = render(
            "coder",
            excerpts=[shown(e) for e in context_map.excerpts if e.path == target.path or not target.text],
            target=target,
            place=place(target.path, target.symbol, target.start, target.end),
            tag=tag,
            name=self._name,
        )

    def candidates(self, *, checked: bool) -> Iterator[Candidate]:
        """Yield candidates, cheapest and likeliest first.

        The greedy rewrite unless it would be a copy; a few small changes that cost the model nothing; then the
        model's branches and the other small changes by margin. Small changes only where a check can judge them.
        """
        if not self.target.text or not isinstance(self.talk.model, Scorer):
            yield from self._greedy()
            yield from self._small([], checked=checked)
            return
        text = self.target.text
        scores, usage = self.talk.model.score(
            self._messages(), text, prefix=self._prefix, top=ALTERNATIVES, cancel=self.talk.cancel
        )
        self.talk.observer.usage(self.talk.node, usage)
        if first_divergence(scores) is not None:
            yield from self._greedy()
        small = self._small(scores, checked=checked)
        yield from small[:FREE]
        branches = self._branches(self.talk.model, doubts(text, scores, BRANCHES, python=self._python))
        yield from sorted([*branches, *small[FREE:]], key=_likeliest)

    def repair(self, attempt: str, reason: str, output: str, temperature: float) -> Candidate | None:
        """Return a rewrite after a failed attempt, with what the check said."""
        reply = self.talk.ask(
            self._messages(
                {"role": "assistant", "content": f"{self._prefix}{attempt}```"},
                {
                    "role": "user",
                    "content": render("repair", reason=reason, output=output, name=self._name),
                },
            ),
            self._room(),
            prefix=self._prefix,
            stop=("\n```",),
            temperature=temperature,
        )
        code = fenced_code(reply.text, opened=True)
        return Candidate(fit(code, self.target.text), "repair", 0.0) if code else None

    @property
    def _python(self) -> bool:
        return self.target.path.endswith((".py", ".pyi", ".ipynb"))

    def _small(self, scores: Sequence[TokenScore], *, checked: bool) -> list[Candidate]:
        """Return small changes, likeliest first; none where no check can judge them."""
        return sorted(mutated(self.target.text, scores) if self._python and checked else [], key=_likeliest)

    def _greedy(self) -> Iterator[Candidate]:
        reply = self.talk.ask(self._messages(), self._room(), prefix=self._prefix, stop=("\n```",))
        code = fenced_code(reply.text, opened=True)
        if code and reply.finish == "stop":
            yield Candidate(fit(code, self.target.text), "rewrite", 0.0)

    def _branches(self, model: Scorer, found: list[Doubt]) -> Iterator[Candidate]:
        by_branch = {doubt.branch: doubt for doubt in found}
        continuations = model.branch(
            self._messages(),
            self.target.text,
            list(by_branch),
            prefix=self._prefix,
            max_tokens=LINE_TOKENS,
            cancel=self.talk.cancel,
        )
        used = Usage()
        for continuation in continuations:
            used += continuation.usage
            if continuation.finish != "length":
                self.talk.observer.text(self.talk.node, f"… {continuation.text.strip()}\n")
                yield from line_candidates(self.target.text, by_branch[continuation.branch], continuation.text)
        self.talk.observer.usage(self.talk.node, used)

    def _messages(self, *more: Message) -> list[Message]:
        return self.talk.messages(self._prompt, *more)

    def _room(self) -> int:
        if not self.target.text:
            return 1500
        return self.talk.model.count(self.target.text) + MARGIN_TOKENS


def shown(part: Target | Excerpt) -> dict[str, str]:
    """Return what a prompt shows of a part of the map."""
    return {
        "place": place(part.path, part.symbol, part.start, part.end),
        "tag": tag_of(part.path),
        "text": part.text.rstrip(),
    }


def _likeliest(candidate: Candidate) -> float:
    return -candidate.margin


def fit(code: str, original: str) -> str:
    """Give rewritten code the indentation of the unit that it replaces."""
    wanted = _indent(original)
    return code if _indent(code) == wanted else textwrap.indent(textwrap.dedent(code), wanted)


def _indent(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return first[: len(first) - len(first.lstrip())]


def _name(target: Target) -> str:
    if target.cell is not None and target.symbol is None:
        return "cell"
    return f"{target.symbol}" if target.symbol else target.path
