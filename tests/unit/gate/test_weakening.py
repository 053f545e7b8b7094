"""What a proposal may not do to a test, whoever asked for what."""

from __future__ import annotations

import ast

import pytest

from loom_jupyter.gate.gate import gate
from loom_jupyter.gate.weakening import weakened

BEFORE = """\
import unittest
from contextlib import suppress

import pytest
from prices import price, table

CASES = [(1, 4.9), (2, 4.9), (3, 7.2)]


def check(value, wanted):
    assert value == wanted


def test_bound():
    weight = 2
    assert price(weight) == 4.9
    assert price(3) == 7.2, "the large one"


@pytest.mark.parametrize(("weight", "wanted"), CASES)
def test_cases(weight, wanted):
    assert price(weight) == pytest.approx(wanted, abs=0.01)


def test_loop():
    for weight in (1, 2):
        assert price(weight) == 4.9


def test_raises():
    with pytest.raises(ValueError, match="weight"):
        price(-1)


@pytest.fixture(params=["AT", "DE"])
def zone(request):
    return request.param


class PriceTest(unittest.TestCase):
    def test_one(self):
        self.assertEqual(price(1), 4.9)
        self.assertAlmostEqual(price(2), 4.9, places=3)
        self.assertIn("AT", table())
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    assert price(weight) == 4.9\n", "    price(weight)\n"),
        ("    assert price(weight) == 4.9\n", "    pass\n"),
        ("assert price(weight) == 4.9\n    assert price(3)", "assert True\n    assert price(3)"),
        ("assert price(weight) == 4.9\n", "assert price(weight) == price(weight)\n"),
        ("assert price(weight) == 4.9\n", "assert price(weight) == 4.9 or True\n"),
        ("assert price(weight) == 4.9\n", "assert price(weight)\n"),
        ("assert price(weight) == 4.9\n", "assert price(weight) is not None\n"),
        ("assert price(weight) == 4.9\n", "assert price(weight) != 7\n"),
        ("assert price(weight) == 4.9\n", "assert (price(weight), 4.9)\n"),
        ("assert price(weight) == 4.9\n", "assert isinstance(price(weight), float)\n"),
        ("assert price(weight) == 4.9\n", "assert price(weight) in (4.9, 7.2)\n"),
        ("assert price(weight) == 4.9\n", "assert 4.9 == 4.9\n"),
        ("assert price(weight) == 4.9\n", "assert price(weight) == pytest.approx(4.9, rel=0.5)\n"),
        ("assert price(weight) == 4.9\n", "assert round(price(weight), 0) == 4.9\n"),
        ("    weight = 2\n", "    return\n"),
        ("    weight = 2\n", "    weight = 2\n    if weight:\n        return\n"),
        ("    weight = 2\n", "    pytest.skip('flaky')\n"),
        ("    weight = 2\n", "    raise unittest.SkipTest\n"),
        ("    weight = 2\n", "    weight = 2\n    yield\n"),
        ("    assert price(weight) == 4.9\n", "    if weight > 5:\n        assert price(weight) == 4.9\n"),
        ("    assert price(weight) == 4.9\n", "    if False:\n        assert price(weight) == 4.9\n"),
        ("    assert price(weight) == 4.9\n", "    while 0:\n        assert price(weight) == 4.9\n"),
        (
            "    assert price(weight) == 4.9\n",
            "    try:\n        assert price(weight) == 4.9\n    except AssertionError:\n        pass\n",
        ),
        (
            "    assert price(weight) == 4.9\n",
            "    try:\n        assert price(weight) == 4.9\n    except:\n        pass\n",
        ),
        (
            "    assert price(weight) == 4.9\n",
            "    with suppress(Exception):\n        assert price(weight) == 4.9\n",
        ),
        (
            "    assert price(weight) == 4.9\n",
            "    with pytest.raises(AssertionError):\n        assert price(weight) == 4.9\n",
        ),
        ("def test_bound", "def bound"),
        ("def test_bound", "def test_limit"),
        ("def test_bound", "async def test_bound"),
        ("def test_bound", "@pytest.mark.skip\ndef test_bound"),
        ("def test_bound", "@pytest.mark.skipif(True, reason='x')\ndef test_bound"),
        ("def test_bound", "@pytest.mark.xfail(strict=False)\ndef test_bound"),
        ("def test_bound", "@unittest.expectedFailure\ndef test_bound"),
        ("def test_bound", "@pytest.fixture\ndef test_bound"),
        ("def test_bound", "def quiet(f):\n    return lambda: None\n\n\n@quiet\ndef test_bound"),
        ("import pytest\n", "import pytest\n\npytestmark = pytest.mark.skip\n"),
        ("import pytest\n", "import pytest\n\npytest.skip(allow_module_level=True)\n"),
        ("import pytest\n", "import pytest\n\ncollect_ignore = ['test_prices.py']\n"),
        ("import pytest\n", "import pytest\n\n\ndef pytest_collection_modifyitems(items):\n    items.clear()\n"),
        ("import pytest\n", "import pytest\n\nnumpy = pytest.importorskip('no_such_module')\n"),
        (
            "from prices import price, table\n",
            "from prices import table\n\n\ndef price(weight):\n    return 4.9\n",
        ),
        ("(2, 4.9), (3, 7.2)]", "(3, 7.2)]"),
        ('"wanted"), CASES)', '"wanted"), CASES[:1])'),
        ('"wanted"), CASES)', '"wanted"), [])'),
        ("abs=0.01", "abs=10"),
        ("abs=0.01", "rel=1e9"),
        ("in (1, 2):", "in (1,):"),
        ("in (1, 2):", "in ():"),
        ("in (1, 2):", "in []:"),
        ("raises(ValueError", "raises(Exception"),
        ('    with pytest.raises(ValueError, match="weight"):\n        price(-1)\n', "    price(-1)\n"),
        ('params=["AT", "DE"]', 'params=["AT"]'),
        ("class PriceTest(unittest.TestCase):", "class PriceTest:"),
        ("class PriceTest(unittest.TestCase):", "class PriceTest(unittest.TestCase):\n    __test__ = False\n"),
        ("class PriceTest(unittest.TestCase):", "class Prices(unittest.TestCase):"),
        ("    def test_one", "    def __init__(self): pass\n\n    def test_one"),
        ("    def test_one", "    @unittest.skip('x')\n    def test_one"),
        ("assertEqual(price(1), 4.9)", "assertEqual(price(1), price(1))"),
        ("assertEqual(price(1), 4.9)", "assertTrue(price(1))"),
        ("assertEqual(price(1), 4.9)", "assertTrue(True)"),
        ("places=3", "places=0"),
        ('self.assertIn("AT", table())', "table()"),
        ("    assert value == wanted\n", "    pass\n"),
        ("def test_loop", "def test_bound():\n    pass\n\n\ndef test_loop"),
        ("class PriceTest", "test_bound = None\n\n\nclass PriceTest"),
        ("class PriceTest", "del test_bound\n\n\nclass PriceTest"),
    ],
)
def test_a_python_test_may_not_assert_less(old: str, new: str) -> None:
    assert BEFORE.count(old) >= 1
    after = BEFORE.replace(old, new, 1)
    ast.parse(after)
    assert "weakens a test: " in (gate("tests/test_prices.py", BEFORE, after) or "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("== 4.9\n    assert price(3)", "== 5.1\n    assert price(3)"),
        ("(3, 7.2)]", "(3, 7.2), (4, 7.2)]"),
        ("abs=0.01", "abs=0.001"),
        ("assert price(weight) == 4.9\n", "assert price(weight) == pytest.approx(4.9)\n"),
        ("assert price(weight) == 4.9\n", "found = price(weight)\n    assert found == 4.9, found\n"),
        ("class PriceTest", "def test_more():\n    assert price(9) == 7.2\n\n\nclass PriceTest"),
        ("places=3", "places=5"),
        ("    weight = 2\n", "    weight = 1 + 1\n"),
        ("in (1, 2):", "in (1, 2, 1.5):"),
        (
            "    for weight in (1, 2):\n        assert price(weight)",
            "    assert price(1) == 4.9\n    assert price(2)",
        ),
        ("def test_bound", "@pytest.mark.slow\ndef test_bound"),
    ],
)
def test_a_python_test_may_assert_more_or_something_else(old: str, new: str) -> None:
    assert BEFORE.count(old) >= 1
    assert gate("tests/test_prices.py", BEFORE, BEFORE.replace(old, new, 1)) is None


JS = "it('bound', () => {\n    expect(price(2)).toBe(4.9);\n});\ntest('b', () => {});\n"
GO = 'package a\nfunc TestA(t *testing.T) {\n\tif price(2) != 4.9 {\n\t\tt.Errorf("no")\n\t}\n}\n'
RUST = "#[test]\nfn bound() {\n    assert_eq!(price(2), 4.9);\n}\n"
JAVA = "class PriceTest {\n  @Test\n  void bound() {\n    assertEquals(4.9, price(2));\n  }\n}\n"
RUBY = "it 'bound' do\n  expect(price(2)).to eq 4.9\nend\n"
CS = "[Fact]\npublic void Bound() {\n  Assert.Equal(4.9, Price(2));\n}\n"
CPP = "TEST(Price, Bound) {\n  EXPECT_EQ(price(2), 4.9);\n}\n"
R = "test_that('bound', {\n  expect_equal(price(2), 4.9)\n})\n"
JULIA = '@testset "bound" begin\n    @test price(2) == 4.9\nend\n'
SHELL = "#!/bin/sh\nset -e\npython verify.py\ndiff out.txt wanted.txt\n"
PHP = "<?php\nfunction testBound() {\n  $this->assertSame(4.9, price(2));\n}\n"
SNAP = "exports[`bound 1`] = `4.9`;\n\nexports[`more 1`] = `7.2`;\n"
FEATURE = "Feature: prices\n  Scenario: bound\n    When 2 kg\n    Then 4.9\n"


@pytest.mark.parametrize(
    ("path", "before", "old", "new"),
    [
        ("a.test.js", JS, "    expect(price(2)).toBe(4.9);\n", ""),
        ("a.test.js", JS, "expect(price(2)).toBe(4.9)", "expect(true).toBe(true)"),
        ("a.test.js", JS, "    expect", "    // expect"),
        ("a.test.js", JS, "it('bound'", "it.skip('bound'"),
        ("a.test.js", JS, "it('bound'", "xit('bound'"),
        ("a.test.js", JS, "test('b'", "test.only('b'"),
        ("a.test.js", JS, "'bound'", "'limit'"),
        ("a.test.ts", JS, "test('b', () => {});", ""),
        ("a_test.go", GO, 't.Errorf("no")', "_ = 1"),
        ("a_test.go", GO, "{\n\tif", "{\n\tt.Skip()\n\tif"),
        ("a_test.go", GO, "TestA", "testA"),
        ("tests/it.rs", RUST, "assert_eq!(price(2), 4.9);", "price(2);"),
        ("tests/it.rs", RUST, "#[test]\n", "#[test]\n#[ignore]\n"),
        ("tests/it.rs", RUST, "#[test]\n", ""),
        ("PriceTest.java", JAVA, "assertEquals(4.9, price(2))", "price(2)"),
        ("PriceTest.java", JAVA, "@Test", "@Disabled @Test"),
        ("PriceTest.java", JAVA, "assertEquals(4.9, price(2))", "assertTrue(true)"),
        ("spec/a_spec.rb", RUBY, "it 'bound'", "xit 'bound'"),
        ("spec/a_spec.rb", RUBY, "  expect", "  # expect"),
        ("PriceTests.cs", CS, "[Fact]", '[Fact(Skip = "x")]'),
        ("PriceTests.cs", CS, "Assert.Equal(4.9, Price(2))", "Price(2)"),
        ("a_test.cpp", CPP, "EXPECT_EQ(price(2), 4.9);", ""),
        ("a_test.cpp", CPP, "Bound", "DISABLED_Bound"),
        ("tests/testthat/test-a.R", R, "expect_equal(price(2), 4.9)", "price(2)"),
        ("tests/testthat/test-a.R", R, "  expect_equal", "  skip('x')\n  expect_equal"),
        ("test/runtests.jl", JULIA, "@test price", "@test_skip price"),
        ("test/runtests.jl", JULIA, "    @test price(2) == 4.9\n", ""),
        ("run_tests.sh", SHELL, "diff out.txt wanted.txt\n", ""),
        ("run_tests.sh", SHELL, "python verify.py", "python verify.py || true"),
        ("run_tests.sh", SHELL, "set -e\n", "set -e\nexit 0\n"),
        ("tests/PriceTest.php", PHP, "$this->assertSame(4.9, price(2));", ""),
        ("a.snap", SNAP, "exports[`bound 1`] = `4.9`;\n", ""),
        ("a.feature", FEATURE, "    Then 4.9\n", ""),
        ("a.feature", FEATURE, "  Scenario", "  @skip\n  Scenario"),
    ],
)
def test_tests_of_other_languages_may_not_assert_less(path: str, before: str, old: str, new: str) -> None:
    assert before.count(old) >= 1
    assert "weakens a test: " in (weakened(path, before, before.replace(old, new)) or "")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        *(("a.test.js", JS), ("a_test.go", GO), ("tests/it.rs", RUST), ("PriceTest.java", JAVA)),
        *(("spec/a_spec.rb", RUBY), ("PriceTests.cs", CS), ("a_test.cpp", CPP), ("test-a.R", R), ("a.snap", SNAP)),
        *(("runtests.jl", JULIA), ("run_tests.sh", SHELL), ("tests/a.php", PHP), ("a.feature", FEATURE)),
    ],
)
def test_another_expected_value_is_not_weaker(path: str, text: str) -> None:
    assert weakened(path, text, text.replace("4.9", "5.1")) is None


SMALL = "import pytest\nfrom prices import price\n\n\n"
BOUND = "def test_bound():\n    assert price(2) == 4.9\n"
MORE = "\n\ndef test_more():\n    assert price(3) == 7.2\n"


def small(test: str) -> str:
    return SMALL + (test.replace("\n\n# more\n", MORE) if "# more" in test else test + MORE)


@pytest.mark.parametrize(
    "test",
    [
        "def test_bound():\n    assert price(2) == 4.9 or True\n",
        "def test_bound():\n    assert price(2) == 4.9 or price(2)\n",
        "def test_bound():\n    assert price(2) in (4.9, 7.2)\n",
        "def test_bound():\n    assert price(2) == price(2)\n",
        "def test_bound():\n    x = price(2)\n    assert x == x\n",
        "def test_bound():\n    want = price(2)\n    assert price(2) == want\n",
        "def test_bound():\n    price(2)\n    got = 4.9\n    assert got == 4.9\n",
        ("def price(w):\n    return 4.9 if w <= 2 else 7.2\n\n\ndef test_bound():\n    assert price(2) == 4.9\n"),
        "price = lambda w: 4.9 if w <= 2 else 7.2\n\n\ndef test_bound():\n    assert price(2) == 4.9\n",
        "def test_bound():\n    price = {2: 4.9}.get\n    assert price(2) == 4.9\n",
        "def test_bound(price=lambda w: 4.9):\n    assert price(2) == 4.9\n",
        "import prices\nprices.price = lambda w: 4.9\n\n\ndef test_bound():\n    assert price(2) == 4.9\n",
        (
            "def test_bound(monkeypatch):\n    monkeypatch.setattr('test_p.price', lambda w: 4.9)\n"
            "    assert price(2) == 4.9\n"
        ),
        (
            "from unittest import mock\n\n\n@mock.patch('prices.price', return_value=4.9)\n"
            "def test_bound(p):\n    assert p(2) == 4.9\n"
        ),
        (
            "from unittest.mock import patch\n\n\ndef test_bound():\n"
            "    with patch('test_p.price', return_value=4.9) as price:\n        assert price(2) == 4.9\n"
        ),
        "globals()['price'] = lambda w: 4.9\n\n\ndef test_bound():\n    assert price(2) == 4.9\n",
        "def test_bound():\n    assert price(2) == 4.9\n\n\ndel test_bound\n",
        "def test_bound():\n    assert price(2) == 4.9\n\n\n# more\n\n\nglobals().pop('test_bound')\n",
        "def test_bound():\n    assert price(2) == 4.9\n\n\n# more\n\n\ntest_bound.__test__ = False\n",
        (
            "def test_bound():\n    assert price(2) == 4.9\n\n\n# more\n\n\n"
            "setattr(test_bound, '__test__', False)\n"
        ),
        ("def test_bound():\n    assert price(2) == 4.9\n\n\n# more\n\n\nvars(test_bound)['__test__'] = False\n"),
        "pytestmark = pytest.mark.skip\n\n\ndef test_bound():\n    assert price(2) == 4.9\n",
        "pytestmark = getattr(pytest.mark, 'sk' + 'ip')\n\n\ndef test_bound():\n    assert price(2) == 4.9\n",
        (
            "@pytest.fixture(autouse=True)\ndef nope():\n    pytest.skip('x')\n\n\ndef test_bound():\n"
            "    assert price(2) == 4.9\n"
        ),
        (
            "@pytest.fixture(autouse=True)\ndef nope(monkeypatch):\n"
            "    monkeypatch.setitem(globals(), 'price', lambda w: 4.9)\n\n\ndef test_bound():\n"
            "    assert price(2) == 4.9\n"
        ),
        (
            "def test_bound():\n    try:\n        assert price(2) == 4.9\n    except AssertionError:\n"
            "        pass\n"
        ),
        "def test_bound():\n    try:\n        assert price(2) == 4.9\n    finally:\n        return\n",
        (
            "E = AssertionError\n\n\ndef test_bound():\n    try:\n        assert price(2) == 4.9\n"
            "    except E:\n        pass\n"
        ),
        (
            "import contextlib\n\n\ndef test_bound():\n    with contextlib.suppress(AssertionError):\n"
            "        assert price(2) == 4.9\n"
        ),
        (
            "import contextlib\n\n\ndef test_bound():\n    with contextlib.suppress(Exception):\n"
            "        assert price(2) == 4.9\n"
        ),
        "def test_bound():\n    with pytest.raises(AssertionError):\n        assert price(2) == 4.9\n",
        (
            "import contextlib\n\n\n@contextlib.contextmanager\ndef quiet():\n    try:\n        yield\n"
            "    except AssertionError:\n        pass\n\n\ndef test_bound():\n    with quiet():\n"
            "        assert price(2) == 4.9\n"
        ),
        (
            "class Quiet:\n    def __enter__(self):\n        return self\n\n    def __exit__(self, *a):\n"
            "        return True\n\n\ndef test_bound():\n    with Quiet():\n"
            "        assert price(2) == 4.9\n"
        ),
        "def test_bound():\n    assert (price(2) == 4.9, 'x')\n",
        "def test_bound():\n    assert price(2) == pytest.approx(4.9, abs=5)\n",
        "TOL = 5\n\n\ndef test_bound():\n    assert price(2) == pytest.approx(4.9, abs=TOL)\n",
        "def test_bound():\n    assert round(price(2), -1) == round(4.9, -1)\n",
        "def test_bound():\n    assert int(price(2)) >= 4\n",
        "def test_bound():\n    assert price(2) > 0\n",
        "def test_bound():\n    assert price(2) is not None\n",
        "def test_bound():\n    assert isinstance(price(2), float)\n",
        "def test_bound():\n    for w in []:\n        assert price(w) == 4.9\n",
        "CASES = []\n\n\ndef test_bound():\n    for w in CASES:\n        assert price(w) == 4.9\n",
        "def test_bound():\n    if price(2) == 4.9:\n        assert price(2) == 4.9\n",
        "def test_bound():\n    return\n    assert price(2) == 4.9\n",
        "def test_bound():\n    lambda: price(2) == 4.9\n",
        "def test_bound():\n    def inner():\n        assert price(2) == 4.9\n",
        "async def test_bound():\n    assert price(2) == 4.9\n",
        "def test_bound():\n    yield\n    assert price(2) == 4.9\n",
        "@pytest.fixture\ndef test_bound():\n    assert price(2) == 4.9\n",
        "def noop(f):\n    return lambda: None\n\n\n@noop\ndef test_bound():\n    assert price(2) == 4.9\n",
        "class Foo:\n    def test_bound(self):\n        assert price(2) == 4.9\n",
        "if False:\n    def test_bound():\n        assert price(2) == 4.9\n",
        "import os\nif os.environ.get('X'):\n    def test_bound():\n        assert price(2) == 4.9\n",
        "@pytest.mark.parametrize('w', [])\ndef test_bound(w):\n    assert price(w) == 4.9\n",
        "from unittest.mock import ANY\n\n\ndef test_bound():\n    assert price(2) == ANY\n",
        "import unittest\nraise unittest.SkipTest('x')\n\n\ndef test_bound():\n    assert price(2) == 4.9\n",
        "import sys\nsys.exit(0)\n\n\ndef test_bound():\n    assert price(2) == 4.9\n",
        "import os\nos._exit(0)\n\n\ndef test_bound():\n    assert price(2) == 4.9\n",
        "pytest.exit('ok', 0)\n\n\ndef test_bound():\n    assert price(2) == 4.9\n",
        "import os\n\n\ndef test_bound():\n    os._exit(0)\n    assert price(2) == 4.9\n",
        (
            "import os\n\n\ndef test_bound():\n    if price(2) != 4.9:\n        os._exit(0)\n"
            "    assert price(2) == 4.9\n"
        ),
        "def test_bound():\n    if price(2) != 4.9:\n        return\n    assert price(2) == 4.9\n",
        "def test_bound():\n    assert price(2) == 4.9\n\n\n# more\n\n\ndef test_bound():\n    pass\n",
        "def test_bound():\n    assert str(price(2))\n",
        "def test_bound():\n    assert abs(price(2) - 4.9) < 10\n",
        "def test_bound():\n    assert 'price(2) == 4.9'\n",
        (
            "import builtins\nbuiltins.AssertionError = ValueError\n\n\ndef test_bound():\n"
            "    assert price(2) == 4.9\n"
        ),
        "def test_bound():\n    if __debug__ is None:\n        assert price(2) == 4.9\n",
        "def test_bound():\n    False and price(2) == 4.9\n",
        (
            "class Any:\n    def __eq__(self, o):\n        return True\n\n\ndef test_bound():\n"
            "    assert price(2) == Any()\n"
        ),
    ],
)
def test_no_way_round_an_assertion(test: str) -> None:
    after = small(test)
    ast.parse(after)
    assert weakened("test_prices.py", small(BOUND), after)


@pytest.mark.parametrize(
    "test",
    [
        "def test_bound():\n    assert price(2) == 5.1\n",
        "def test_bound():\n    assert price(2) == pytest.approx(4.9)\n",
        "def test_bound():\n    assert price(2) == pytest.approx(4.9, abs=1e-9)\n",
        (
            "def test_bound():\n    assert price(2) == 4.9\n    with pytest.raises(ValueError):\n"
            "        price(-1)\n"
        ),
        (
            "def test_bound():\n    assert price(2) == 4.9\n\n\n# more\n\n\ndef test_neg():\n"
            "    with pytest.raises(ValueError, match='neg'):\n        price(-1)\n"
        ),
        "def test_bound():\n    assert price(2) == 4.9, 'two kilograms are small'\n",
        (
            "@pytest.mark.parametrize('w, want', [(2, 4.9), (1, 4.9)])\ndef test_bound(w, want):\n"
            "    assert price(w) == want\n"
        ),
        "def test_bound():\n    for w in (1, 2):\n        assert price(w) == 4.9\n",
        "@pytest.fixture\ndef two():\n    return 2\n\n\ndef test_bound(two):\n    assert price(two) == 4.9\n",
        "def test_bound():\n    got = price(2)\n    assert got == 4.9\n",
        'def test_bound():\n    """Two kilograms."""\n    assert price(2) == 4.9\n',
        "def test_bound() -> None:\n    assert price(2) == 4.9\n",
        "def test_bound():\n    assert price(2) == 4.9\n\n\ndef test_below():\n    assert price(1) == 4.9\n",
        "@pytest.mark.slow\ndef test_bound():\n    assert price(2) == 4.9\n",
        (
            "import prices\n\n\ndef test_bound(monkeypatch):\n"
            "    monkeypatch.setattr(prices, 'rate', lambda: 1)\n    assert price(2) == 4.9\n"
        ),
        "def test_bound(monkeypatch):\n    monkeypatch.setenv('X', '1')\n    assert price(2) == 4.9\n",
        "from decimal import Decimal\n\n\ndef test_bound():\n    assert price(2) == Decimal('4.9')\n",
        "def test_bound():\n    assert price(2) is None\n",
        "def test_bound():\n    assert len(price(2)) == 2\n",
        "def test_bound():\n    with pytest.raises(ValueError):\n        price(2)\n",
        (
            "import unittest\n\n\ndef test_bound():\n    assert price(2) == 4.9\n\n\n# more\n\n\n"
            "class TestX(unittest.TestCase):\n    def test_a(self):\n        with self.subTest(1):\n"
            "            self.assertEqual(price(1), 4.9)\n"
        ),
        "def test_bound(tmp_path):\n    (tmp_path / 'a').write_text('x')\n    assert price(2) == 4.9\n",
        "def test_bound():\n    assert price(2) == 4.9\n",
        (
            "class TestMore:\n    def test_a(self):\n        assert price(9) == 7.2\n\n\n"
            "def test_bound():\n    assert price(2) == 4.9\n"
        ),
        (
            "def test_bound():\n    assert price(2) == 4.9\n\n\n# more\n\n\n"
            "@pytest.mark.xfail(reason='later')\ndef test_new():\n    assert price(0) == 0\n"
        ),
    ],
)
def test_a_test_may_be_written_better(test: str) -> None:
    assert weakened("test_prices.py", small(BOUND), small(test)) is None


HELPED = (
    "def check(weight, wanted):\n    assert price(weight) == wanted\n\n\ndef test_bound():\n    check(2, 4.9)\n"
    "\n\ndef test_more():\n    check(3, 7.2)\n"
)
BOTH = "def test_bound():\n    assert price(2) == 4.9\n    assert price(3) == 7.2\n"
CASES_TEST = "def test_bound(w, wanted):\n    assert price(w) == wanted\n"
ROWS = "[pytest.param(2, 4.9, id='two'), pytest.param(3, 7.2, id='three')]"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BOUND + MORE, HELPED),
        (HELPED, BOUND + MORE),
        (BOTH, BOUND + MORE),
        (
            BOTH,
            f"@pytest.mark.parametrize('w, wanted', {ROWS})\n{CASES_TEST}",
        ),
    ],
)
def test_assertions_may_move_within_a_module(before: str, after: str) -> None:
    assert weakened("test_prices.py", SMALL + before, SMALL + after) is None


@pytest.mark.parametrize(
    "after",
    [
        HELPED.replace("    assert price(weight) == wanted\n", "    price(weight)\n"),
        HELPED.replace("    check(3, 7.2)\n", "    price(3)\n"),
    ],
)
def test_a_helper_asserts_for_its_tests(after: str) -> None:
    assert weakened("test_prices.py", SMALL + HELPED, SMALL + after)
