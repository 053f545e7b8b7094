"""Loom: a coding assistant for Jupyter that makes small local models do real work.

Importing this package is cheap: `Loom` and everything heavy behind it load on first use.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Loom", "__version__", "load_ipython_extension"]

logging.getLogger(__name__).addHandler(logging.NullHandler())  # who wants a log, asks for one

if TYPE_CHECKING:
    from loom_jupyter.loom import Loom


def __getattr__(name: str) -> Any:
    if name == "Loom":
        from loom_jupyter.loom import Loom

        return Loom
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(ipython: Any) -> None:
    """Register ``%loom`` and ``%%loom`` (called by ``%load_ext loom_jupyter``)."""
    from loom_jupyter.kernel.magics import register

    register(ipython)
