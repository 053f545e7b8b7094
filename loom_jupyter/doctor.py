"""The self-test: what Loom needs, and what to do where it is missing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

Row = tuple[str, bool, str]


def examine(root: Path, folder: Path, model: str | None) -> list[Row]:
    """Return name, whether it is fine, and what was found or what to do.

    Parameters
    ----------
    root, folder
        The workspace and its data folder.
    model
        Catalogue name, GGUF path or URL; None for the default.
    """
    return [
        ("Python", sys.version_info >= (3, 11), sys.version.split()[0]),
        _llama(),
        ("git", shutil.which("git") is not None, shutil.which("git") or "install git for history evidence"),
        ("workspace", True, str(root)),
        ("data folder", True, str(folder)),
        _model(model),
        _checks(),
    ]


def _llama() -> Row:
    from loom_jupyter.models.build import installed
    from loom_jupyter.models.device import unused_gpu

    hint = unused_gpu() if installed() else 'pip install "loom-jupyter[local]"'
    return "llama-cpp-python", not hint, hint or "found"


def _model(name: str | None) -> Row:
    from loom_jupyter.models.catalogue import is_url
    from loom_jupyter.models.fetch import cached

    if name is not None and is_url(name):
        return "model", True, f"the server at {name}"
    path = cached(name)
    return "model", path is not None, str(path) if path else "will be downloaded on first use"


def _checks() -> Row:
    from loom_jupyter.edits.checks.check import not_isolated

    held = "isolated: without network, your files read-only or hidden (docs/checks.md)"
    return "checks run", True, not_isolated() or held
