"""Imports that a rewrite forgot: names of the standard library that it uses and nothing defines."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import textwrap
from collections.abc import Iterable, Set
from itertools import takewhile

from loom_jupyter.edits.syntax import newly_undefined
from loom_jupyter.edits.text import split_lines

# What people write without naming its module; each is in one well-known place only.
_FROM = {
    name: module
    for module, names in {
        "abc": "ABC abstractmethod",
        "collections": "Counter OrderedDict defaultdict deque namedtuple",
        "collections.abc": "Callable Iterable Iterator Mapping MutableMapping Sequence Generator",
        "contextlib": "contextmanager suppress",
        "dataclasses": "dataclass",
        "datetime": "timedelta timezone",
        "decimal": "Decimal ROUND_HALF_UP",
        "enum": "Enum IntEnum StrEnum",
        "fractions": "Fraction",
        "functools": "cache cached_property lru_cache partial reduce wraps",
        "io": "BytesIO StringIO",
        "itertools": "accumulate chain combinations groupby islice pairwise permutations zip_longest",
        "math": "ceil floor gcd isclose sqrt",
        "pathlib": "Path",
        "textwrap": "dedent",
        "typing": "Any Dict List Optional Set Tuple Union",
    }.items()
    for name in names.split()
}
# With these after its dot, `datetime` is the module and not the class in it.
_OF_DATETIME = ("datetime", "date", "time", "timedelta", "timezone")
# Of the modules, those that nobody takes for a variable.
_NAMED = (
    "abc ast base64 bisect collections copy csv dataclasses datetime decimal functools hashlib heapq io itertools "
    "json logging math operator os pathlib random re shutil statistics string subprocess sys tempfile textwrap "
    "threading time typing unicodedata urllib uuid warnings zlib"
)
_MODULES = frozenset(_NAMED.split())


def with_imports(before: str, after: str) -> str:
    """Return Python source with the standard library's imports that it newly needs, at the head of the file.

    Only names that nothing defines are looked at; where one could mean something else, nothing is done.

    Parameters
    ----------
    before
        The text as it was; what was missing there already stays missing.
    """
    wanted = statements(newly_undefined(before, after), after)
    return _inserted(after, wanted) if wanted else after


def cell_imports(before: str, after: str, known: Set[str]) -> str:
    """Return the lines of imports that a notebook's cells newly need; `before` and `after` are all of its code."""
    return "".join(f"{line}\n" for line in statements(newly_undefined(before, after, known), after))


def statements(names: Iterable[str], source: str) -> list[str]:
    """Return the import statements that define those of `names` that the standard library knows, in order."""
    found = []
    for name in sorted(names):
        dotted = re.search(rf"(?<![\w.]){re.escape(name)}\s*\.\s*([A-Za-z_]\w*)", source)
        if name == "datetime" and not (dotted and dotted[1] in _OF_DATETIME):
            found.append("from datetime import datetime")
        elif name in _MODULES and name in sys.stdlib_module_names and dotted:
            found.append(f"import {name}")
        elif name in _FROM:
            found.append(f"from {_FROM[name]} import {name}")
    return sorted(found, key=_order)


def unknown_modules(before: str, after: str, paths: Iterable[str]) -> list[str]:
    """Return the modules newly imported that are neither installed nor among a workspace's paths."""
    fresh = sorted(_imported(after) - _imported(before))
    parts = {part for path in paths for part in path.removesuffix(".py").split("/")} if fresh else set()
    return [name for name in fresh if name not in parts and not _installed(name)]


def _imported(source: str) -> set[str]:
    """Return the first parts of absolute imports."""
    try:
        nodes = list(ast.walk(ast.parse(textwrap.dedent(source))))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in names}


def _installed(name: str) -> bool:
    try:
        return name in sys.stdlib_module_names or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _order(statement: str) -> tuple[bool, str]:
    return statement.startswith("from "), statement


def _inserted(source: str, wanted: list[str]) -> str:
    """Put statements among the imports at the head of a module, or behind its docstring where there are none."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    lines = split_lines(source)
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    after, block = _head(body)
    if block:
        for statement in reversed(wanted):
            later = (n.lineno - 1 for n in block if _order(ast.unparse(n)) > _order(statement))
            place = next(later, block[-1].end_lineno or 0)
            lines[place:place] = [statement + end]
        return "".join(lines)
    after = after or sum(1 for _ in takewhile(lambda line: line.startswith("#"), lines))
    fresh = [statement + end for statement in wanted]
    if after and lines[after - 1].strip():
        fresh.insert(0, end)
    if after < len(lines) and lines[after].strip():
        fresh.append(end)
    lines[after:after] = fresh
    return "".join(lines)


def _head(body: list[ast.stmt]) -> tuple[int, list[ast.stmt]]:
    """Return the line behind docstring and ``__future__``, and the first block of other imports."""
    after, block = 0, list[ast.stmt]()
    for n, node in enumerate(body):
        docstring = n == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            after = node.end_lineno or 0
        elif isinstance(node, ast.Import | ast.ImportFrom):
            block.append(node)
        else:
            break
    return after, block
