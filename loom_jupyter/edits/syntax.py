"""What a text means to its language: whether it parses, and a key that layout and comments do not change."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import tomllib
from collections.abc import Callable
from typing import Any

from loom_jupyter.context.extract.code import bounded_parse
from loom_jupyter.edits import notebook, statements
from loom_jupyter.edits.magics import plain
from loom_jupyter.errors import EditError

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
            statements.module(after)
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
            statements.module(plain(cell.source))


def _tree_key(source: str, otherwise: str | None = None) -> str:
    try:
        digests = [part.digest for part in statements.module(source)]
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
