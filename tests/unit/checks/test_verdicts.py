from __future__ import annotations

from dataclasses import replace

import pytest

from loom_jupyter.checks.checker import hopeless, verdict
from loom_jupyter.checks.command import CheckResult
from loom_jupyter.checks.report import CaseEnd, Counts

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


P, F, S, U = CaseEnd.PASSED, CaseEnd.FAILED, CaseEnd.SKIPPED, CaseEnd.UNREAD
A, B, B2 = ("tests.test_a", "test_a"), ("tests.test_a.TestB", "test_b[1]"), ("tests.test_a.TestB", "test_b[2]")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({A: F, B: P}, {A: P, B: P}, None),
        ({A: F, B: P}, {A: P, B: P, B2: P}, None),
        ({A: F, B: P, B2: S}, {A: P, B2: P, B: S}, None),
        ({A: F, B: P}, {A: P}, "tests.test_a.TestB.test_b no longer runs"),
        ({A: F, B: P}, {A: S, B: P}, "tests.test_a.test_a is skipped now"),
        ({A: F, B: P, B2: P}, {A: P, B: P}, "tests.test_a.TestB.test_b no longer runs"),
        ({("", "tests.test_a"): U}, {A: P, B: P}, None),
        ({("", "tests.test_a"): U}, {}, "no test of tests.test_a passes"),
        ({("", "tests.test_a"): U}, {A: S}, "no test of tests.test_a passes"),
        ({A: F}, {("other", "test_c"): P}, None),
    ],
)
def test_every_test_that_ran_before_must_pass(
    before: dict[tuple[str, str], CaseEnd], after: dict[tuple[str, str], CaseEnd], said: str | None
) -> None:
    red, green = replace(result(False), cases=before), replace(result(True, Counts(passed=9)), cases=after)
    found = verdict(green, red)
    assert found.passed is (said is None)
    assert said is None or found.reason == said


def test_a_check_that_ends_without_its_report_does_not_pass() -> None:
    for before in (
        replace(result(False), cases={A: F}),
        result(False, Counts(errors=1)),
        result(False, Counts(failed=1)),
    ):
        assert verdict(result(True), before).passed is False
