"""Examples are proved in a real staged copy, under a check's limits, before they serve."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loom_jupyter.checks import proof
from loom_jupyter.checks.command import run_check
from loom_jupyter.checks.example_case import agrees, expected, same, written
from loom_jupyter.checks.examples import Example, Outcome
from loom_jupyter.checks.proof import NAME, Placed, command, prove
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import EditError


def placed(call: str, expected: str, actual: str | None = None, *, raises: bool = False) -> Placed:
    wanted = Outcome(expected, raises=raises)
    return Placed(Example(call, wanted, Outcome(actual) if actual else None), "parcels.tariff")


def test_what_fails_as_told_is_kept_and_the_rest_is_told_and_dropped(sample: Path) -> None:
    examples = [
        placed("parcel_price(2.0)", "4.9", "7.5"),
        placed("parcel_price(3.0)", "7.5", "8"),
        placed("parcel_price(w)", "7.5"),
        placed("parcel_price(-1)", "0", "4.9"),
        placed("parcel_price(-1)", "TooHeavy", raises=True),
        placed("parcel_price(3)", "0.1", "8"),
    ]
    with StagedCopy(sample) as staged:
        found = prove(examples, staged, timeout=30)
        assert [p.example.call for p in found.kept] == ["parcel_price(2.0)", "parcel_price(-1)", "parcel_price(3)"]
        assert "7.5 as you say, and must give 4.9" in found.told[0]
        assert "already" in found.told[1]
        assert "only your session knows" in found.told[2]
        assert "ValueError" in found.told[3]
        assert "must raise TooHeavy" in found.told[4]
        assert "you say 8" in found.told[5]
        assert all(sentence.endswith(".") and "\n" not in sentence for sentence in found.told)
        assert found.file == NAME
    assert not (sample / NAME).exists()


@pytest.mark.parametrize("runner", ["python -m pytest -q", "python -m unittest"])
def test_the_test_stays_between_trials_and_tells_a_repair(sample: Path, runner: str) -> None:
    with StagedCopy(sample) as staged:
        found = prove([placed("parcel_price(2.0)", "4.9", "7.5")], staged, timeout=30)
        (staged.root / NAME).write_text("nothing to test")
        staged.restore()
        failed = run_check(f"{runner} {found.file}", staged.root, timeout=30)
        assert not failed.passed
        assert "parcel_price(2.0) gives 7.5, expected 4.9" in failed.output
        file = staged.root / "parcels/tariff.py"
        file.write_text(file.read_text().replace("weight < 2", "weight <= 2"))
        assert run_check(f"{runner} {found.file}", staged.root, timeout=30).passed


def test_what_a_coroutine_gives_is_compared(sample: Path) -> None:
    file = sample / "parcels/tariff.py"
    file.write_text(file.read_text() + "\n\nasync def later(weight):\n    return parcel_price(weight)\n")
    with StagedCopy(sample) as staged:
        found = prove([placed("later(2.0)", "4.9", "7.5")], staged, timeout=30)
        assert [p.example.call for p in found.kept] == ["later(2.0)"]


def test_nothing_kept_leaves_nothing(sample: Path) -> None:
    with StagedCopy(sample) as staged:
        assert prove([placed("parcel_price(3.0)", "7.5")], staged, timeout=30).file is None
        assert not (staged.root / NAME).exists()
        staged.restore()
        assert not (staged.root / NAME).exists()


def test_a_module_that_cannot_be_imported_or_ends_python_is_a_sentence(sample: Path) -> None:
    (sample / "parcels/tariff.py").write_text("import not_installed_anywhere\n")
    with StagedCopy(sample) as staged:
        assert "not_installed_anywhere" in prove([placed("f(1)", "2")], staged, timeout=30).told[0]
    (sample / "parcels/tariff.py").write_text("import os\nos._exit(3)\n")
    with StagedCopy(sample) as staged:
        found = prove([placed("f(1)", "2")], staged, timeout=30)
        assert "exit 3" in found.told[0]
        assert not found.kept


def test_an_example_that_loops_is_ended(sample: Path) -> None:
    (sample / "parcels/tariff.py").write_text("def f(n):\n    while n: pass\n")
    with StagedCopy(sample) as staged:
        found = prove([placed("f(1)", "2")], staged, timeout=1)
        assert "timed out" in found.told[0]
        assert not found.kept


def test_stop_ends_the_proof(sample: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    with StagedCopy(sample) as staged:
        assert prove([placed("f(1)", "2")], staged, timeout=30, cancel=cancel).cancelled


def test_a_file_of_the_users_is_never_replaced(sample: Path) -> None:
    (sample / NAME).write_text("# mine\n")
    with StagedCopy(sample) as staged:
        with pytest.raises(EditError, match="workspace"):
            staged.add(NAME, b"")
        found = prove([placed("parcel_price(2.0)", "4.9", "7.5")], staged, timeout=30)
        assert found.file == "test_loom_examples_.py"
        assert (staged.root / NAME).read_text() == "# mine\n"


def test_what_is_printed_and_words_without_quotes_count(sample: Path) -> None:
    (sample / "parcels/tariff.py").write_text("def f():\n    print('a', 7)\ndef zone(): return 'world'\n")
    with StagedCopy(sample) as staged:
        told = prove([placed("f()", "'a 8'", "'a 7'"), placed("zone()", "home", "world")], staged, timeout=30).told
        assert all("as you say" in sentence for sentence in told)


def test_pytest_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("a.py", ["tests/test_b.py"]) == "python -m pytest -q a.py tests/test_b.py"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert command("a.py", ["tests/test_b.py"]) == "python -m unittest a.py"


def test_the_test_needs_nothing_but_python() -> None:
    file = Path(proof.__file__).with_name("example_case.py")
    done = subprocess.run([sys.executable, "-I", "-S", str(file)], check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("got", "wanted", "equal"),
    [
        (0.1 + 0.2, 0.3, True),
        ([0.1 + 0.2, "a"], [0.3, "a"], True),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, True),
        (4.9, 4.91, False),
        (1, True, False),
        (True, True, True),
        (float("nan"), float("nan"), True),
        ((1, 2), [1, 2], False),
        ("4.9", 4.9, False),
    ],
)
def test_values_are_equal_but_for_rounding(got: object, wanted: object, *, equal: bool) -> None:
    assert same(got, wanted) is equal


@pytest.mark.parametrize(
    ("got", "wanted", "actual", "agreed"),
    [
        (5 / 3, "1.67", None, True),
        (5 / 3, "1.667", None, True),
        (5 / 3, "1.66", None, False),
        (5 / 3, "1.7", None, True),
        (4.91, "4.9", None, False),
        (-5 / 3, "-1.67", None, True),
        ([5 / 3, 1 / 3], "[1.67, 0.33]", None, True),
        ({"a": 2 / 3}, "{'a': 0.67}", None, True),
        ({"a": 2 / 3}, "{'a': 0.66}", None, False),
        (5 / 3, "1.67", "1.6667", False),  # what it gives now is what is wrong
        (5 / 3, "1.67", "2.5", True),
        (1.5e-3, "1.5e-3", None, True),
        (2.4, "2", None, False),
        (5 / 3, "round(5 / 3, 2)", None, False),
    ],
)
def test_a_value_is_compared_at_the_precision_that_the_user_wrote(
    got: object, wanted: str, actual: str | None, *, agreed: bool
) -> None:
    sides = {"expected": {"text": wanted, "raises": False}, "actual": {"text": actual} if actual else None}
    assert agrees(got, "", expected(sides), {}) is agreed


def test_only_plain_values_are_read_with_their_decimals() -> None:
    assert written(" [1.50, 'a', None]") == [1.5, "a", None]
    with pytest.raises(ValueError, match="malformed"):
        written("__import__('os')")


def test_a_rounded_value_serves_as_a_check(sample: Path) -> None:
    (sample / "parcels/tariff.py").write_text("def mean(xs):\n    return sum(xs) / 2\n")
    with StagedCopy(sample) as staged:
        found = prove([placed("mean([1, 2, 2])", "1.67", "2.5")], staged, timeout=30)
        assert found.file is not None
        (staged.root / "parcels/tariff.py").write_text("def mean(xs):\n    return sum(xs) / len(xs)\n")
        assert run_check(f"python -m unittest {found.file}", staged.root, timeout=30).passed
