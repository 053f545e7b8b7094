"""Live variables in words: type, shape, dtypes and columns; values only where they are asked for.

Only objects of Python's own types and of the libraries below are looked into, so that no code of the user's runs.
Whatever such an object does when it is looked at, its name and type are told at least.
"""

from __future__ import annotations

import keyword
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from math import prod
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from loom_jupyter.notebook_state import Variable
from loom_jupyter.secrets import masked

# Text of a user's own: names in it, and a bounded form without secrets.

NAME = re.compile(r"[^\W\d]\w*")
MAX_TEXT = 20_000
"""Characters of a text that are looked at."""


def names(text: str) -> list[str]:
    """Return the identifiers of a text, in order, each once."""
    return list(dict.fromkeys(n for n in NAME.findall(text[:MAX_TEXT]) if not keyword.iskeyword(n)))


def clean(text: str, limit: int) -> str:
    """Mask secrets, then cut to `limit` characters."""
    text = masked(text[:MAX_TEXT])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_lines(text: str, lines: int, limit: int) -> str:
    """Mask secrets and keep the first lines, each cut to `limit` characters."""
    kept = masked(text[:MAX_TEXT]).rstrip().split("\n")
    more = ["…"] if len(kept) > lines else []
    return "\n".join([*(line if len(line) <= limit else line[: limit - 1] + "…" for line in kept[:lines]), *more])


def shared(text: str, wanted: Iterable[str]) -> list[str]:
    """Return those of the wanted names that stand in a text, in the order wanted."""
    found = set(NAME.findall(text[:MAX_TEXT]))
    return [name for name in wanted if name in found]


MOST_COLUMNS, MOST_ITEMS, MOST_DIMENSIONS = 20, 5, 8
NAME_CHARS, VALUE_CHARS = 60, 240
_SAMPLE = 50
_DEEPEST = 2
_FIRST_ROWS, _WIDEST = 3, 1_000
_SHAPED = frozenset({"numpy", "pandas", "polars", "pyarrow", "torch", "jax", "jaxlib", "xarray", "scipy", "cupy"})
_LAZY = frozenset({"LazyFrame", "Dataset"})
_SIZES: Mapping[type, Callable[[Any], int]] = {
    kind: kind.__len__ for kind in (str, bytes, bytearray, list, tuple, dict, set, frozenset, deque, range)
}
_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_BRACKETS: Mapping[type, tuple[str, str]] = {list: ("[", "]"), deque: ("[", "]"), tuple: ("(", ")")}
Place = Callable[[str], str]
"""Tells the path in the workspace of a source file, or nothing."""


def variable(name: str, value: Any, place: Place, *, values: bool = False) -> Variable:
    """Describe a live variable.

    Parameters
    ----------
    place
        Tells where a source file lies in the workspace.
    values
        Tell a short form of the value too, with secrets masked.
    """
    kind = type(value)
    known: dict[str, Any] = {"name": clean(name, NAME_CHARS), "type": type_name(kind)}
    for look in (_defined, _sized, _shaped):
        known |= _looked_at(look, value, place)
    if values:
        known |= _looked_at(_valued, value, place)
    return Variable.model_validate(known)


def _looked_at(look: Callable[[Any, Place], dict[str, Any]], value: Any, place: Place) -> dict[str, Any]:
    try:
        return look(value, place)
    except Exception:  # noqa: BLE001 - an object may do anything when it is looked at; its type is told all the same
        return {}


def type_name(kind: type) -> str:
    """Return the name of a type as one would import it; never runs code of the type's own."""
    module, name = _plain_attribute(kind, "__module__"), _plain_attribute(kind, "__qualname__")
    if kind in (FunctionType, BuiltinFunctionType):
        return "function"
    top = module.partition(".")[0]
    if module in ("builtins", "__main__"):
        return name
    home = sys.modules.get(top)
    if isinstance(home, ModuleType) and ModuleType.__getattribute__(home, "__dict__").get(name) is kind:
        return f"{top}.{name}"
    return clean(f"{module}.{name}" if module else name, NAME_CHARS * 2)


def _plain_attribute(kind: type, name: str) -> str:
    try:
        found = type.__getattribute__(kind, name)
    except AttributeError:
        return ""
    return found if type(found) is str else ""


def _defined(value: Any, place: Place) -> dict[str, Any]:
    """Return where the workspace defines a function, class or module, or the class of an instance."""
    if type(value) is MethodType:  # isinstance() asks the object for its class, which loads a lazy module
        value = value.__func__
    kind = type(value)
    if kind is FunctionType:
        return _at(place(value.__code__.co_filename), value.__qualname__)
    if issubclass(kind, ModuleType):
        return {"type": "module", **_at(place(module_file(value)), "")}
    said = {"type": "type"} if issubclass(kind, type) else {}
    of = value if issubclass(kind, type) else kind
    name = _plain_attribute(of, "__module__")
    home = sys.modules.get(name)
    if isinstance(home, ModuleType) and name != "__main__":
        return {**said, **_at(place(module_file(home)), _plain_attribute(of, "__qualname__"))}
    return dict(said)


def _at(path: str, symbol: str) -> dict[str, Any]:
    return {"path": path, "symbol": symbol} if path else {}


def module_file(module: ModuleType) -> str:
    """Return a module's source file, or nothing; a lazy module stays unloaded."""
    found = ModuleType.__getattribute__(module, "__dict__").get("__file__")
    return found if type(found) is str else ""


def _sized(value: Any, _place: Place) -> dict[str, Any]:
    size = next((count for base, count in _SIZES.items() if base in type(value).__mro__), None)
    if size is None:
        return {}
    known: dict[str, Any] = {"size": size(value)}
    if type(value) in (list, tuple, deque):
        kinds = {type(item) for item in list(value[:_SAMPLE] if type(value) is not deque else value)[:_SAMPLE]}
        if len(kinds) == 1:
            known["dtype"] = type_name(kinds.pop())
    return known


def _shaped(value: Any, _place: Place) -> dict[str, Any]:
    """Read what arrays and tables of the known libraries say of themselves."""
    tops = {_plain_attribute(base, "__module__").partition(".")[0] for base in type(value).__mro__}
    if tops.isdisjoint(_SHAPED) or type(value).__name__ in _LAZY or issubclass(type(value), type):
        return {}
    known: dict[str, Any] = {}
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape):
        known["shape"] = tuple(int(n) for n in shape[:MOST_DIMENSIONS])
    columns = _columns(value)
    if columns:
        return {**known, "columns": columns}
    dtype = getattr(value, "dtype", None)
    return {**known, "dtype": clean(str(dtype), NAME_CHARS)} if dtype is not None else known


def _columns(value: Any) -> tuple[tuple[str, str], ...]:
    schema: Any = getattr(value, "schema", None)
    if hasattr(schema, "names") and hasattr(schema, "types"):  # pyarrow
        names, types = schema.names, schema.types
    else:
        names, types = getattr(value, "columns", None), getattr(value, "dtypes", None)
    if names is None or types is None:
        return ()
    pairs = zip(islice(names, MOST_COLUMNS), islice(types, MOST_COLUMNS), strict=False)
    return tuple((clean(str(name), NAME_CHARS), clean(str(dtype), NAME_CHARS)) for name, dtype in pairs)


def _valued(value: Any, _place: Place) -> dict[str, Any]:
    return {"value": clean(_short(value, 0), VALUE_CHARS)}


def _short(value: Any, depth: int) -> str:
    """Return a bounded form of a value; of a type that is not known, its type alone."""
    kind = type(value)
    if kind in (str, bytes):
        return repr(value[:VALUE_CHARS])
    if kind is int:
        return repr(value) if value.bit_length() < VALUE_CHARS else f"an int of {value.bit_length():,} bits"
    if kind in _PLAIN:
        return repr(value)
    if kind in (list, tuple, set, frozenset, deque, dict):
        return _items(value, depth) if depth < _DEEPEST else "…"
    tops = {_plain_attribute(base, "__module__").partition(".")[0] for base in kind.__mro__}
    if tops.isdisjoint(_SHAPED) or kind.__name__ in _LAZY:
        return f"<{type_name(kind)}>"
    return _rows(value, depth)


def _items(value: Any, depth: int) -> str:
    more = ", …" if len(value) > MOST_ITEMS else ""
    if type(value) is dict:
        pairs = [f"{_short(k, depth + 1)}: {_short(value[k], depth + 1)}" for k in list(value)[:MOST_ITEMS]]
        return "{" + ", ".join(pairs) + more + "}"
    inner = ", ".join(_short(item, depth + 1) for item, _ in zip(value, range(MOST_ITEMS), strict=False)) + more
    opening, closing = _BRACKETS.get(type(value), ("{", "}"))
    return f"{opening}{inner}{closing}"


def _rows(value: Any, depth: int) -> str:
    """Return the first elements or rows of an array or table, as Python values."""
    shape = getattr(value, "shape", ())
    if not shape and hasattr(value, "item"):
        return _short(value.item(), depth + 1)
    if prod(shape[1:]) > _WIDEST:
        return f"<{type_name(type(value))}>"
    first = value[:_FIRST_ROWS]
    for way in ("to_dicts", "to_pylist", "tolist", "to_list"):
        if hasattr(first, way):
            return _short(getattr(first, way)(), depth)
    return _short(first.to_dict("records"), depth)
