"""Modules of the workspace that this kernel has imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from types import FunctionType, ModuleType
from typing import Any

from loom_jupyter.kernel.variables import module_file
from loom_jupyter.notebook_state import Loaded

MAX_MODULES = 300
MOST_NAMES = 5_000
_INSTALLED = {"site-packages", "dist-packages", "node_modules", "__pycache__"}


def placed(root: Path) -> Callable[[str], str]:
    """Return what tells the path in the workspace of a source file; empty for files that lie elsewhere."""
    top = str(root)

    @cache
    def folder(name: str) -> str | None:
        real = os.path.realpath(name)
        if real != top and not real.startswith(top.rstrip(os.sep) + os.sep):
            return None
        inner = Path(real).relative_to(top).as_posix()
        parts = PurePosixPath(inner).parts
        hidden = any(part.startswith(".") for part in parts if part != ".")
        return None if hidden or not _INSTALLED.isdisjoint(parts) else inner

    def place(file: str) -> str:
        if not file or file.startswith("<") or "\0" in file:
            return ""
        head, name = os.path.split(file)
        inner = folder(head or ".")
        return "" if inner is None else (PurePosixPath(inner) / name).as_posix()

    return place


def loaded(place: Callable[[str], str], names: Mapping[str, Any]) -> tuple[Loaded, ...]:
    """Return the workspace's modules that are loaded; first those that a name of the notebook comes from."""
    direct = _homes(names)
    found: dict[str, bool] = {}
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and (path := place(module_file(module))):
            found[path] = found.get(path, False) or name in direct
    ordered = sorted(found.items(), key=lambda item: (not item[1], item[0]))
    return tuple(Loaded(path=path, direct=by_name) for path, by_name in ordered[:MAX_MODULES])


def _homes(names: Mapping[str, Any]) -> set[str]:
    """Return the names of the modules that a notebook's names stand for, or were imported from."""
    homes: set[str] = set()
    for value in list(names.values())[:MOST_NAMES]:
        kind = type(value)
        if kind is FunctionType:
            home = value.__module__
        elif issubclass(kind, ModuleType):
            home = ModuleType.__getattribute__(value, "__dict__").get("__name__")
        elif issubclass(kind, type):
            home = type.__getattribute__(value, "__module__")
        else:
            continue
        if type(home) is str:
            homes.add(home)
    return homes
