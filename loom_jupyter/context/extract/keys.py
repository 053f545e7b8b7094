"""Keys of JSON, TOML and YAML as symbols: a dotted path and the lines of key and value."""

from __future__ import annotations

import importlib
from collections import deque
from functools import cache
from typing import TYPE_CHECKING

from loom_jupyter.context.definitions import Symbol
from loom_jupyter.context.extract.code import bounded_parse

if TYPE_CHECKING:
    from tree_sitter import Language, Node

GRAMMARS = {"json": "tree_sitter_json", "toml": "tree_sitter_toml", "yaml": "tree_sitter_yaml"}
PAIRS = frozenset({"pair", "table", "table_array_element", "block_mapping_pair", "flow_pair"})
LISTS = frozenset({"array", "block_sequence", "flow_sequence"})
# Settings are for people and short; what is larger is data, whose keys say little and are many.
LARGEST = 64_000
MAX_KEYS = 300
DEPTH = 4
# Nodes between a pair and the pairs in its value.
WRAPPED = 8
LONGEST_NAME = 120


def keys(data: bytes, language: str) -> list[Symbol]:
    """Find the keys of UTF-8 text, the outer ones first where there are too many; none in lists or large data."""
    known = _grammar(language)
    if known is None or len(data) > LARGEST:
        return []
    import tree_sitter

    tree = bounded_parse(tree_sitter.Parser(known), data)
    if tree is None:
        return []
    lines = data.split(b"\n")
    out: list[Symbol] = []
    queue = deque([(tree.root_node, "", 1)])
    while queue and len(out) < MAX_KEYS:
        node, outer, depth = queue.popleft()
        for pair in _pairs(node, WRAPPED):
            name = _name(pair)
            if not name or len(out) == MAX_KEYS:
                continue
            path = f"{outer}.{name}" if outer else name
            out.append(_symbol(pair, path, lines))
            if depth < DEPTH:
                queue.append((pair, path, depth + 1))
    return sorted(out, key=lambda s: (s.start, -s.end))


@cache
def _grammar(language: str) -> Language | None:
    import tree_sitter

    try:
        return tree_sitter.Language(importlib.import_module(GRAMMARS[language]).language())
    except ImportError:
        return None


def _pairs(node: Node, deep: int) -> list[Node]:
    """Return the pairs directly within a node, through whatever wraps them."""
    out: list[Node] = []
    for child in node.named_children:
        if child.type in PAIRS:
            out.append(child)
        elif child.type not in LISTS and deep and child.named_child_count:
            out += _pairs(child, deep - 1)
    return out


def _name(pair: Node) -> str:
    key = pair.child_by_field_name("key") or next(iter(pair.named_children), None)
    if key is None or key.text is None or key.end_point[0] != key.start_point[0]:
        return ""
    name = key.text.decode("utf-8", "replace").strip()
    if len(name) > 1 and name[0] in "\"'" and name[-1] == name[0]:
        name = name[1:-1]
    return name if len(name) <= LONGEST_NAME else ""


def _symbol(pair: Node, path: str, lines: list[bytes]) -> Symbol:
    start = pair.start_point[0] + 1
    end = max(start, min(len(lines), pair.end_point[0] + (pair.end_point[1] > 0)))
    while end > start and not lines[end - 1].strip():
        end -= 1
    return Symbol(path, "key", start, end, lines[start - 1].decode("utf-8", "replace").strip()[:160])
