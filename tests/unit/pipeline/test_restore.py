from __future__ import annotations

import pytest

from loom_jupyter.context.intent import read_intent
from loom_jupyter.pipeline.restore import restored

UNIT = '''@cache
@other(
    1)
def f(x):
    """Say.

    More.
    """
    return x
'''
FIX = read_intent("fix it")
BARE = "def f(x):\n    return x + 1\n"


def test_decorators_and_docstring_come_back() -> None:
    assert restored(BARE, UNIT, FIX) == UNIT.replace("return x", "return x + 1")


def test_indented_units_too() -> None:
    def indent(text: str) -> str:
        return "".join(f"    {line}" if line.strip() else line for line in text.splitlines(keepends=True))

    assert restored(indent(BARE), indent(UNIT), FIX) == indent(UNIT).replace("return x", "return x + 1")


@pytest.mark.parametrize("request_", ["remove the decorators and the docstring", "no @cache, no comments"])
def test_what_the_request_speaks_of_is_not_put_back(request_: str) -> None:
    assert restored(BARE, UNIT, read_intent(request_)) == BARE


@pytest.mark.parametrize(
    "code",
    [
        '@mine\ndef f(x):\n    """Mine."""\n    return x\n',
        "def g(x):\n    return x\n",
        "def f(x):\n    return (\n",
        "def f(x):\n    pass\n\n\ndef g(x):\n    pass\n",
        "",
    ],
)
def test_a_rewrite_with_its_own_or_of_something_else_stays(code: str) -> None:
    assert restored(code, UNIT, FIX) == code


def test_a_body_on_the_line_of_the_definition_keeps_its_form() -> None:
    assert restored("def f(x): return x\n", 'def f(x):\n    """Say."""\n', FIX) == "def f(x): return x\n"


def test_a_class_keeps_its_docstring_before_a_decorated_method() -> None:
    old = 'class A:\n    """Say."""\n\n    @property\n    def a(self): ...\n'
    new = "class A:\n    @property\n    def a(self):\n        return 1\n"
    assert restored(new, old, FIX).startswith('class A:\n    """Say."""\n    @property\n')
