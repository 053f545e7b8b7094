"""Candidates for one unit, likeliest first: what the model would write if it could not just copy."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from loom_jupyter.context.context_map import ADDED, NEW_SYMBOL, REMOVED, ContextMap, Excerpt, Target, place
from loom_jupyter.models.protocol import Message, Reply, Scorer
from loom_jupyter.pipeline.interfaces import Talk
from loom_jupyter.pipeline.patch import PatchError, fence_around, fenced_code, patched, tag_of
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.restore import only_new, restored
from loom_jupyter.pipeline.search.branch import Candidate
from loom_jupyter.pipeline.search.lines import FREE, Lines, Suspicion
from loom_jupyter.pipeline.search.source import unwritten

# Tokens of a unit that is written as a whole before single lines of it are.
QUICK = 200
# Room for a rewrite beside the unit's own tokens, and for one that is yet to be written.
MARGIN_TOKENS = 200
NEW_TOKENS = 1200
# Characters a token at least, as code goes; what a prompt holds besides the unit; a patch's length and tries.
CHARS = 3.5
PROMPT_TOKENS = 600
PATCH_TOKENS = 500
PATCH_TRIES = 2


class UnitWriter:
    """Writes candidates for one target, from one prompt whose KV cache they share."""

    def __init__(self, talk: Talk, context_map: ContextMap, target: Target) -> None:
        self.talk = talk
        self.target = target
        tag = tag_of(target.path)
        self._fence = fence_around(target.path, target.text)
        self._prefix = f"{self._fence}{tag}\n"
        self._stop = (f"\n{self._fence}",)
        self._name = _name(target)
        self._prompt = render(
            "coder",
            excerpts=[shown(e) for e in context_map.excerpts if e.path == target.path or not target.text],
            target=target,
            place=place(target.path, target.symbol, target.start, target.end),
            tag=tag,
            fence=self._fence,
            name=self._name,
            added=target.kind == NEW_SYMBOL,
        )

    @cached_property
    def _lines(self) -> Lines:
        """What is one line away from the target as it is."""
        seen = Suspicion(self.target)
        return Lines(self.talk, self._messages(), self._prefix, self.target.text, seen, python=self._python)

    def likeliest(self, *, checked: bool) -> list[Candidate]:
        """Return the small changes to try first: the model only scores the unit, and a check judges them."""
        if self._fresh or self.target.kind == REMOVED or self._too_long or not self._lines.scorable:
            return []
        return self._lines.small(checked=checked)[:FREE]

    def others(self, *, checked: bool) -> Iterator[Candidate]:
        """Yield all other candidates, cheapest and likeliest first.

        The greedy rewrite of a short unit unless it would be a copy; single lines, written afresh between those
        around them; then the model's branches and the other small changes by margin; a long unit last.
        """
        if self.target.kind == REMOVED:
            yield Candidate("", "removed", 0.0)
        elif self._too_long:
            yield from self._patches()
            yield from self._lines.small(checked=checked)
        elif self._fresh or not self._lines.scorable:
            yield from self._greedy()
            yield from () if self._fresh else self._lines.small(checked=checked)
        else:
            # A long unit takes long to be written, and the place where it would differ is among the doubts.
            late = checked and self._lines.tokens > QUICK
            greedy = iter(()) if self._lines.copied else self._greedy()
            yield from () if late else greedy
            yield from self._lines.filled() if checked else ()
            yield from self._lines.rest(checked=checked)
            yield from greedy

    def around(self, attempt: str) -> Iterator[Candidate]:
        """Yield what is one line away from an attempt: small changes, then the rest."""
        near = Lines(self.talk, self._messages(), self._prefix, attempt, python=self._python)
        yield from near.small(checked=True)[:FREE]
        yield from near.rest(checked=True)

    def rewrite(self) -> Candidate | None:
        """Return a whole new text, written greedily."""
        return self._read(
            self.talk.ask(self._messages(), self._room(), prefix=self._prefix, stop=self._stop), "rewrite"
        )

    def samples(
        self, temperatures: Sequence[float], prompt: Sequence[Message] | None = None
    ) -> Iterator[Candidate]:
        """Yield whole new texts written by chance, side by side where the model can do that."""
        messages, room, model = prompt or self._messages(), self._room(), self.talk.model
        if isinstance(model, Scorer):
            replies: Iterable[Reply] = model.sample(
                messages,
                temperatures,
                max_tokens=room,
                prefix=self._prefix,
                stop=self._stop,
                cancel=self.talk.cancel,
            )
        else:
            replies = (
                model.chat(
                    messages,
                    max_tokens=room,
                    temperature=temperature,
                    prefix=self._prefix,
                    stop=self._stop,
                    cancel=self.talk.cancel,
                )
                for temperature in temperatures
            )
        for reply in replies:
            self.talk.observer.usage(self.talk.node, reply.usage)
            if candidate := self._read(reply, "sample"):
                yield candidate

    def _read(self, reply: Reply, kind: str) -> Candidate | None:
        code = fenced_code(reply.text, opened=self._fence)
        if not code or reply.finish != "stop":
            return None
        return Candidate(self._fitted(code), kind, 0.0)

    def corrected(self, attempt: str, reason: str, output: str) -> list[Message]:
        """Return the prompt that shows a failed attempt, and what the check said to it."""
        return self._messages(
            {"role": "assistant", "content": f"{self._prefix}{attempt}{self._fence}"},
            {"role": "user", "content": render("repair", reason=reason, output=output, name=self._name)},
        )

    def hinted(self, output: str) -> list[Message]:
        """Return the prompt with what the check said to an attempt; the attempt itself would only be copied."""
        return self.talk.messages(f"{self._prompt}\n\n{render('hint', output=output)}")

    def repair(self, prompt: Sequence[Message], *, temperature: float) -> Candidate | None:
        """Return a rewrite after a failed attempt."""
        if self.target.kind == REMOVED or self._too_long:
            return None
        reply = self.talk.ask(prompt, self._room(), prefix=self._prefix, stop=self._stop, temperature=temperature)
        return self._read(reply, "repair")

    @property
    def unwritten(self) -> bool:
        """Whether there is nothing yet that could be copied."""
        if self.target.kind == REMOVED:
            return False
        return self._fresh or (self._python and unwritten(self.target.text))

    @property
    def _fresh(self) -> bool:
        """Whether something new is written, not the target again."""
        return not self.target.text or self.target.kind in ADDED

    @property
    def _too_long(self) -> bool:
        """Whether the window cannot hold the unit twice: once to be read, once to be written."""
        tokens = 2 * len(self.target.text) / CHARS + PROMPT_TOKENS
        return not self._fresh and tokens > self.talk.model.info.n_ctx

    def _patches(self) -> Iterator[Candidate]:
        """Yield the unit with the model's SEARCH/REPLACE blocks applied; a second try hears what was wrong."""
        more: list[Message] = []
        prompt = render("patch", **shown(self.target), name=self._name)
        for _ in range(PATCH_TRIES):
            reply = self.talk.ask(self.talk.messages(prompt, *more), PATCH_TOKENS)
            try:
                yield Candidate(patched(self.target.text, reply.text), "search and replace", 0.0)
                return
            except PatchError as error:
                self.talk.observer.repaired(self.talk.node, f"the patch cannot be applied: {error}")
                more = [
                    {"role": "assistant", "content": reply.text[:500]},
                    {"role": "user", "content": render("retry_patch", error=str(error))},
                ]

    def _fitted(self, code: str) -> str:
        """Return a reply's code as it can stand in its place, with what it drops without being asked."""
        code = fit(code, self.target.text)
        if not self._python or not self.target.text:
            return code
        if self.target.kind == NEW_SYMBOL:
            return only_new(code, self.target.text)
        return restored(code, self.target.text, self.talk.intent)

    @property
    def _python(self) -> bool:
        return self.target.path.endswith((".py", ".pyi", ".ipynb"))

    def _greedy(self) -> Iterator[Candidate]:
        if candidate := self.rewrite():
            yield candidate

    def _messages(self, *more: Message) -> list[Message]:
        return self.talk.messages(self._prompt, *more)

    def _room(self) -> int:
        if self.unwritten:
            return NEW_TOKENS
        return self.talk.model.count(self.target.text) + MARGIN_TOKENS


def shown(part: Target | Excerpt) -> dict[str, str]:
    """Return what a prompt shows of a part of the map."""
    return {
        "place": place(part.path, part.symbol, part.start, part.end),
        "tag": tag_of(part.path),
        "text": part.text.rstrip(),
    }


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
