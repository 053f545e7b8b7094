"""Refuse a candidate without running it: broken syntax, placeholders, unknown names, weakened tests."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Set

from loom_jupyter.context.languages import is_test
from loom_jupyter.edits import names, statements, syntax
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.magics import plain
from loom_jupyter.edits.syntax import canonical
from loom_jupyter.edits.text import decode

__all__ = ["canonical", "gate", "gate_change", "is_test", "other_assertion"]

_CODE = r"(?:code|functions?|methods?|class(?:es)?|file|implementation|logic|content|lines?|imports?|tests?)"
_END = r"[ \t).…*/>-]*(?:\.\.\.)?[ \t]*$"
# A comment (or bare dots) that stands for code: the whole line says so, or dots lead into it.
_PLACEHOLDER = re.compile(
    r"^[ \t]*(?:#|//|/\*|--|<!--|\.\.\.|…)[ \t]*(?:"
    rf"[\[(]?(?:the |your )?rest of (?:the |your |this )?{_CODE}\b.*"
    rf"|[\[(]?(?:the |your |all )?(?:existing|original|previous|remaining|other) {_CODE}"
    r"(?: (?:goes|go|stays?|remains?|is|are|continues?))?"
    rf"(?: (?:here|above|below|unchanged|the same|as before))?{_END}"
    rf"|[\[(]?(?:\w+ ){{0,3}}(?:unchanged|same as (?:before|above|original)|omitted(?: for brevity)?){_END}"
    rf"|(?:add |put |insert |write )?your {_CODE} (?:goes )?here{_END}"
    rf"|keep (?:the )?(?:rest|existing)\b.*|no changes? (?:here|needed|required){_END}"
    rf"|(?:\.\.\.|…)[ \t]*(?:\*/|-->)?[ \t]*$"
    rf"|(?:\.\.\.|…).*\b(?:{_CODE}|rest|existing|unchanged|same|omitted|here)\b.*"
    r")$",
    re.I | re.M,
)
_BARE_DOTS = ("...", "…")
_SKIPS = frozenset({"skip", "skipif", "xfail", "skipIf", "skipUnless", "SkipTest", "importorskip"})


def gate_change(change: FileChange, known: Set[str] = frozenset()) -> str | None:
    """Judge one change as :func:`gate` does, decoding its bytes as they are encoded."""
    before = None if change.before is None else decode(change.path, change.before)[0]
    return gate(change.path, before, decode(change.path, change.after)[0], known)


def gate(path: str, before: str | None, after: str, known: Set[str] = frozenset()) -> str | None:
    """Say in one line why a new text is refused, or None if a check may judge it.

    Parameters
    ----------
    path
        Decides the language and whether it is a test.
    before, after
        The whole file's text; `before` is None for a new file.
    known
        Names that a notebook's cells may read without a definition in them: the kernel's variables.
    """
    old = before or ""
    reason = syntax.problem(path, old, after)
    for rule in (_placeholder, _unchanged, _weakened):
        reason = reason or rule(path, old, after)
    return reason or _undefined(path, old, after, known)


def _placeholder(path: str, before: str, after: str) -> str | None:
    if path.endswith(".ipynb"):
        before, after = _sources(path, before), _sources(path, after)
    old = {line.strip() for line in before.splitlines()}
    for match in _PLACEHOLDER.finditer(after):
        if (line := match.group().strip()) not in old and line not in _BARE_DOTS:
            return f"leaves code out: {line[:80]}"
    return None


def _sources(path: str, text: str) -> str:
    return "\n".join(cell.source for cell in syntax.cells(path, text))


def _unchanged(path: str, before: str, after: str) -> str | None:
    same = before == after or (before and canonical(path, before) == canonical(path, after))
    return "unchanged" if same else None


def _undefined(path: str, before: str, after: str, known: Set[str]) -> str | None:
    if path.endswith(".ipynb"):
        known = names.NOTEBOOK | known
        fresh = names.newly_undefined(syntax.code(path, before), syntax.code(path, after), known)
    elif path.endswith(syntax.PYTHON):
        fresh = names.newly_undefined(before, after)
    else:
        return None
    return f"uses undefined {', '.join(sorted(fresh))}" if fresh else None


def _weakened(path: str, before: str, after: str) -> str | None:
    if not before or not is_test(path) or not path.endswith(syntax.PYTHON):
        return None
    try:
        old, new = _strength(statements.parsed(before)), _strength(statements.parsed(after))
    except (SyntaxError, ValueError):
        return None  # It could not run before; nothing can be weakened.
    for what in ("tests", "assertions"):
        if new[what] < old[what]:
            return f"weakens a test: {old[what] - new[what]} {what} fewer"
    return "weakens a test: skips it" if new["skips"] > old["skips"] else None


def other_assertion(before: str, after: str) -> str | None:
    """Say in one line that a cell's assertion is gone or says something else; None if all are kept."""
    try:
        old, new = (Counter(_assertions(statements.parsed(plain(source)))) for source in (before, after))
    except (SyntaxError, ValueError):
        return None
    lost = next(iter(old - new), None)
    return f"changes what the cell asserts: {lost[:80]}" if lost else None


def _assertions(tree: ast.AST) -> list[str]:
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Assert)]


def _strength(tree: ast.AST) -> dict[str, int]:
    found = {"tests": 0, "assertions": 0, "skips": 0}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found["tests"] += node.name.startswith("test")
        elif isinstance(node, ast.Assert):
            found["assertions"] += not isinstance(node.test, ast.Constant)
        elif isinstance(node, ast.Attribute):
            found["assertions"] += node.attr.startswith("assert") or node.attr in ("raises", "warns")
            found["skips"] += node.attr in _SKIPS
    return found
