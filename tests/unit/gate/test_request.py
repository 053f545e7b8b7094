from __future__ import annotations

import pytest

from loom_jupyter.context.intent import read_intent
from loom_jupyter.gate.request import lost

CLASS = "class Box:\n    def a(self):\n        return 1\n\n    def b(self):\n        return 2\n"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (CLASS, CLASS.replace("return 2", "..."), "leaves Box.b empty"),
        (CLASS, CLASS.replace("return 2", "pass"), "leaves Box.b empty"),
        (CLASS, CLASS.replace("return 2", "raise NotImplementedError"), "leaves Box.b empty"),
        (CLASS, CLASS.partition("\n\n")[0] + "\n", "leaves out Box.b"),
        ("def f():\n    return 1\n", 'def f():\n    """Say."""\n', "leaves f empty"),
        (CLASS, CLASS.replace("return 2", "return 3"), None),
        (CLASS, CLASS.replace("def b", "def c"), None),
        ("def f():\n    return 1\n", "def g():\n    return 1\n", None),
        ("def f():\n    pass\n", "def f():\n    pass\n", None),
        ("    def f(self):\n        return 1\n", "    def f(self):\n        pass\n", "leaves f empty"),
        ("def f(:\n", "def f():\n    pass\n", None),
        ("x = 1\n", "x = 2\n", None),
    ],
)
def test_what_a_rewrite_leaves_out(before: str, after: str, says: str | None) -> None:
    assert lost(before, after, read_intent("b should give 3")) == says


@pytest.mark.parametrize("words", ["remove b from Box", "drop b", "make b abstract", "rename b", "Refactor Box"])
def test_what_the_words_may_mean_is_left_to_them(words: str) -> None:
    assert lost(CLASS, CLASS.partition("\n\n")[0] + "\n", read_intent(words)) is None
