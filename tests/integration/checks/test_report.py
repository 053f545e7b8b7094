from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.checks import report
from loom_jupyter.checks.report import (
    Counts,
    Place,
    clean,
    command_problem,
    counts,
    duration,
    essence,
    failing_tests,
    places,
    summarise,
    trim,
)


@pytest.mark.parametrize(
    ("text", "expected", "shown"),
    [
        ("....\n4 passed in 0.01s\n", Counts(4), "4 passed"),
        ("==== 1 failed, 13 passed in 1.20s ====\n", Counts(13, 1), "1 failed, 13 passed"),
        ("1 failed, 2 passed, 3 skipped, 1 warning in 0.1s", Counts(2, 1, 0, 3), "1 failed, 2 passed, 3 skipped"),
        (
            "=== 2 passed, 1 xfailed, 2 errors in 65.00s (0:01:05) ===",
            Counts(2, 0, 2, 1),
            "2 errors, 2 passed, 1 skipped",
        ),
        ("1 error in 0.05s", Counts(0, 0, 1), "1 error"),
        ("no tests ran in 0.01s", Counts(), "no tests"),
        ("Ran 3 tests in 0.001s\n\nOK\n", Counts(3), "3 passed"),
        ("Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=2, skipped=1)\n", Counts(1, 1, 2, 1), None),
        ("hello\n", None, None),
        ("we passed 3 failed tests in school\n", None, None),
    ],
)
def test_counts(text: str, expected: Counts | None, shown: str | None) -> None:
    assert counts(text) == expected
    if shown:
        assert str(expected) == shown


def test_summaries() -> None:
    assert summarise(0, "", None) == "passed"
    assert summarise(2, "a\nboom\n\n", None) == "failed (exit 2): boom"
    assert summarise(1, "", Counts(1, 2)) == "2 failed, 1 passed"
    assert summarise(5, "no tests ran in 0.01s", Counts()) == "no tests"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 failed in 1.25s\n", 1.25),
        ("=== 2 passed in 65.00s (0:01:05) ===", 65.0),
        ("Ran 3 tests in 0.001s\n\nOK", 0.001),
        ("", None),
    ],
)
def test_duration(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds


def run(code: str, folder: Path, *args: str) -> str:
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_price.py").write_text(code)
    done = subprocess.run(
        [sys.executable, *args], cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return clean(done.stdout + done.stderr, folder)


DEEP = (
    "import unittest, price\n"
    "class T(unittest.TestCase):\n"
    "    def test_deep(self):\n"
    "        price.total([1])\n"
    "    def test_fine(self):\n"
    "        pass\n"
    "    def test_wrong(self):\n"
    "        self.assertEqual(price.tax(1), 3)\n"
)
PRICE = "def total(items):\n    return sum(tax(i) / 0 for i in items)\n\ndef tax(x):\n    return x\n"


@pytest.mark.parametrize("style", ["long", "short", "native", "line", "auto"])
def test_places_and_failing_tests_of_real_pytest(tmp_path: Path, style: str) -> None:
    (tmp_path / "price.py").write_text(PRICE)
    text = run(
        DEEP, tmp_path, "-m", "pytest", "-q", f"--tb={style}", "-p", "no:cacheprovider", "--rootdir=.", "tests"
    )
    assert counts(text) == Counts(1, 2)
    assert failing_tests(text) == ["tests/test_price.py::T::test_deep", "tests/test_price.py::T::test_wrong"]
    found = places(text, tmp_path)
    assert Place("price.py", 2, "raised here") in found
    if style != "line":
        assert Place("tests/test_price.py", 4, "in the traceback") in found
    assert all("site-packages" not in place.path for place in found)


def test_places_and_failing_tests_of_real_unittest(tmp_path: Path) -> None:
    (tmp_path / "price.py").write_text(PRICE)
    text = run(DEEP, tmp_path, "-m", "unittest", "tests/test_price.py")
    assert counts(text) == Counts(1, 1, 1)
    assert failing_tests(text) == ["tests.test_price.T.test_deep", "tests.test_price.T.test_wrong"]
    assert places(text, tmp_path)[0] == Place("price.py", 2, "raised here")


def test_places_of_compilers_and_node(tmp_path: Path) -> None:
    for name in ("main.c", "lib.rs", "app.js"):
        (tmp_path / name).touch()
    text = (
        "main.c:12:5: error: x\n"
        "error[E0308]: mismatched types\n   --> lib.rs:7:9\n"
        "    at total (app.js:3:11)\n"
        "absent.c:1:1: error\n"
        "../up.c:1: error\n"
    )
    assert {(p.path, p.line) for p in places(text, tmp_path)} == {("main.c", 12), ("lib.rs", 7), ("app.js", 3)}


def test_trim_keeps_the_failure() -> None:
    text = "=== test session starts ===\nplatform linux\n" + "." * 60 + "\n"
    text += "=== FAILURES ===\n" + "\n".join(f"line {n}" for n in range(200)) + "\n1 failed in 0.1s\n"
    kept = trim(text)
    assert kept.startswith("=== FAILURES")
    assert kept.endswith("1 failed in 0.1s")
    assert "lines left out" in kept
    assert len(kept.splitlines()) == 61


@given(st.text())
def test_cleaned_text_has_no_control_signs(text: str) -> None:
    assert not {c for c in clean(text) if c != "\n" and c != "\t" and (ord(c) < 32 or 127 <= ord(c) < 160)}


@given(st.text(max_size=300), st.sampled_from([0, 1, 2, 4, 126, 127]))
def test_any_output_is_read(text: str, code: int) -> None:
    assert summarise(code, text, counts(text))
    trim(text)
    failing_tests(text)
    command_problem("x", code, text)


def test_paths_of_the_copy_become_relative(tmp_path: Path) -> None:
    assert (
        clean(f'File "{tmp_path}/a.py", line 1\nrootdir: {tmp_path}\n', tmp_path)
        == 'File "a.py", line 1\nrootdir: .\n'
    )


def test_a_progress_line_shows_its_last_state() -> None:
    assert clean("10%\r50%\r100%\ndone\r\n") == "100%\ndone\n"


REPORTED = """\
======== FAILURES ========
________ Tests.test_case ________

self = <tests.Tests testMethod=test_case>

    def test_case(self):
        words = ["Carthorse"]
>       self.assertEqual(find("Orchestra", words), words)
E       AssertionError: Lists differ: [] != ['Carthorse']

tests.py:51: AssertionError
________ test_deep ________

    def test_deep():
>       assert price(2) == 5

tests.py:60:
_ _ _ _ _ _ _ _

w = 2

    def price(w):
>       return 1 / 0
E       ZeroDivisionError: division by zero

shop.py:2: ZeroDivisionError
======== short test summary info ========
FAILED tests.py::Tests::test_case - AssertionError: Lists dif...
2 failed in 0.66s
"""


def test_a_model_is_shown_the_failing_lines_and_what_was_said_to_them() -> None:
    assert essence(REPORTED, 900) == (
        "def test_case(self):\n"
        '    words = ["Carthorse"]\n'
        '    self.assertEqual(find("Orchestra", words), words)\n'
        "E       AssertionError: Lists differ: [] != ['Carthorse']\n"
        "def test_deep():\n"
        "    assert price(2) == 5\n"
        "    return 1 / 0\n"
        "E       ZeroDivisionError: division by zero"
    )


def test_only_as_many_failures_are_shown_as_there_is_room_for() -> None:
    shown = essence(REPORTED, 130)
    assert "ZeroDivisionError" in shown
    assert "Carthorse" not in shown


@given(st.text(max_size=300), st.integers(1, 100))
def test_other_output_is_cut_to_its_end(text: str, most: int) -> None:
    assert essence(text, most) == text[-most:]


def test_expected_failures_and_subtests_are_counted_as_they_are() -> None:
    ran = "Ran 3 tests in 0.001s\n\n"
    assert counts(ran + "OK (expected failures=1)") == Counts(passed=2, skipped=1)
    assert counts(ran + "FAILED (failures=1, unexpected successes=1)") == Counts(passed=1, failed=2)
    assert counts("4 failed, 3 passed, 1 subtests passed in 2.84s\n") == Counts(passed=3, failed=4)


def test_numbers_and_names_without_an_end_are_read_as_nothing(tmp_path: Path) -> None:
    long = "1" * 8_000
    assert report.counts(f"{long} passed in 0.1s") in (None, report.Counts())
    assert report.duration(f"1 passed in {long}s") is None
    assert report.places(f"at {'a' * 5_000}.py:1\n{'b/' * 600}c.py:{long}\n", tmp_path) == []
    assert report.clean("10%\r50%\r100%\ndone\r\n") == "100%\ndone\n"


def test_places_of_node_and_rust_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.rs").write_text("")
    said = "Error\n    at fn (a.js:10:5)\n    at a.js:3:1\n  --> src/main.rs:7:2\n"
    found = {(place.path, place.line) for place in report.places(said, tmp_path)}
    assert found == {("a.js", 10), ("a.js", 3), ("src/main.rs", 7)}
