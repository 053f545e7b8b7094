"""The self-test: what Loom needs, and what to do where it is missing."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

Row = tuple[str, bool, str]
# How Linux names the instruction sets that llama.cpp can be built for.
VECTORS = ("sse4", "ssse3", "avx", "amx", "fma", "f16c", "bmi2", "asimd", "sve", "i8mm", "bf16")


def examine(root: Path, folder: Path, model: str | None) -> list[Row]:
    """Return name, whether it is fine, and what was found or what to do.

    Parameters
    ----------
    root, folder
        The workspace and its data folder.
    model
        Catalog name, GGUF path or URL; None for the default.
    """
    return [
        ("Python", sys.version_info >= (3, 11), sys.version.split()[0]),
        *_llama(),
        ("git", shutil.which("git") is not None, shutil.which("git") or "install git for history evidence"),
        ("workspace", True, str(root)),
        ("data folder", True, str(folder)),
        _model(model),
        _checks(),
    ]


def _llama() -> list[Row]:
    """Decode with llama.cpp, in a process of its own, and tell what it is made of."""
    from loom_jupyter.models import probe
    from loom_jupyter.models.build import installed
    from loom_jupyter.models.device import unused_gpu
    from loom_jupyter.models.protocol import PREBUILT, ModelError

    name, processor = "llama-cpp-python", ("processor", True, _instructions(probe.processor_flags()))
    if not installed():
        hint = f'pip install "loom-jupyter[local]", or without compiling: {PREBUILT[0]} (or: {PREBUILT[1]})'
        return [(name, False, hint), processor]
    try:
        found = probe.examine()
    except ModelError as error:
        return [(name, False, str(error)), processor]
    if found is None:
        slow = f"a small test model took longer than {probe.LIMIT:.0f} s; try again when the machine is idle"
        return [(name, False, slow), processor]
    hint = unused_gpu()
    build = f"{found.recipe or 'not built by Loom'}: {', '.join(found.features)}"
    return [(name, not hint, hint or found.summary), ("llama.cpp build", True, build), processor]


def _instructions(flags: frozenset[str]) -> str:
    """Name the instruction sets that matter for computing."""
    known = sorted(flag for flag in flags if flag.startswith(VECTORS))
    return f"{platform.machine()}: {', '.join(known) or 'the system does not say which instruction sets it has'}"


def _model(name: str | None) -> Row:
    from loom_jupyter.models.catalog import is_url
    from loom_jupyter.models.download import cached

    if name is not None and is_url(name):
        return "model", True, f"the server at {name}"
    path = cached(name)
    return "model", path is not None, str(path) if path else "will be downloaded on first use"


def _checks() -> Row:
    from loom_jupyter.checks.command import not_isolated

    held = "isolated: without network, your files read-only or hidden (docs/checks.md)"
    return "checks run", True, not_isolated() or held
