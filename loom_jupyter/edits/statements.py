"""A Python module as its top-level statements: a candidate costs only those that it changed.

A gate that parses a file of 3,000 lines for every candidate takes longer than a small check. Statements that stand
unchanged before and behind a change are taken over from the module that was parsed before it.
"""

from __future__ import annotations

import ast
import hashlib
import re
import symtable
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from loom_jupyter.edits.matching import common_ends
from loom_jupyter.edits.text import split_lines

# Modules that are remembered: those before the candidates of a few targets, and the last candidates.
REMEMBERED = 8
_STAR = re.compile(r"^[ \t\f]*+from\s++\S++\s++import\s++\*|\bexec\s*+\(|\bglobals\s*+\(\)", re.M)
_FUTURE = re.compile(r"^from\s+__future__\b")


@dataclass(frozen=True)
class Part:
    """One or more whole top-level statements that share no line with others."""

    text: str
    nodes: tuple[ast.stmt, ...]

    @cached_property
    def digest(self) -> bytes:
        """What the statements mean: equal if they differ in layout and comments only."""
        tree = "\0".join(map(ast.dump, self.nodes))
        return hashlib.sha256(tree.encode("utf-8", "surrogatepass")).digest()

    @cached_property
    def names(self) -> tuple[frozenset[str], frozenset[str]]:
        """The global names that the statements read, and those that they define."""
        return _names(self.text)

    @cached_property
    def anything(self) -> bool:
        """Whether the statements could define any name."""
        return _STAR.search(self.text) is not None


@dataclass(frozen=True)
class Module:
    """A module's lines, and where its parts stand among them: begin and end, 0-based, the end not included."""

    source: str
    lines: list[str]
    parts: tuple[tuple[int, int, Part], ...]

    def __iter__(self) -> Iterator[Part]:
        return (part for _, _, part in self.parts)


_recent: deque[Module] = deque(maxlen=REMEMBERED)


def module(source: str) -> Module:
    """Parse and compile a module; top-level ``await`` is allowed, as in a notebook.

    Raises
    ------
    SyntaxError, ValueError, RecursionError, MemoryError
        As :func:`compile` raises them.
    """
    recent = tuple(reversed(_recent))
    for known in recent:
        if known.source == source:
            return known
    lines = split_lines(source)
    found = None
    for known in recent:
        first, last = common_ends(known.lines, lines)
        if 2 * (first + last) > len(lines):
            found = _spliced(source, lines, known, first, last)
            break
    if found is None:
        found = Module(source, lines, _parts(lines, 0, len(lines)))
    _recent.append(found)
    return found


def parsed(source: str) -> ast.Module:
    """Parse and compile Python; top-level ``await`` is allowed, as in a notebook."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
        # Some errors (return outside a function, a second nonlocal) only the compiler sees.
        compile(tree, "<candidate>", "exec", dont_inherit=True, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return tree


def _spliced(source: str, lines: list[str], near: Module, first: int, last: int) -> Module | None:
    """Return the module with the parts of a similar one, `first` and `last` of whose lines it shares.

    None where the lines between make no whole statements: then only the whole module can tell what is wrong.
    """
    kept = [part for part in near.parts if part[1] <= first][:-1]  # what follows may belong to the last one
    moved = len(lines) - len(near.lines)
    tail = [part for part in near.parts if part[0] >= max(len(near.lines) - last, kept[-1][1] if kept else 0)]
    begin, end = (kept[-1][1] if kept else 0), (tail[0][0] + moved if tail else len(lines))
    between = lines[begin:end]
    future = any(_FUTURE.match(part.text) for _, _, part in tail)
    if begin > end or future or any(_FUTURE.match(line) for line in between):
        return None  # such an import must come first, which no part alone can tell
    try:
        fresh = _parts(lines, begin, end)
    except (SyntaxError, ValueError):
        return None
    return Module(source, lines, (*kept, *fresh, *((a + moved, b + moved, part) for a, b, part in tail)))


def _parts(lines: Sequence[str], begin: int, end: int) -> tuple[tuple[int, int, Part], ...]:
    """Parse these lines, which hold whole statements."""
    spans: list[tuple[int, int, list[ast.stmt]]] = []
    for node in parsed("".join(lines[begin:end])).body:
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        start = begin + min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1
        stop = begin + (node.end_lineno or node.lineno)
        if spans and start < spans[-1][1]:
            spans[-1] = spans[-1][0], stop, [*spans[-1][2], node]
        else:
            spans.append((start, stop, [node]))
    return tuple((a, b, Part("".join(lines[a:b]), tuple(nodes))) for a, b, nodes in spans)


def _names(source: str) -> tuple[frozenset[str], frozenset[str]]:
    read: set[str] = set()
    defined: set[str] = set()
    tables = [symtable.symtable(source, "<candidate>", "exec")]
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            role = _role(symbol, top=top)
            if role is not None:
                (defined if role else read).add(symbol.get_name())
    return frozenset(read), frozenset(defined)


def _role(symbol: symtable.Symbol, *, top: bool) -> bool | None:
    """Tell whether a scope defines a global name (True), reads it (False) or has it for itself (None)."""
    # In a function that is called "top", symtable takes local names for global ones.
    if not top and not symbol.is_declared_global() and (symbol.is_local() or not symbol.is_global()):
        return None
    bound = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
    return bound or (top and symbol.is_annotated())
