"""Candidates for one unit, likeliest first: what the model would write if it could not just copy."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from loom_jupyter.context.context_map import ADDED, NEW_SYMBOL, REMOVED, ContextMap, Excerpt, Target, place
from loom_jupyter.models.protocol import Message, Model, Reply, Scorer, TokenScore, Usage
from loom_jupyter.pipeline.doubts import Candidate, Doubt, doubts, first_divergence, line_candidates
from loom_jupyter.pipeline.fence import fenced_code, tag_of
from loom_jupyter.pipeline.mutations import mutated
from loom_jupyter.pipeline.patch import PatchError, patched
from loom_jupyter.pipeline.prompts import render
from loom_jupyter.pipeline.restore import only_new, restored
from loom_jupyter.pipeline.stubs import unwritten
from loom_jupyter.pipeline.talk import Talk

BRANCHES = 30
LINE_TOKENS = 60
# Alternatives a token that the model is asked for, and small changes tried before it writes anything.
ALTERNATIVES = 20
FREE = 20
# Room for a rewrite beside the unit's own tokens, and for one that is yet to be written.
MARGIN_TOKENS = 200
NEW_TOKENS = 1200
STOP = ("\n```",)
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
        self._prefix = f"```{tag}\n"
        self._name = _name(target)
        self._prompt = render(
            "coder",
            excerpts=[shown(e) for e in context_map.excerpts if e.path == target.path or not target.text],
            target=target,
            place=place(target.path, target.symbol, target.start, target.end),
            tag=tag,
            name=self._name,
            added=target.kind == NEW_SYMBOL,
        )

    def candidates(self, *, checked: bool) -> Iterator[Candidate]:
        """Yield candidates, cheapest and likeliest first.

        Some small changes, which cost the model nothing, where a check can judge them; the greedy rewrite unless
        it would be a copy; then the model's branches and the other small changes by margin.
        """
        if self.target.kind == REMOVED:
            yield Candidate("", "removed", 0.0)
            return
        if self._too_long:
            yield from self._patches()
            yield from self._small(self.target.text, [], checked=checked)
            return
        if self._fresh or not isinstance(self.talk.model, Scorer):
            yield from self._greedy()
            yield from () if self._fresh else self._small(self.target.text, [], checked=checked)
            return
        text = self.target.text
        scores = self._scores(self.talk.model, text)
        greedy = self._greedy() if first_divergence(scores) is not None else ()
        yield from self._around(self.talk.model, text, scores, greedy, checked=checked)

    def around(self, attempt: str) -> Iterator[Candidate]:
        """Yield what is one line away from an attempt, as `candidates` does for the unit as it is."""
        model = self.talk.model
        scores = self._scores(model, attempt) if isinstance(model, Scorer) else []
        yield from self._around(model, attempt, scores, (), checked=True)

    def rewrite(self) -> Candidate | None:
        """Return a whole new text, written greedily."""
        return self._read(self.talk.ask(self._messages(), self._room(), prefix=self._prefix, stop=STOP), "rewrite")

    def samples(
        self, temperatures: Sequence[float], prompt: Sequence[Message] | None = None
    ) -> Iterator[Candidate]:
        """Yield whole new texts written by chance, side by side where the model can do that."""
        messages, room, model = prompt or self._messages(), self._room(), self.talk.model
        if isinstance(model, Scorer):
            replies: Iterable[Reply] = model.sample(
                messages, temperatures, max_tokens=room, prefix=self._prefix, stop=STOP, cancel=self.talk.cancel
            )
        else:
            replies = (
                model.chat(
                    messages,
                    max_tokens=room,
                    temperature=temperature,
                    prefix=self._prefix,
                    stop=STOP,
                    cancel=self.talk.cancel,
                )
                for temperature in temperatures
            )
        for reply in replies:
            self.talk.observer.usage(self.talk.node, reply.usage)
            if candidate := self._read(reply, "sample"):
                yield candidate

    def _read(self, reply: Reply, kind: str) -> Candidate | None:
        code = fenced_code(reply.text, opened=True)
        if not code or reply.finish != "stop":
            return None
        return Candidate(self._fitted(code), kind, 0.0)

    def corrected(self, attempt: str, reason: str, output: str) -> list[Message]:
        """Return the prompt that shows a failed attempt, and what the check said to it."""
        return self._messages(
            {"role": "assistant", "content": f"{self._prefix}{attempt}```"},
            {"role": "user", "content": render("repair", reason=reason, output=output, name=self._name)},
        )

    def hinted(self, output: str) -> list[Message]:
        """Return the prompt with what the check said to an attempt; the attempt itself would only be copied."""
        return self.talk.messages(f"{self._prompt}\n\n{render('hint', output=output)}")

    def repair(self, prompt: Sequence[Message], *, temperature: float) -> Candidate | None:
        """Return a rewrite after a failed attempt."""
        if self.target.kind == REMOVED or self._too_long:
            return None
        reply = self.talk.ask(prompt, self._room(), prefix=self._prefix, stop=STOP, temperature=temperature)
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
        return restored(code, self.target.text, self.talk.request)

    @property
    def _python(self) -> bool:
        return self.target.path.endswith((".py", ".pyi", ".ipynb"))

    def _scores(self, model: Scorer, text: str) -> list[TokenScore]:
        scores, usage = model.score(
            self._messages(), text, prefix=self._prefix, top=ALTERNATIVES, cancel=self.talk.cancel
        )
        self.talk.observer.usage(self.talk.node, usage)
        return scores

    def _around(
        self, model: Model, text: str, scores: Sequence[TokenScore], greedy: Iterable[Candidate], *, checked: bool
    ) -> Iterator[Candidate]:
        small = self._small(text, scores, checked=checked)
        yield from small[:FREE]
        yield from greedy
        branches: Iterable[Candidate] = ()
        if scores and isinstance(model, Scorer):
            branches = self._branches(model, text, doubts(text, scores, BRANCHES, python=self._python))
        yield from sorted([*branches, *small[FREE:]], key=_likeliest)

    def _small(self, text: str, scores: Sequence[TokenScore], *, checked: bool) -> list[Candidate]:
        """Return small changes, likeliest first; none where no check can judge them."""
        if not (self._python and checked):
            return []
        return sorted(mutated(text, scores), key=_likeliest)

    def _greedy(self) -> Iterator[Candidate]:
        if candidate := self.rewrite():
            yield candidate

    def _branches(self, model: Scorer, text: str, found: list[Doubt]) -> Iterator[Candidate]:
        by_branch = {doubt.branch: doubt for doubt in found}
        continuations = model.branch(
            self._messages(),
            text,
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
                yield from line_candidates(text, by_branch[continuation.branch], continuation.text)
        self.talk.observer.usage(self.talk.node, used)

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
