"""Load changed modules of the workspace into the kernel again, and say which objects are still of the old ones."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

_SHOWN = 8


def loaded(root: Path, paths: Iterable[str]) -> list[ModuleType]:
    """Return the modules of this process that were loaded from these files of a workspace."""
    files = {(root / path).resolve() for path in paths}
    return [
        module
        for name, module in list(sys.modules.items())
        if name != "__main__" and (file := getattr(module, "__file__", None)) and Path(file).resolve() in files
    ]


def reload(root: Path, paths: Iterable[str], namespace: Mapping[str, Any]) -> str:
    """Load modules again with IPython's own reloader, which updates functions and classes where they are in use.

    Parameters
    ----------
    paths
        Files of the workspace.
    namespace
        The notebook's variables.

    Returns
    -------
    str
        What was loaded, and which of the variables are still of the old modules.
    """
    modules = loaded(root, paths)
    if not modules:
        return "No module of this kernel comes from the changed files: nothing to reload."
    said, done = [], []
    for module in modules:
        before = dict(vars(module))
        error = _reload(module)
        if error is not None:
            said.append(f"{module.__name__} cannot be loaded again ({type(error).__name__}: {error}).")
            continue
        done.append(module.__name__)
        said += _stale(module, before, namespace)
    head = [f"Reloaded {', '.join(done)}."] if done else []
    left = [f"… and {len(said) - _SHOWN} more."] if len(said) > _SHOWN else []
    return " ".join([*head, *said[:_SHOWN], *left])


def _reload(module: ModuleType) -> Exception | None:
    reloader = import_module("IPython.extensions.autoreload")
    try:
        reloader.superreload(module)
    except Exception as error:  # noqa: BLE001 - whatever a module of the user's raises is told
        return error
    return None


def _stale(module: ModuleType, before: Mapping[str, Any], namespace: Mapping[str, Any]) -> list[str]:
    """Say which variables hold what the old module made."""
    now = vars(module)
    values = {id(old): name for name, old in before.items() if name in now and now[name] is not old}
    gone = {id(old): name for name, old in before.items() if name not in now}
    classes = tuple(kind for kind in _own(module, now) if isinstance(kind, type))
    said = []
    for variable, value in list(namespace.items()):
        if variable.startswith("_") or isinstance(value, ModuleType):
            continue
        if id(value) in gone and _of(module, value):
            said.append(f"`{variable}` is stale: {module.__name__} no longer has {gone[id(value)]}.")
        elif id(value) in values and not _repaired(value, now[values[id(value)]]):
            said.append(
                f"`{variable}` is stale: it is {module.__name__}.{values[id(value)]} as it was; import it again."
            )
        elif classes and type(value) in classes:
            said.append(f"`{variable}` was made by the old {type(value).__name__}: it keeps what that gave it.")
    return said


def _own(module: ModuleType, names: Mapping[str, Any]) -> list[Any]:
    return [value for value in names.values() if _of(module, value)]


def _of(module: ModuleType, value: Any) -> bool:
    return getattr(value, "__module__", module.__name__) == module.__name__


def _repaired(old: Any, new: Any) -> bool:
    """Whether the reloader made the old object do what the new one does."""
    if isinstance(old, FunctionType) and isinstance(new, FunctionType):
        return old.__code__ is new.__code__ and old.__defaults__ == new.__defaults__
    if isinstance(old, type) and isinstance(new, type):
        return old.__name__ == new.__name__
    return type(old) is type(new) and _equal(old, new)


def _equal(old: Any, new: Any) -> bool:
    try:
        return bool(old == new)
    except Exception:  # noqa: BLE001 - arrays and the like cannot say; they are told as stale
        return False
