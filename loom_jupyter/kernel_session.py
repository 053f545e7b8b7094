"""Who tells what the kernel of this process has run: the notebook's side says it, a run asks for it.

A module of its own, because the notebook's side stands above everything that asks, and loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loom_jupyter.checks.cells import Session

_tell: Callable[[Path], Session | None] | None = None


def provide(tell: Callable[[Path], Session | None]) -> None:
    """Let runs of this process ask `tell` for the session of its kernel, as seen from a workspace."""
    global _tell
    _tell = tell


def session(root: Path) -> Session | None:
    """Return what the kernel of this process has run; None where there is none, or Loom is not loaded in it."""
    return _tell(root) if _tell is not None else None
