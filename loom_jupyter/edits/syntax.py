"""What a text means to its language: whether it parses, and a key that layout and comments do not change."""

from __future__ import annotations

import ast
import builtins
import functools
import hashlib
import json
import re
import symtable
import tomllib
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loom_jupyter.context.extract.code import bounded_parse
from loom_jupyter.edits import notebook
from loom_jupyter.edits.matching import common_ends
from loom_jupyter.edits.text import split_lines
from loom_jupyter.errors import EditError

# A Python module as its top-level statements: a candidate costs only those that it changed.
#
# A gate that parses a file of 3,000 lines for every candidate takes longer than a small check. Statements that
# stand
# unchanged before and behind a change are taken over from the module that was parsed before it.

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


# IPython's own syntax in a cell, made plain Python so that the cell can be judged.

_CELL_MAGIC = re.compile(r"\A\s*+%%(\w+)")
_PYTHON_CELLS = frozenset({"time", "timeit", "capture", "prun"})
_ASSIGNED = re.compile(r"^([\w \t\f,.\[\]]++=) *+[%!].*$", re.M)
_LINE = re.compile(r"^([ \t\f]*+)(?:[%!?].*|[\w.]++\?{1,2}[ \t\f\r]*+)$", re.M)


def plain(source: str) -> str:
    """Return a cell as plain Python, line for line.

    Line magics, shell lines and help requests become ``pass``, what they assign becomes None. A cell of another
    language (``%%bash``) becomes empty. A cell that is plain Python already stays as it is.
    """
    if found := _CELL_MAGIC.match(source):
        if found[1] not in _PYTHON_CELLS:
            return ""
        body = source.lstrip().partition("\n")[2]
        source = "\n" + body
    if _parses(source):
        return source
    return _LINE.sub(r"\1pass", _ASSIGNED.sub(r"\1 None", source))


def _parses(source: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


PYTHON = (".py", ".pyi", ".pyw")
_GRAMMARS = {
    ".js": ("tree_sitter_javascript", "language"),
    ".mjs": ("tree_sitter_javascript", "language"),
    ".cjs": ("tree_sitter_javascript", "language"),
    ".jsx": ("tree_sitter_javascript", "language"),
    ".ts": ("tree_sitter_typescript", "language_typescript"),
    ".mts": ("tree_sitter_typescript", "language_typescript"),
    ".tsx": ("tree_sitter_typescript", "language_tsx"),
    ".rs": ("tree_sitter_rust", "language"),
    ".go": ("tree_sitter_go", "language"),
}
# Strings, then comments, then words, then single signs: blanks between tokens do not count in these languages.
# A string or comment that is never closed is one token, so that nothing is read twice.
_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\\n])*+"?|'(?:\\.|[^'\\\n])*+'?|`(?:\\.|[^`\\])*+`?)"""
    r"""|(?P<comment>//[^\n]*|/\*.*?\*/)|/\*.*|\w+|[^\w\s]""",
    re.S,
)


def problem(path: str, before: str, after: str) -> str | None:
    """Say why a text does not parse; None if it does, or if the text before was no better.

    Python is compiled, JSON, TOML and notebooks are read, JavaScript, TypeScript, Rust and Go must not gain a
    syntax error. Other texts always parse.
    """
    try:
        if path.endswith(".ipynb"):
            _parse_cells(path, before, after)
        elif path.endswith(PYTHON):
            module(after)
        elif path.endswith(".json"):
            json.loads(after)
        elif path.endswith(".toml"):
            tomllib.loads(after)
        elif (more := _errors(path, after)) and len(more) > len(_errors(path, before)):
            return f"does not parse: syntax error near line {more[-1]}"
    except SyntaxError as error:
        return f"does not parse: {error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError, EditError) as error:
        return f"does not parse: {error or 'it is nested too deeply'}"
    return None


@functools.lru_cache(maxsize=8)
def canonical(path: str, text: str) -> str:
    """Return a key that is equal for texts that differ only in layout and comments.

    Python: the syntax tree without positions. Notebooks: that of their cells. JSON and TOML: the value.
    JavaScript, TypeScript, Rust, Go: the tokens. Others: the text without trailing blanks and blank lines.
    """
    if path.endswith(".ipynb"):
        key = "\0".join(f"{cell.kind}\0{_tree_key(plain(cell.source), cell.source)}" for cell in cells(path, text))
    elif path.endswith(PYTHON):
        key = _tree_key(text)
    elif path.endswith(".json"):
        key = _value_key(json.loads, text)
    elif path.endswith(".toml"):
        key = _value_key(tomllib.loads, text)
    elif _suffix(path) in _GRAMMARS:
        key = "\0".join(m.group() for m in _TOKEN.finditer(text) if m.lastgroup != "comment")
    else:
        key = _line_key(text)
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@functools.lru_cache(maxsize=8)
def cells(path: str, text: str) -> list[notebook.Cell]:
    """Return a notebook's cells; none of a text that is empty."""
    return notebook.cells(path, text) if text else []


def code(path: str, text: str) -> str:
    """Return a notebook's Python cells as one module."""
    return "\n".join(plain(cell.source) for cell in cells(path, text) if cell.kind == "code")


def _parse_cells(path: str, before: str, after: str) -> None:
    known = {cell.id: cell.source for cell in cells(path, before)}
    json.loads(after)
    for cell in cells(path, after):
        if cell.kind == "code" and known.get(cell.id) != cell.source:
            module(plain(cell.source))


def _tree_key(source: str, otherwise: str | None = None) -> str:
    try:
        digests = [part.digest for part in module(source)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _line_key(otherwise or source)
    return b"".join(digests).hex() if digests or not otherwise else _line_key(otherwise)


def _value_key(load: Callable[[str], Any], text: str) -> str:
    try:
        return json.dumps(load(text), default=str)
    except (ValueError, RecursionError):
        return _line_key(text)


def _line_key(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def _errors(path: str, text: str) -> list[int]:
    """Return the lines of a tree-sitter parse's errors; none for an unknown language."""
    parser = _parser(_suffix(path))
    if parser is None:
        return []
    tree = bounded_parse(parser, text.encode("utf-8", "surrogatepass"))
    if tree is None:  # broken beyond what can be listed
        return [1]
    found: list[int] = []
    queue = [tree.root_node]
    while queue:
        node = queue.pop()
        if node.is_error or node.is_missing:
            found.append(node.start_point[0] + 1)
        if node.has_error:
            queue.extend(node.children)
    return sorted(found)


@functools.cache
def _parser(suffix: str) -> Any:
    import importlib

    from tree_sitter import Language, Parser

    if suffix not in _GRAMMARS:
        return None
    module, function = _GRAMMARS[suffix]
    return Parser(Language(getattr(importlib.import_module(module), function)()))


def _suffix(path: str) -> str:
    return "." + path.rpartition(".")[2].lower()


# Names that Python code reads and nothing defines.

_KNOWN = frozenset(dir(builtins)) | {
    *("__file__", "__name__", "__doc__", "__path__", "__package__", "__spec__", "__loader__", "__builtins__"),
    *("__debug__", "__class__", "__module__", "__qualname__", "__annotations__", "__dict__", "WindowsError"),
}
NOTEBOOK = frozenset({"get_ipython", "display", "In", "Out", "_", "__", "___", "exit", "quit"})
"""Names that IPython gives every cell."""


def newly_undefined(before: str, after: str, known: Set[str] = frozenset()) -> frozenset[str]:
    """Return the names that `after` reads without a definition and `before` did not."""
    found = undefined(after, known)
    return found - undefined(before, known) if found else found


def undefined(source: str, known: Set[str] = frozenset()) -> frozenset[str]:
    """Return the global names that Python code reads and nothing in it defines.

    Empty where a star import, ``exec`` or ``globals()`` could define anything, and where the code does not parse.

    Parameters
    ----------
    known
        Names that need no definition, besides the builtins.
    """
    try:
        parts = list(module(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    if any(part.anything for part in parts):
        return frozenset()
    read = frozenset[str]().union(*(part.names[0] for part in parts))
    return read.difference(_KNOWN, known, *(part.names[1] for part in parts))
