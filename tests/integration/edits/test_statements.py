"""A module that is put together from the parts of a similar one is the module that a full parse gives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loom_jupyter.edits import syntax

LINES = [
    "from __future__ import annotations",
    "import os",
    "x = 1; y = 2",
    "@decorated",
    "def f(a):",
    "    return a",
    "    if a:",
    "        pass",
    "else:",
    '"""',
    "text = '''",
    "'''",
    "call(",
    ")",
    "z = 1 + \\",
    "    2",
    "# comment",
    "",
    "class C:",
    "return 1",
    "async def g():",
    "    await f(1)",
]


@pytest.fixture(autouse=True)
def _forget():
    syntax._recent.clear()


def meaning(source):
    """What a module is: its statements' digests and names, or the error that it gives."""
    try:
        module = syntax.module(source)
    except (SyntaxError, ValueError) as error:
        return type(error), getattr(error, "lineno", None)
    return [(a, b, part.text, part.digest, part.names, part.anything) for a, b, part in module.parts]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=14), st.data())
def test_a_spliced_module_is_the_parsed_one(lines, data):
    begin = data.draw(st.integers(0, len(lines)))
    end = data.draw(st.integers(begin, len(lines)))
    changed = [*lines[:begin], *data.draw(st.lists(st.sampled_from(LINES), max_size=4)), *lines[end:]]
    after = "\n".join(changed) + "\n"
    syntax._recent.clear()
    full = meaning(after)
    syntax._recent.clear()
    meaning("\n".join(lines) + "\n")
    assert meaning(after) == full
