from __future__ import annotations

import pytest

from loom_jupyter.gate.gate import broken_calls


@pytest.mark.parametrize(
    ("before", "after", "broken"),
    [
        ("def f(a, b): pass", "def f(a, b): return 1", None),
        ("def f(a): pass", "def f(a, b=1): pass", None),
        ("def f(a): pass", "def f(a, b): pass", "f needs 'b'"),
        ("def f(a, b): pass", "def f(b, a): pass", "parameter 'a' of f was removed or moved"),
        ("def f(a, b): pass", "def f(a): pass", "parameter 'b' of f was removed or moved"),
        ("def f(a, b): pass", "def f(*a, **k): pass", None),
        ("def f(*, b): pass", "def f(*, c=1): pass", "parameter 'b' of f was removed"),
        ("def f(a, *more): pass", "def f(a): pass", "f takes fewer arguments"),
        ("def f(a=1): pass", "def f(a): pass", "f needs 'a'"),
        ("    def f(self): pass", "    def f(self, x): pass", "f needs 'x'"),
        ("def f(a): pass", "def g(a): pass", "f is called g"),
        ("async def f(a): pass", "async def f(): pass", "parameter 'a' of f was removed or moved"),
        ("class A: pass", "class A: x = 1", None),
        ("def f(a): pass", "def f(a:", None),
    ],
)
def test_calls_that_a_rewrite_breaks(before: str, after: str, broken: str | None) -> None:
    assert broken_calls(before, after) == broken
