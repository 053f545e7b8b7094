from __future__ import annotations

import pytest

from loom_jupyter.runs.judging import asks_for_tests

JUDGING = {"checks/verify.py", "Makefile"}


@pytest.mark.parametrize(
    "words",
    [
        "add a test for price",
        "add tests",
        "write tests/test_zones2.py for it",
        "rename the tests of the tariff",
        "update the tests to expect 5.1",
        "write a regression test",
        "add two more unit tests for tariff",
        "add a function zone() with tests",
        "rename price to cost and its tests",
        "rename price to cost, including the tests",
        "change the price function and the tests accordingly",
        "the test is wrong: 2 kg costs 5.1",
        "test_bound expects the wrong price; the test should expect 5.1",
        "update tests/test_price.py",
        "change 4.9 to 5.1 in tests/test_price.py",
        "create conftest.py with a fixture",
        "add a fixture for the zones",
        "parametrize the price tests",
        "add a pytest marker slow to pyproject.toml",
        "unit tests for price please",
        "remove the test test_old",
        "move the tests into tests/unit",
        "improve the test suite",
        "cover the price function with tests",
        "fix the typo in the tests",
        "extend the test of price with 3 kg",
        "create pytest.ini",
        "update checks/verify.py",
        "add a docs target to the Makefile",
    ],
)
def test_words_that_ask_for_the_tests(words: str) -> None:
    assert asks_for_tests(words, JUDGING)


@pytest.mark.parametrize(
    "words",
    [
        "price(2) is wrong and the tests fail",
        "fix the failing test of price",
        "fix the tests",
        "make the tests pass",
        "use the latest tariff",
        "change price so that the test passes",
        "change the price so the tests pass",
        "fix the bug that the tests in tests/test_price.py show",
        "fix the code until tests/test_a.py passes",
        "make the change so tests/test_a.py is green",
        "update parse() so it satisfies the tests",
        "tests/test_price.py fails",
        "test.py fails, please fix it",
        "change price() to what is asserted in tests/test_price.py",
        "change whatever the tests need",
        "do not change the tests",
        "change price without changing the tests",
        "change price() but leave the tests alone",
        "change the price; don't touch the tests",
        "change the test set split to 0.3",
        "update price and the tests will pass",
        "change the default of test_size",
        "the test fails because price is wrong",
        "update the failing tests",
        "update the tests that fail",
        "change price and keep the tests as they are",
        "update tariff() according to tests",
        "implement zone() as the tests require",
        "implement what tests/test_zone.py expects",
        "change code under test",
        "add the missing function that the tests call",
        "write the function that test.py needs",
        "checks/verify.py fails",
        "update the tariff in tariff.py to satisfy checks/verify.py",
        "improve the contest",
        "rewrite price() to make the test green",
        "solve the tests",
    ],
)
def test_words_that_ask_for_the_program(words: str) -> None:
    assert not asks_for_tests(words, JUDGING)
