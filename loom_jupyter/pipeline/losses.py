"""What a rewrite of a Python unit leaves out: definitions, and the bodies of functions."""

from __future__ import annotations

import ast
import functools
import re
import textwrap

from loom_jupyter.context.definitions import Function, definitions, empty

_ASKED = re.compile(
    r"\b(?:re)?(?:mov|delet|drop|renam|merg|replac|split|inlin|stub|empt|abstract|refactor|extract|simplif|clean)",
    re.I,
)


def lost(before: str, after: str, words: str) -> str | None:
    """Say in one line what is left out; None if nothing is, or the user's words may mean it."""
    if _ASKED.search(words):
        return None
    old, new = _defined(before), _defined(after)
    if not old or not new:
        return None
    for name, is_empty in new.items():
        if is_empty and old.get(name) is False:
            return f"leaves {name} empty"
    # The unit's own name may be written anew; what stood within it may not go.
    gone = [name for name in old if name not in new and ("." in name or len(old) > 1)]
    return f"leaves out {gone[0]}" if gone and not set(new) - set(old) else None


# The unit as it was is looked at for every candidate.
@functools.lru_cache(maxsize=16)
def _defined(text: str) -> dict[str, bool]:
    """Return qualified names of functions and classes, and whether their body is empty."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError):
        return {}
    return {name: isinstance(node, Function) and empty(node) for name, node in definitions(tree)}
