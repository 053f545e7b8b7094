"""Earlier cells that belong to a task: those that share its names, or call the functions in question."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, MethodType, ModuleType
from typing import Any

from loom_jupyter.kernel.variables import clean_lines, module_file, shared
from loom_jupyter.notebook_state import Cell

MAX_CELLS, LOOKED_AT = 5, 200
LINES, LINE_CHARS = 12, 160
MOST_CALLS = 8
_LOOM = re.compile(r"\s*%%?(?:loom|load_ext|reload_ext|config)\b")
_OTHER = re.compile(r"\s*%%(?!time\b|timeit\b|capture\b)\w+")


def executed(names: Mapping[str, Any], last: int) -> Iterator[tuple[int, str]]:
    """Yield execution count and source of the cells so far, the newest first."""
    for number in range(last, max(0, last - LOOKED_AT), -1):
        source = names.get(f"_i{number}")
        if type(source) is str and source.strip():
            yield number, source


def earlier(
    cells: Sequence[tuple[int, str]],
    wanted: Sequence[str],
    always: Sequence[int],
    live: Mapping[str, Any],
    place: Callable[[str], str],
) -> tuple[Cell, ...]:
    """Return the cells that share most of the wanted names, newest first among equals.

    Parameters
    ----------
    cells
        Execution count and source, the newest first; of a cell executed twice the newest counts.
    always
        Execution counts of cells that are taken whatever they share.
    live
        The notebook's names, to know which of them are functions of the workspace.
    """
    found: list[tuple[int, Cell]] = []
    seen: set[str] = set()
    for number, source in cells:
        if source in seen or _LOOM.match(source) or (_OTHER.match(source) and number not in always):
            continue
        seen.add(source)
        common = shared(source, wanted)
        if common or number in always:
            cell = Cell(
                number=number,
                source=clean_lines(source, LINES, LINE_CHARS),
                names=tuple(common),
                calls=tuple(_calls(source, live, place))[:MOST_CALLS],
            )
            found.append((len(common) + len(wanted) * (number in always), cell))
    found.sort(key=lambda item: -item[0])  # stable: newest first among equals
    return tuple(cell for _, cell in found[:MAX_CELLS])


def _calls(source: str, live: Mapping[str, Any], place: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Yield path and symbol of the workspace's functions that a cell calls by a live name."""
    python = "\n".join(line for line in source.split("\n") if not line.lstrip().startswith(("%", "!")))
    try:
        tree = ast.parse(python)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    told: set[tuple[str, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (call := _defined(_called(node.func, live), place)) and call not in told:
            told.add(call)
            yield call


def _called(called: ast.expr, live: Mapping[str, Any]) -> Any:
    """Return the live object that ``f``, ``module.f`` or ``variable.f`` names; no attribute is computed."""
    if isinstance(called, ast.Name):
        return live.get(called.id)
    if not (isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)):
        return None
    holder = live.get(called.value.id)
    if issubclass(type(holder), ModuleType):
        return ModuleType.__getattribute__(holder, "__dict__").get(called.attr)
    kind = holder if issubclass(type(holder), type) else type(holder)
    for base in type.__getattribute__(kind, "__mro__"):
        found = type.__getattribute__(base, "__dict__").get(called.attr)
        if found is not None:
            return found
    return None


def _defined(value: Any, place: Callable[[str], str]) -> tuple[str, str] | None:
    """Return path and symbol of a function or class of the workspace."""
    if type(value) in (MethodType, staticmethod, classmethod):
        value = value.__func__
    if type(value) is FunctionType:
        path, symbol = place(value.__code__.co_filename), value.__qualname__
    elif issubclass(type(value), type):
        home = sys.modules.get(type.__getattribute__(value, "__module__"))
        path = place(module_file(home)) if isinstance(home, ModuleType) else ""
        symbol = type.__getattribute__(value, "__qualname__")
    else:
        return None
    return (path, symbol) if path else None
