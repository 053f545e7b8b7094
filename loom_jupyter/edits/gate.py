"""Refuse a candidate without running it: broken syntax, placeholders, unknown names, weakened tests."""

from __future__ import annotations

import ast
import builtins
import hashlib
import json
import re
import symtable
import tomllib
import warnings
from pathlib import PurePosixPath

from loom_jupyter.edits import notebook
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.errors import EditError
from loom_jupyter.edits.text import decode

_PYTHON = (".py", ".pyi", ".pyw")
_PLACEHOLDER = re.compile(
    r"^\s*(?:#|//|/\*|--|<!--)?\s*(?:\.\.\.|…)?\s*"
    r"\(?(?:(?:the )?rest of|(?:your |the )?existing|(?:your |the )?(?:original|previous|remaining|other)"
    r"|same as|unchanged|keep (?:the )?(?:rest|existing)|no changes?|omitted|add your|your)"
    r"\b.*\b(?:code|function|method|class|file|implementation|logic|content|here|above|before|unchanged|omitted|same)s?\b"
    r"|^\s*(?:#|//|/\*)\s*(?:\.\.\.|…)\s*(?:\*/)?\s*$|^\s*(?:#|//)\s*unchanged\s*$",
    re.I | re.M,
)
_COMMENT = re.compile(r"^\s*(?:#|//|/\*|--|<!--|\.\.\.|…)")
_MAGIC = re.compile(r"^(\s*)(?:%|!|\?|[\w.]+\?{1,2}\s*$).*$", re.M)
_CELL_MAGIC = re.compile(r"\A\s*%%(\w+)")
_PYTHON_CELLS = frozenset({"time", "timeit", "capture", "prun"})
_KNOWN = frozenset(dir(builtins)) | {
    *("__file__", "__name__", "__doc__", "__path__", "__package__", "__spec__", "__loader__", "__builtins__"),
    *("__debug__", "__class__", "__module__", "__qualname__", "__annotations__", "__dict__", "WindowsError"),
}
_NOTEBOOK_KNOWN = frozenset({"get_ipython", "display", "In", "Out", "_", "__", "___"})


def gate_change(change: FileChange) -> str | None:
    """Judge one change as :func:`gate` does; a notebook is judged by its cells."""
    before = "" if change.before is None else decode(change.path, change.before)[0]
    return gate(change.path, before if change.before is not None else None, decode(change.path, change.after)[0])


def gate(path: str, before: str | None, after: str) -> str | None:
    """Say in one line why a new text is refused, or None if a check may judge it.

    Parameters
    ----------
    path
        Decides the language and whether it is a test.
    before, after
        The whole file's text; `before` is None for a new file.
    """
    old = before or ""
    for rule in (_unparsable, _placeholder, _unchanged, _undefined, _weakened):
        if reason := rule(path, old, after):
            return reason
    return None


def canonical(path: str, text: str) -> str:
    """Return a key that is equal for texts that differ only in layout and comments.

    Python: the syntax tree without positions. Notebooks: that of their code cells. JSON and TOML: the value.
    Other languages: the text without trailing blanks and blank lines.
    """
    if path.endswith(".ipynb"):
        text = "\n".join(f"{cell.kind}\0{_tree_key(_plain(cell.source))}" for cell in _cells(path, text))
    elif path.endswith(_PYTHON):
        text = _tree_key(text)
    elif path.endswith(".json"):
        text = _value_key(json.loads, text)
    elif path.endswith(".toml"):
        text = _value_key(tomllib.loads, text)
    else:
        text = _line_key(text)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _unparsable(path: str, before: str, after: str) -> str | None:
    try:
        if path.endswith(".ipynb"):
            json.loads(after)
            known = {cell.id: cell.source for cell in _cells(path, before)} if before else {}
            for cell in _cells(path, after):
                if cell.kind == "code" and known.get(cell.id) != cell.source:
                    _parse(_plain(cell.source))
        elif path.endswith(_PYTHON):
            _parse(after)
        elif path.endswith(".json"):
            json.loads(after)
        elif path.endswith(".toml"):
            tomllib.loads(after)
    except SyntaxError as error:
        return f"does not parse: {error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError, EditError) as error:
        return f"does not parse: {error}"
    return None


def _placeholder(path: str, before: str, after: str) -> str | None:
    if path.endswith(".ipynb"):
        before = "\n".join(cell.source for cell in _cells(path, before)) if before else ""
        after = "\n".join(cell.source for cell in _cells(path, after))
    old = {line.strip() for line in before.splitlines()}
    for match in _PLACEHOLDER.finditer(after):
        line = match.group().strip("\n")
        if line.strip() not in old and _COMMENT.match(line) and line.strip() not in ("...", "…"):
            return f"leaves code out: {line.strip()[:80]}"
    return None


def _unchanged(path: str, before: str, after: str) -> str | None:
    if before == after or (before and canonical(path, before) == canonical(path, after)):
        return "unchanged"
    return None


def _undefined(path: str, before: str, after: str) -> str | None:
    try:
        if path.endswith(".ipynb"):
            fresh = undefined(_code(path, after), _NOTEBOOK_KNOWN)
            fresh -= undefined(_code(path, before), _NOTEBOOK_KNOWN) if before else frozenset()
        elif path.endswith(_PYTHON):
            fresh = undefined(after)
            fresh -= undefined(before) if fresh and before else frozenset()
        else:
            return None
    except (SyntaxError, ValueError):
        return None  # The file did not parse before either, or has cells of another language.
    return f"uses undefined {', '.join(sorted(fresh))}" if fresh else None


def undefined(source: str, known: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the global names that Python code reads and nothing in it defines.

    Empty where a star import or ``exec`` could define anything.
    """
    tree = _parse(source)
    if any(isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(tree)):
        return frozenset()
    read: set[str] = set()
    defined: set[str] = set()
    tables = [symtable.symtable(source, "<candidate>", "exec")]
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_global() or top:
                bound = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
                (defined if bound else read).add(symbol.get_name())
                if symbol.is_annotated() and top:
                    defined.add(symbol.get_name())
    return frozenset(read - defined - _KNOWN - known)


def _weakened(path: str, before: str, after: str) -> str | None:
    if not before or not is_test(path) or not path.endswith(_PYTHON):
        return None
    try:
        old, new = _strength(_parse(before)), _strength(_parse(after))
    except (SyntaxError, ValueError):
        return None
    for what in ("tests", "assertions"):
        if new[what] < old[what]:
            return f"weakens a test: {old[what] - new[what]} {what} fewer"
    if new["skips"] > old["skips"]:
        return "weakens a test: skips it"
    return None


def is_test(path: str) -> bool:
    """Whether a path names a test by the usual conventions."""
    place = PurePosixPath(path)
    name = place.name
    return (
        "tests" in place.parts[:-1]
        or "test" in place.parts[:-1]
        or name.startswith("test_")
        or place.stem.endswith(("_test", ".test", ".spec"))
        or name == "conftest.py"
    )


def _strength(tree: ast.AST) -> dict[str, int]:
    found = {"tests": 0, "assertions": 0, "skips": 0}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found["tests"] += node.name.startswith("test")
        elif isinstance(node, ast.Assert):
            trivial = isinstance(node.test, ast.Constant)
            found["assertions"] += not trivial
        elif isinstance(node, ast.Attribute):
            found["assertions"] += node.attr.startswith("assert") or node.attr in ("raises", "warns")
            found["skips"] += node.attr in ("skip", "skipif", "xfail", "skipIf", "skipUnless", "SkipTest")
    return found


def _parse(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
        # Some errors (return outside a function, a second nonlocal) only the compiler sees.
        compile(tree, "<candidate>", "exec", dont_inherit=True, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return tree


def _tree_key(source: str) -> str:
    try:
        return ast.dump(_parse(source))
    except (SyntaxError, ValueError, RecursionError):
        return _line_key(source)


def _value_key(load: object, text: str) -> str:
    assert callable(load)
    try:
        return json.dumps(load(text), sort_keys=True, default=str)
    except ValueError:
        return _line_key(text)


def _line_key(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip())


def _cells(path: str, text: str) -> list[notebook.Cell]:
    return notebook.cells(path, text)


def _code(path: str, text: str) -> str:
    return "\n".join(_plain(cell.source) for cell in _cells(path, text) if cell.kind == "code")


def _plain(source: str) -> str:
    """Make a cell plain Python: magics and shell lines become ``pass``; cells of other languages become empty."""
    if found := _CELL_MAGIC.match(source):
        if found[1] not in _PYTHON_CELLS:
            return ""
        source = source.lstrip().partition("\n")[2]
    try:
        ast.parse(source)
    except SyntaxError:
        source = re.sub(r"^(\s*)[\w, .]+= *[%!].*$", r"\1pass", source, flags=re.M)
        source = _MAGIC.sub(r"\1pass", source)
    return source
