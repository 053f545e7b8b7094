"""Symbols and imports of source code, by tree-sitter: one query file a language, one walker for all."""

from __future__ import annotations

import importlib
import itertools
import time
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from loom_jupyter.context.definitions import CALLABLE, CONTAINER, Symbol
from loom_jupyter.context.extract.skeleton import QUOTED, skeleton

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Query, Tree

GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "rust": ("tree_sitter_rust", "language"),
    "go": ("tree_sitter_go", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "java": ("tree_sitter_java", "language"),
    "sql": ("tree_sitter_sql", "language"),
    "julia": ("tree_sitter_julia", "language"),
}
QUERY_FILES = {"tsx": "typescript"}
SIGNATURE = 160
LONGEST_DOC = 400
CALLS, BYTES_A_CALL, PIECE = 2000, 20, 1 << 16
SECONDS, BYTES_A_SECOND = 0.5, 200_000
WRAPPERS = frozenset({"decorated_definition", "export_statement"})


class Code(NamedTuple):
    """What the walker found.

    Attributes
    ----------
    symbols
        In the order of their lines.
    imports
        Line and text of each import.
    """

    symbols: list[Symbol]
    imports: list[tuple[int, str]]


class _Mark(NamedTuple):
    start_byte: int
    end_byte: int
    start: int
    end: int
    name: str
    kind: str
    owner: str
    signature: str
    doc: str


@cache
def grammar(language: str) -> tuple[Language, Query] | None:
    """Load the grammar and the query of a language; None where its wheel is not installed."""
    import tree_sitter

    module, function = GRAMMARS[language]
    try:
        loaded = tree_sitter.Language(getattr(importlib.import_module(module), function)())
    except ImportError:
        return None
    text = files(__package__).joinpath("queries", f"{QUERY_FILES.get(language, language)}.scm").read_text("utf-8")
    return loaded, tree_sitter.Query(loaded, text)


def parse(data: bytes, language: str) -> Code:
    """Find the symbols and imports of UTF-8 source; what cannot be parsed is left out."""
    known = grammar(language)
    if known is None:
        return Code([], [])
    import tree_sitter

    tree = _tree(tree_sitter.Parser(known[0]), data, language)
    if tree is None:
        return Code([], [])
    marks: dict[tuple[int, str], _Mark] = {}
    imports: list[tuple[int, str]] = []
    for _, captures in tree_sitter.QueryCursor(known[1]).matches(tree.root_node):
        if "import" in captures:
            node = captures["import"][0]
            imports.append((node.start_point[0] + 1, _text(data, node)))
            continue
        mark = _mark(data, captures, language)
        key = (mark.end_byte, mark.name)
        if key not in marks or marks[key].kind == "constant":
            marks[key] = mark
    return Code(_nest(sorted(marks.values(), key=lambda m: (m.start_byte, -m.end_byte))), sorted(set(imports)))


def _tree(parser: Parser, data: bytes, language: str) -> Tree | None:
    """Parse what can hold definitions, or all of it if that is not sure to give the same."""
    if language == "python" and (bare := skeleton(data)) is not None:
        tree = bounded_parse(parser, bare)
        if tree is not None and not tree.root_node.has_error:
            return tree
    return bounded_parse(parser, data)


def bounded_parse(parser: Parser, data: bytes) -> Tree | None:
    """Parse; None for what is so broken that the parser takes time, and memory, with the square of its length.

    The parser calls after every hundred steps. Source takes one call for some 100 bytes and a second for some
    2 MB; a step of a broken text can take so long that only the clock of the processor tells.
    """
    calls = itertools.count()
    most = CALLS + len(data) // BYTES_A_CALL
    end = time.thread_time() + SECONDS + len(data) / BYTES_A_SECOND

    def give_up(_at: int, _error: bool) -> bool:
        return next(calls) > most or time.thread_time() > end

    try:
        # In pieces, for the parser asks only then whether to go on.
        return parser.parse(lambda at, _: data[at : at + PIECE], progress_callback=give_up)
    except ValueError:  # it was told to stop
        parser.reset()
        return None


def _mark(data: bytes, captures: dict[str, list[Node]], language: str) -> _Mark:
    name = captures["name"][0]
    owner = captures["owner"][0] if "owner" in captures else None
    kind = next(k for k in captures if k not in ("name", "owner"))
    node = outer = captures[kind][0]
    if node.type == "variable_declarator" and node.parent is not None:
        outer = node.parent
    parent = outer.parent
    while parent is not None and parent.type in WRAPPERS:
        outer, parent = parent, parent.parent
    end = outer.end_point[0] + (1 if outer.end_point[1] or outer.end_point[0] == outer.start_point[0] else 0)
    line_start = data.rfind(b"\n", 0, name.start_byte) + 1
    line_end = data.find(b"\n", name.end_byte)
    line = data[line_start : line_end if line_end >= 0 else len(data)]
    return _Mark(
        outer.start_byte,
        outer.end_byte,
        outer.start_point[0] + 1,
        max(end, outer.start_point[0] + 1),
        _text(data, name).replace("::", "."),
        kind,
        _text(data, owner) if owner is not None else "",
        line.decode("utf-8", "replace").strip()[:SIGNATURE],
        _doc(data, node, outer, language) if kind != "constant" else "",
    )


def _nest(marks: list[_Mark]) -> list[Symbol]:
    """Qualify each name with the containers around it; a function directly in a class is a method."""
    out: list[Symbol] = []
    around: list[tuple[_Mark, str]] = []
    for mark in marks:
        while around and around[-1][0].end_byte < mark.end_byte:
            around.pop()
        outer = around[-1][1] if around else mark.owner
        if mark.kind == "constant" and around and around[-1][0].kind in CALLABLE:
            continue
        name = f"{outer}.{mark.name}" if outer else mark.name
        kind = mark.kind
        if kind == "function" and around and around[-1][0].kind in CONTAINER - {"namespace", "module"}:
            kind = "method"
        out.append(Symbol(name, kind, mark.start, mark.end, mark.signature, mark.doc))
        around.append((mark, name))
    return out


def _doc(data: bytes, node: Node, outer: Node, language: str) -> str:
    """First line of a docstring, or of the comment just above."""
    if language == "python":
        body = node.child_by_field_name("body")
        first = body.named_child(0) if body is not None and body.named_child_count else None
        if first is None or first.type != "expression_statement" or not first.named_child_count:
            return ""
        string = first.named_child(0)
        if string is None or string.type != "string":
            return ""
        quoted = QUOTED.match(data, string.start_byte)
        end = quoted.end() if quoted else string.end_byte
        text = data[string.start_byte : min(end, string.start_byte + LONGEST_DOC)].decode("utf-8", "replace")
        return _first_line(text.lstrip("rRbBuUfF").strip("\"'"))
    above, top = outer.prev_named_sibling, None
    while above is not None and above.type in ("comment", "line_comment", "block_comment"):
        top, above = above, above.prev_named_sibling
    return _first_line(_text(data, top, LONGEST_DOC).lstrip("/*! \t")) if top is not None else ""


def _first_line(text: str) -> str:
    lines = (line.strip(" \t*/") for line in text.splitlines())
    return next((line for line in lines if line), "")[:SIGNATURE]


def _text(data: bytes, node: Node, limit: int = 2000) -> str:
    return data[node.start_byte : min(node.end_byte, node.start_byte + limit)].decode("utf-8", "replace")
