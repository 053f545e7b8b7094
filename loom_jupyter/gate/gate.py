"""Refuse a candidate without running it: broken syntax, placeholders, unknown names, weakened tests."""

from __future__ import annotations

import ast
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from typing import NamedTuple

from loom_jupyter.context.languages import is_test
from loom_jupyter.context.text import decode
from loom_jupyter.edits import syntax
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.syntax import canonical, plain
from loom_jupyter.gate.python_tests import equals_all, good_ends
from loom_jupyter.gate.weakening import weakened

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
_TESTERS = frozenset({"pytest", "_pytest", "pluggy", "unittest", "nose2"})
_REPORTING = re.compile(r"\bPYTEST_|junit-?xml|\.loom-report")
_REACHES = frozenset({"gc.get_objects", "gc.get_referrers"})


class _Kind(NamedTuple):
    """What a program may not newly do, and words without which it does not, to be read before it is parsed."""

    told: str
    words: re.Pattern[str]


_ENDS = _Kind("ends the process as if it had passed", re.compile(r"exit|exec|quit|SystemExit"))
_DEALS = _Kind(
    "deals with what tests it",
    re.compile(r"pytest|unittest|pluggy|nose2|PYTEST_|junit|loom-report|gc\.get_|builtins|getattr|__(?:eq|ne)__"),
)


def gate_change(
    change: FileChange,
    known: Set[str] = frozenset(),
    *,
    judges: bool = False,
    may_end: bool = False,
    may_know: bool = False,
) -> str | None:
    """Judge one change as :func:`gate` does, decoding its bytes as they are encoded."""
    before = None if change.before is None else decode(change.path, change.before)[0]
    after = decode(change.path, change.after)[0]
    return gate(change.path, before, after, known, judges=judges, may_end=may_end, may_know=may_know)


def gate(
    path: str,
    before: str | None,
    after: str,
    known: Set[str] = frozenset(),
    *,
    judges: bool = False,
    may_end: bool = False,
    may_know: bool = False,
) -> str | None:
    """Say in one line why a new text is refused, or None if a check may judge it.

    Parameters
    ----------
    path
        Decides the language and whether it is a test.
    before, after
        The whole file's text; `before` is None for a new file.
    known
        Names that a notebook's cells may read without a definition in them: the kernel's variables.
    judges
        Whether the file judges although its path does not say so: a script that the check runs.
    may_end
        Whether code that newly ends its process with a good status is let through.
    may_know
        Whether a program that newly asks for, or changes, what tests it is let through.
    """
    old = before or ""
    reason = syntax.problem(path, old, after)
    for rule in (_placeholder, _unchanged):
        reason = reason or rule(path, old, after)
    if judges or is_test(path):
        reason = reason or (weakened(path, old, after) if old else None)
    elif path.endswith(syntax.PYTHON):
        reason = reason or (None if may_end else _fresh(_ENDS, good_ends, old, after))
        reason = reason or (None if may_know else _fresh(_DEALS, _knows, old, after))
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
        known = syntax.NOTEBOOK | known
        fresh = syntax.newly_undefined(syntax.code(path, before), syntax.code(path, after), known)
    elif path.endswith(syntax.PYTHON):
        fresh = syntax.newly_undefined(before, after)
    else:
        return None
    return f"uses undefined {', '.join(sorted(fresh))}" if fresh else None


def _fresh(what: _Kind, signs: Callable[[ast.AST], Iterable[str]], before: str, after: str) -> str | None:
    """Say that a program newly has one of some signs; None if it has none, or does not parse."""
    if not what.words.search(after):
        return None
    try:
        old, new = (Counter(signs(syntax.parsed(text))) for text in (before, after))
    except (SyntaxError, ValueError):
        return None
    added = next(iter(new - old), None)
    return f"{what.told}: {added[:60]}" if added else None


def _knows(tree: ast.AST) -> Iterator[str]:
    """Yield how a program tells that it is tested, or gets at what tests it: no check sees through that."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            named = (name for name in modules if name.partition(".")[0] in _TESTERS)
            yield from (f"import {name}" for name in named if not getattr(node, "level", 0))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value in _TESTERS or ("\n" not in node.value and _REPORTING.search(node.value)):
                yield repr(node.value)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in _REACHES:
            yield ast.unparse(node)
        elif isinstance(node, ast.Assign):
            targets = (t for t in node.targets if isinstance(t, ast.Attribute))
            yield from (
                text for t in targets if (text := ast.unparse(t)).startswith(("builtins.", "__builtins__."))
            )
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) > 1:
            plain = isinstance(node.args[1], ast.Constant | ast.Name)
            if not plain and ast.unparse(node.args[0]) in ("os", "sys", "builtins", "posix"):
                yield ast.unparse(node)
        elif isinstance(node, ast.ClassDef) and equals_all(node):
            yield f"{node.name} equals everything"


def other_assertion(before: str, after: str) -> str | None:
    """Say in one line that a cell's assertion is gone or says something else; None if all are kept."""
    try:
        old, new = (Counter(_assertions(syntax.parsed(plain(source)))) for source in (before, after))
    except (SyntaxError, ValueError):
        return None
    lost = next(iter(old - new), None)
    return f"changes what the cell asserts: {lost[:80]}" if lost else None


def _assertions(tree: ast.AST) -> list[str]:
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Assert)]


# Whether a rewritten function can still be called as it was.


def broken_calls(before: str, after: str) -> str | None:
    """Say in a few words which calls of a Python function a rewrite breaks; None if none, or if nobody can tell.

    Parameters
    ----------
    before, after
        The unit's text, with or without indentation.
    """
    old, new = _arguments(before), _arguments(after)
    if old is None or new is None:
        return None
    if old[0] != new[0]:
        return f"{old[0]} is called {new[0]}"
    was, now = old[1], new[1]
    kept = [a.arg for a in (*now.posonlyargs, *now.args)]
    named = {*kept, *(a.arg for a in now.kwonlyargs)}
    for place, argument in enumerate((*was.posonlyargs, *was.args)):
        if now.vararg is None and (place >= len(kept) or kept[place] != argument.arg):
            return f"parameter {argument.arg!r} of {old[0]} was removed or moved"
    for argument in was.kwonlyargs:
        if argument.arg not in named and now.kwarg is None:
            return f"parameter {argument.arg!r} of {old[0]} was removed"
    if (was.vararg and not now.vararg) or (was.kwarg and not now.kwarg):
        return f"{old[0]} takes fewer arguments"
    needed = _required(now) - _required(was)
    return f"{old[0]} needs {min(needed)!r}" if needed else None


def _required(arguments: ast.arguments) -> set[str]:
    places = (*arguments.posonlyargs, *arguments.args)
    found = {a.arg for a in places[: len(places) - len(arguments.defaults)]}
    return found | {a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None}


def _arguments(text: str) -> tuple[str, ast.arguments] | None:
    try:
        body = ast.parse(textwrap.dedent(text)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return (found[0].name, found[0].args) if len(found) == 1 else None
