"""Why a rewrite is refused before any check: what it touches, loses, or needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loom_jupyter import secrets
from loom_jupyter.context.context_map import ADDED, REMOVED, Rewrite
from loom_jupyter.edits.imports import unknown_modules
from loom_jupyter.edits.magics import plain
from loom_jupyter.pipeline.losses import lost
from loom_jupyter.runs import callers
from loom_jupyter.runs.operations import Operation, missed

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index

_PYTHON = (".py", ".pyi", ".pyw", ".ipynb")


def refusal(
    rewrite: Rewrite, words: str, index: Index, operation: Operation | None, *, checked: bool
) -> str | None:
    """Say in one line why a rewrite is refused; None if nothing speaks against it.

    Parameters
    ----------
    words
        The user's, which may ask for what would be refused otherwise.
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
            reason = lost(before, after, words)
        if reason is None and not checked and (fresh := unknown_modules(before, after, index.snapshot.paths)):
            reason = f"imports {fresh[0]}, which is neither installed nor in the workspace"
    if reason is None and not checked:
        reason = callers.broken(rewrite, words, index)
    return reason


def touches_secret(rewrite: Rewrite) -> bool:
    """Whether a mask would be written; lines that the model only repeats stay the file's own."""
    if secrets.MASK not in rewrite.text:
        return False
    kept = set(rewrite.target.text.splitlines())
    return any(secrets.MASK in line and line not in kept for line in rewrite.text.splitlines())
