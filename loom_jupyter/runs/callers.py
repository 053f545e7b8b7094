"""Calls elsewhere that a rewrite breaks by a new signature."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loom_jupyter.context.context_map import Rewrite
from loom_jupyter.context.definitions import CALLABLE
from loom_jupyter.edits.signature import broken_calls

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index

_ASKED = re.compile(r"argument|parameter|signature|keyword|default|option|\brename", re.I)


def broken(rewrite: Rewrite, words: str, index: Index) -> str | None:
    """Say which file may call the rewritten function as it was; None if none does, or the words ask for it."""
    target = rewrite.target
    if target.kind not in CALLABLE or not target.symbol or _ASKED.search(words):
        return None
    reason = broken_calls(target.text, rewrite.text)
    if reason is None:
        return None
    users = [path for path in index.naming(target.symbol.rpartition(".")[2]) if path != target.path]
    return f"{reason}, but {users[0]} names it" if users else None
