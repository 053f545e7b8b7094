"""Why a rewrite is refused before any check: what it touches, loses, or needs."""

from __future__ import annotations

import ast
import functools
import textwrap
from typing import TYPE_CHECKING

from loom_jupyter import secrets
from loom_jupyter.context.context_map import ADDED, REMOVED, Rewrite
from loom_jupyter.context.definitions import CALLABLE, Function, definitions, empty
from loom_jupyter.context.intent import Operation, RequestIntent
from loom_jupyter.edits.imports import unknown_modules
from loom_jupyter.edits.syntax import plain
from loom_jupyter.gate.gate import broken_calls
from loom_jupyter.gate.operation import missed

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index

# What a rewrite of a Python unit leaves out: definitions, and the bodies of functions.


def lost(before: str, after: str, intent: RequestIntent) -> str | None:
    """Say in one line what is left out; None if nothing is, or the user's words may mean it."""
    if intent.asks_for_removal:
        return None
    old, new = _defined(before), _defined(after)
    if not old or not new:
        return None
    for name, is_empty in new.items():
        if is_empty and old.get(name) is False:
            return f"leaves {name} empty"
    # The unit's own name may be written afresh; what stood within it may not go.
    gone = [name for name in old if name not in new and ("." in name or len(old) > 1)]
    return f"leaves out {gone[0]}" if gone and not set(new) - set(old) else None


# The unit as it was is looked at for every candidate.
@functools.lru_cache(maxsize=16)
def _defined(text: str) -> dict[str, bool]:
    """Return qualified names of functions and classes, and whether their body is empty."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError):
        return {}
    return {name: isinstance(node, Function) and empty(node) for name, node in definitions(tree)}


# Calls elsewhere that a rewrite breaks by a new signature.


def broken(rewrite: Rewrite, intent: RequestIntent, index: Index) -> str | None:
    """Say which file may call the rewritten function as it was; None if none does, or the words ask for it."""
    target = rewrite.target
    if target.kind not in CALLABLE or not target.symbol or intent.asks_about_signature:
        return None
    reason = broken_calls(target.text, rewrite.text)
    if reason is None:
        return None
    users = [path for path in index.naming(target.symbol.rpartition(".")[2]) if path != target.path]
    return f"{reason}, but {users[0]} names it" if users else None


_PYTHON = (".py", ".pyi", ".pyw", ".ipynb")


def refusal(
    rewrite: Rewrite, intent: RequestIntent, index: Index, operation: Operation | None, *, checked: bool
) -> str | None:
    """Say in one line why a rewrite is refused; None if nothing speaks against it.

    Parameters
    ----------
    intent
        Of the user's words, which may ask for what would be refused otherwise.
    checked
        False where no check judges it: then calls elsewhere and imports are looked at, too.
    """
    if touches_secret(rewrite):
        return "changes a line that holds a secret, which no model sees"
    reason = missed(rewrite, operation)
    if reason is None and rewrite.target.path.endswith(_PYTHON):
        before, after = rewrite.target.text, rewrite.text
        if rewrite.target.cell is not None:
            before, after = plain(before), plain(after)
        if rewrite.target.kind not in (*ADDED, REMOVED):
            reason = lost(before, after, intent)
        if reason is None and not checked and (fresh := unknown_modules(before, after, index.snapshot.paths)):
            reason = f"imports {fresh[0]}, which is neither installed nor in the workspace"
    if reason is None and not checked:
        reason = broken(rewrite, intent, index)
    return reason


def touches_secret(rewrite: Rewrite) -> bool:
    """Whether a mask would be written; lines that the model only repeats stay the file's own."""
    if secrets.MASK not in rewrite.text:
        return False
    kept = set(rewrite.target.text.splitlines())
    return any(secrets.MASK in line and line not in kept for line in rewrite.text.splitlines())
