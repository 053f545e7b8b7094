from __future__ import annotations

import pytest

from loom_jupyter.edits.checks.check import CheckResult
from loom_jupyter.edits.checks.report import Counts
from loom_jupyter.runs.verdicts import hopeless, verdict

RED = Counts(passed=3, failed=1)


def result(passed: bool, tests: Counts | None = None, *, timed_out: bool = False) -> CheckResult:
    return CheckResult(passed, int(not passed), 1.0, "", str(tests), tests, timed_out)


@pytest.mark.parametrize(
    ("before", "after", "passed"),
    [
        (None, result(True), True),
        (result(False, RED), result(True, Counts(passed=4)), True),
        (result(False, RED), result(True, Counts(passed=9)), True),
        (result(False, RED), result(True, Counts(passed=3)), False),
        (result(False, RED), result(True, Counts(passed=3, skipped=1)), False),
        (result(False, RED), result(True), False),
        (result(False), result(True), True),
        (result(False, Counts(errors=1)), result(True, Counts(passed=1)), True),
        (result(False, Counts(passed=3, failed=1, errors=1)), result(True, Counts(passed=4)), True),
        (result(False, RED), result(False, RED), False),
        (result(True, Counts(passed=4)), result(True, Counts(passed=4)), None),
        (result(True, Counts(passed=4)), result(False, RED), False),
        (result(True, Counts(passed=4)), result(True, Counts(passed=3)), False),
    ],
)
def test_a_candidate_passes_if_the_check_failed_before_and_runs_no_test_less(
    before: CheckResult | None, after: CheckResult, passed: bool | None
) -> None:
    assert verdict(after, before).passed is passed


def test_the_reason_says_what_is_missing() -> None:
    assert verdict(result(True, Counts(passed=3)), result(False, RED)).reason == "runs 3 tests where 4 ran before"
    assert verdict(result(True), result(True)).reason.startswith("passes as before")


def test_the_score_is_the_share_of_tests_that_pass() -> None:
    assert verdict(result(False, RED), None).score == 0.75


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (result(False, Counts()), "no tests"),
        (result(False, None, timed_out=True), "check_timeout"),
        (result(False, RED), None),
        (result(False, Counts(skipped=2)), None),
        (result(False), None),
        (result(True), None),
    ],
)
def test_a_check_that_no_candidate_can_pass_is_told(before: CheckResult, says: str | None) -> None:
    told = hopeless(before)
    assert (told is None) if says is None else (told is not None and says in told)
