"""Only what changed of a module is parsed, and it is refused as the whole would be."""

from __future__ import annotations

import ast

import pytest

from loom_jupyter.edits import syntax


@pytest.fixture(autouse=True)
def _forget():
    syntax._recent.clear()


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
