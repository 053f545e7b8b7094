from __future__ import annotations

import ast
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.models.protocol import Alternative, TokenScore
from loom_jupyter.pipeline.search.mutate import mutated, mutations


def texts(unit: str) -> set[str]:
    return {candidate.text for candidate in mutated(unit, [])}


@pytest.mark.parametrize(
    ("faulty", "mended"),
    [
        ("if weight < 2:\n    pass\n", "if weight <= 2:\n    pass\n"),
        ("x = a + b\n", "x = a - b\n"),
        ("x = a and b\n", "x = a or b\n"),
        ("x = range(n, 9)\n", "x = range(n, 10)\n"),
        ("x = items[:n]\n", "x = items[:n + 1]\n"),
        ("x = items[1:]\n", "x = items[0:]\n"),
        ("x = f(a, b)\n", "x = f(b, a)\n"),
        ("x = not ready\n", "x = ready\n"),
        ("x = -size\n", "x = size\n"),
        ("if done:\n    pass\n", "if not done:\n    pass\n"),
        ("x = a in b\n", "x = a not in b\n"),
        ("x = a is not b\n", "x = a is b\n"),
        ("x = True\n", "x = False\n"),
        ("x = a // b\n", "x = a / b\n"),
        ('x = "ä" if 0 < y < 5 else "ö" + z\n', 'x = "ä" if 0 < y <= 5 else "ö" + z\n'),
        ("x = a + b\n", "x = b + a\n"),
        ("x = y - 1\n", "x = y\n"),
        ('x = "-" * w\n', 'x = "-" * (w - 1)\n'),
        ("x = a and b\n", "x = a\n"),
        ("x = f(a, b=c)\n", "x = f(a)\n"),
        ("x = range(n)\n", "x = range(n + 1)\n"),
        ("x = y.lstrip()\n", "x = y.rstrip()\n"),
        ("x = y.lower()\n", "x = y\n"),
        ("x = min(a, b)\n", "x = max(a, b)\n"),
        ("x = int(y)\n", "x = abs(int(y))\n"),
        ("x = y.ljust(6, '0')\n", "x = y.ljust(6, '0')[:6]\n"),
        ("x = items[n:]\n", "x = items[-n:]\n"),
        ("x = items[i]\n", "x = items[i + 1]\n"),
        ("x += y\n", "x -= y\n"),
        ("def f(x, y):\n    return g(x, None)\n", "def f(x, y):\n    return g(x, y)\n"),
        ("def f(x):\n    y = x\n    return y\n", "def f(x):\n    y = x\n    return y.lower()\n"),
        (
            "def f(x):\n    for y in x:\n        y = 1\n        return y\n",
            "def f(x):\n    for y in x:\n        y = 1\n    return y\n",
        ),
        ("for y in x:\n    break\n", "for y in x:\n    continue\n"),
        ("    def m(self):\n        return self.a < 3\n", "    def m(self):\n        return self.a <= 3\n"),
    ],
)
def test_a_usual_slip_is_among_them(faulty: str, mended: str) -> None:
    assert mended in texts(faulty)


@pytest.mark.parametrize("text", ["def f(:\n", "", "\0", "pass\n"])
def test_what_does_not_parse_or_hold_has_none(text: str) -> None:
    assert mutations(text) == []


UNITS = st.sampled_from(
    [
        "def f(a, b):\n    if a < b and not b:\n        return a[1:b] + [0]\n    return g(b, a) * 2\n",
        "    async def é(self, x=3):\n        # ü < 2\n        while x >= 1:\n            x -= 1\n"
        "        return 'ß' in x\n",
        "x = (1 <\n     2)\n",
    ]
)


@given(UNITS)
def test_every_mutation_parses_and_differs(unit: str) -> None:
    original = ast.dump(ast.parse(textwrap.dedent(unit)))
    for text in texts(unit):
        assert ast.dump(ast.parse(textwrap.dedent(text))) != original


def test_the_model_puts_them_in_order() -> None:
    unit = "x = a < b + c\n"
    scores = [
        TokenScore(0, unit.index("<"), " <", -0.1, (Alternative(1, " <=", -1.0), Alternative(2, " >", -5.0))),
        TokenScore(1, unit.index("+"), " +", -0.1, (Alternative(3, " *", -0.5),)),
    ]
    ranked = sorted(mutated(unit, scores), key=lambda c: -c.margin)
    assert ranked[0].text == "x = a <= b + c\n"
    assert ranked[0].margin == pytest.approx(-0.9)
