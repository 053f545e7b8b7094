"""What a request adds, removes or renames by name: find the unit, make it the target, check the result."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loom_jupyter.context.context_map import (
    NEW_CELL,
    NEW_SYMBOL,
    REMOVED,
    ContextMap,
    Excerpt,
    Offer,
    Rewrite,
    Target,
)
from loom_jupyter.context.intent import Operation

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index


def resolve_operation(asked: Operation | None, index: Index) -> Operation | None:
    """Return an operation that the workspace allows; None if there is none, so that it is an ordinary change.

    What is removed must be defined exactly once, what is added must not be defined yet.
    """
    if asked is None or (asked.kind == "add" and not asked.name):
        return asked
    known = index.defined(asked.name)
    return asked if len(known) == (asked.kind == "remove") else None


def named(asked: Operation, index: Index) -> Sequence[Offer]:
    """Return the one unit that is named: what goes, or what the new one stands behind; none if that is open."""
    found = index.defined(asked.name if asked.kind == "remove" else asked.after)
    return found if len(found) == 1 else ()


def targeted(packed: ContextMap, asked: Operation) -> ContextMap:
    """Make the first target the one that goes, or behind which something new stands; the others may be read."""
    if not packed.targets:
        return packed
    first, *others = packed.targets
    text = first.text
    if asked.kind == "remove":
        kind = REMOVED
    elif first.kind == "cell":
        kind, text, others = NEW_CELL, "", [first, *others]
    elif asked.name:
        kind = NEW_SYMBOL
    else:
        return packed
    targets = (first.model_copy(update={"kind": kind, "text": text}),)
    return packed.model_copy(update={"targets": targets, "excerpts": (*packed.excerpts, *map(readable, others))})


def readable(target: Target) -> Excerpt:
    """Return a target as something to read."""
    return Excerpt(
        path=target.path,
        symbol=target.symbol,
        start=target.start,
        end=target.end,
        text=target.text,
        why="chosen",
        cell=target.cell,
    )


def missed(rewrite: Rewrite, asked: Operation | None) -> str | None:
    """Say why a rewrite is not what was asked to be added; None if it is, or if nothing was."""
    name = asked.name.rpartition(".")[2] if asked is not None else ""
    if rewrite.target.kind == NEW_SYMBOL and not re.search(rf"\b{re.escape(name)}\b", rewrite.text):
        return f"does not define {name}"
    return None


def only_renames(before: str, after: str, names: tuple[str, str]) -> bool:
    """Whether two texts differ by nothing but a new name for one that had it, which no other thing had before."""
    old, new = names
    word = re.compile(rf"\b{re.escape(old)}\b")
    if re.search(rf"\b{re.escape(new)}\b", before) or not word.search(before):
        return False
    return word.sub(new, before) == word.sub(new, after)
