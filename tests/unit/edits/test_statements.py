"""A module that is put together from the parts of a similar one is the module that a full parse gives."""

from __future__ import annotations

import ast

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


def test_only_what_changed_is_parsed(monkeypatch):
    parsed = []
    parse = syntax.parsed
    monkeypatch.setattr(syntax, "parsed", lambda source: parsed.append(source) or parse(source))
    before = "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(100))
    after = before.replace("return 50\n", "return 51\n")
    first, second = syntax.module(before), syntax.module(after)
    assert parsed == [before, "\n\ndef f49():\n    return 49\n\n\ndef f50():\n    return 51\n\n\n"]
    assert [a is b for a, b in zip(first, second, strict=True)].count(False) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\ny = 2\n", "y = 2\nx = 1\nfrom __future__ import annotations\n"),
        ("from __future__ import annotations\n", "x = 1\nfrom __future__ import annotations\n"),
        ("def f():\n    pass\n\nx = 1\n", "def f():\n    pass\nreturn 2\nx = 1\n"),
    ],
    ids=["a future import that comes late", "a future import that is no longer first", "return outside"],
)
def test_what_only_the_whole_tells_is_refused(before, after):
    syntax.module(before)
    with pytest.raises(SyntaxError) as spliced:
        syntax.module(after)
    with pytest.raises(SyntaxError) as full:
        compile(after, "<candidate>", "exec")
    assert spliced.value.lineno == full.value.lineno


def test_layout_and_comments_do_not_change_a_digest():
    (one,) = syntax.module("x  =  (1)  # one\n")
    (other,) = syntax.module("x = 1\n")
    assert one.digest == other.digest
    assert ast.dump(one.nodes[0]) == ast.dump(other.nodes[0])
