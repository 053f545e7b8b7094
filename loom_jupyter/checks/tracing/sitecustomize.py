"""Start of every Python process of a traced check: hook into unittest, then do what the user's own file does."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import PathFinder


def _users_own() -> None:
    """Run the ``sitecustomize`` that this one hides."""
    here = os.path.dirname(__file__)  # noqa: PTH120 (importing pathlib costs every process time)
    spec = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry != here])
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if "LOOM_TRACE_DIR" in os.environ:
    _words = " ".join(sys.orig_argv)
    if "test" in _words and "pytest" not in _words and "py.test" not in _words:
        import loom_tracer  # type: ignore[import-not-found]

        loom_tracer.watch_unittest()

_users_own()
