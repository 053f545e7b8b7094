"""What the user's words ask to be added or removed by name; read strictly, all else is a change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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
from loom_jupyter.context.terms import STOP

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index

_KIND = r"(?:function|method|class|helper|constant|test|definition|generator|dataclass|enum|subclass)"
_NAME = r"`?([A-Za-z_][\w.]*)(?:\(\)|\([^()\n]*\))?`?"
_ADD = re.compile(
    rf"\s*(?:please\s+|(?:can|could)\s+you\s+)?"
    rf"(?:add|write|implement|define|introduce|insert|give\s+(?:me|us))\s+(?:me\s+|us\s+)?(?:an?|another|the|one)?\s*"
    rf"(?:(?:new|small|simple|private|public|static|helper|utility|python)\s+)*{_KIND}\s+"
    rf"(?P<said>(?:called|named)\s+)?(?P<name>{_NAME})",
    re.I,
)
_CELL = re.compile(
    r"\s*(?:please\s+)?(?:add|insert|append|write)\s+(?:an?|another|one|the)?\s*(?:new\s+)?(?:code\s+)?cell\b",
    re.I,
)
_BESIDE = re.compile(
    rf"\b(?:beside|besides|next\s+to|after|below|under(?:neath)?|behind|near|alongside|following)\s+"
    rf"(?:the\s+)?(?:{_KIND}\s+)?{_NAME}",
    re.I,
)
_REMOVE = re.compile(
    rf"\s*(?:please\s+)?(?:remove|delete|drop|get\s+rid\s+of)\s+(?:the\s+)?"
    rf"(?:(?:unused|obsolete|old|dead|deprecated|superfluous)\s+)*"
    rf"(?:{_KIND}\s+{_NAME}|{_NAME}\s+{_KIND})"
    rf"(?:\s+(?:from|in|of)\s+(?:the\s+)?(?:file\s+|module\s+)?`?[\w./-]++`?)?\s*+[.!]?\s*+",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One unit to be added or removed.

    Attributes
    ----------
    name
        Of that unit, as it was written; empty for a notebook's cell.
    beside
        Name of the unit after which a new one is to stand; empty if that was not said.
    """

    kind: Literal["add", "remove"]
    name: str = ""
    beside: str = ""


def operation(words: str) -> Operation | None:
    """Return what a request asks to be added or removed; None if it asks for something else or for more."""
    if _CELL.match(words):
        return Operation("add")
    if removed := _REMOVE.fullmatch(words):
        return Operation("remove", removed[1] or removed[2])
    added = _ADD.match(words)
    if added is None or not (added["said"] or _is_name(added["name"])):
        return None
    beside = _BESIDE.search(words, added.end())
    return Operation("add", added[3], beside[1] if beside else "")


def _is_name(word: str) -> bool:
    """Whether a word after “a function” is its name: “that”, “to” and “returning” are not."""
    return bool(re.search(r"[`(_.]|[a-z][A-Z]", word)) or (word.lower() not in STOP and not word.endswith("ing"))


def settled(words: str, index: Index) -> Operation | None:
    """Return what is asked to be added or removed by name, where the workspace allows it.

    What is to go must be defined once, what is to come not yet; all else is a change of what is there.
    """
    asked = operation(words)
    if asked is None or (asked.kind == "add" and not asked.name):
        return asked
    known = index.defined(asked.name)
    return asked if len(known) == (asked.kind == "remove") else None


def named(asked: Operation, index: Index) -> Sequence[Offer]:
    """Return the one unit that is named: what goes, or what the new one stands behind; none if that is open."""
    found = index.defined(asked.name if asked.kind == "remove" else asked.beside)
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
