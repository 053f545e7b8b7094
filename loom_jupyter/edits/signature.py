"""Whether a rewritten function can still be called as it was."""

from __future__ import annotations

import ast
import textwrap


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
            return f"{old[0]} takes {argument.arg!r} no more, or elsewhere"
    for argument in was.kwonlyargs:
        if argument.arg not in named and now.kwarg is None:
            return f"{old[0]} takes {argument.arg!r} no more"
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
