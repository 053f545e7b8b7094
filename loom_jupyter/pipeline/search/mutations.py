"""Small changes that real faults are often mended by: a comparison, a bound, a sign, a name, a missing call.

A model's own doubts name places that it finds odd; these cover the slips that look perfectly normal. They need no
model to write them, and the model's log-probabilities put them in order beside its own candidates.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence

from loom_jupyter.models.protocol import TokenScore
from loom_jupyter.pipeline.search import slips
from loom_jupyter.pipeline.search.doubts import Candidate
from loom_jupyter.pipeline.search.slips import Mutation
from loom_jupyter.pipeline.search.source import Source

# What a token that the model did not even list among its alternatives is taken to be worth.
UNLISTED = 2.0
# A token that is not known at all.
UNKNOWN = -20.0


def mutations(text: str) -> list[Mutation]:
    """Return the small changes that a Python unit allows, in order of place; none if it does not parse."""
    shift = len(text) - len(text.lstrip(" \t")) if text[:1] in " \t" else 0
    dedented = textwrap.dedent(text)
    try:
        tree = ast.parse(dedented)
    except (SyntaxError, ValueError):
        return []
    found: dict[tuple[int, int, str], Mutation] = {}
    for change in slips.of(tree, Source(text, dedented, shift)):
        key = change.start, change.end, change.new
        if text[change.start : change.end] != change.new and (key not in found or change.prior > found[key].prior):
            found[key] = change
    return [found[key] for key in sorted(found)]


def mutated(text: str, scores: Sequence[TokenScore]) -> list[Candidate]:
    """Return the unit with each mutation, and the margin that the model's scores give it."""
    found = []
    for change in mutations(text):
        margin, listed = _margin(change, text, scores)
        if listed or not change.listed:
            whole = text[: change.start] + change.new + text[change.end :]
            found.append(Candidate(whole, "small change", margin + change.prior))
    return found


def _margin(change: Mutation, text: str, scores: Sequence[TokenScore]) -> tuple[float, bool]:
    """What the model loses by the new token, and whether it listed it."""
    token = next((s for s in reversed(scores) if s.start <= change.start), None)
    if token is None:
        return UNKNOWN, False
    wanted = (change.new + text[change.end : change.end + 20]).strip()
    for other in token.alternatives:
        said = other.text.strip()
        if said and (wanted.startswith(said) or (change.new and said.startswith(change.new.strip()))):
            return other.logprob - token.logprob, True
    least = min((other.logprob for other in token.alternatives), default=-10.0)
    return least - token.logprob - UNLISTED, False
