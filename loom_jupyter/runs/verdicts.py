"""What a check's result says of a candidate, given what it said of the code as it was."""

from __future__ import annotations

from loom_jupyter import secrets
from loom_jupyter.edits.checks.cases import missing
from loom_jupyter.edits.checks.check import CheckResult
from loom_jupyter.edits.checks.report import essence
from loom_jupyter.pipeline.contracts import Trial

# Of a check's output, as a model is shown it.
OUTPUT_CHARS = 900


def verdict(result: CheckResult, before: CheckResult | None) -> Trial:
    """Judge one candidate.

    A check that passed before cannot tell a repair from no repair: with it, a candidate stays unchecked.
    A check that passes by running fewer tests than before, or without any report of them, does not pass.
    """
    fewer = _fewer(result, before) if result.passed else None
    as_before = result.passed and not fewer and before is not None and before.passed
    return Trial(
        passed=None if as_before else result.passed and not fewer,
        reason=fewer or (f"passes as before: {result.summary}" if as_before else result.summary),
        output=secrets.masked(essence(result.output, OUTPUT_CHARS)),
        score=_score(result),
        seconds=result.seconds,
    )


def hopeless(before: CheckResult) -> str | None:
    """Say why no candidate can pass a check, as far as its result on the code as it was tells that."""
    if before.timed_out:
        return f"The check {before.summary} before any change; raise check_timeout, or give a quicker --check CMD."
    if not before.passed and before.tests is not None and not _ran(before) + before.tests.skipped:
        return "The check found no tests to run; give a command that runs those in question (--check CMD)."
    return None


def _fewer(result: CheckResult, before: CheckResult | None) -> str | None:
    """Say that fewer tests ran, where both results tell how many, or that it is not known whether any did."""
    if before is None:
        return None
    if before.cases and result.cases is not None and (gone := missing(before.cases, result.cases)):
        return gone
    if before.tests is None or before.timed_out:
        ended = before.cases and result.cases is None and result.tests is None
        return "ends before its tests are reported" if ended else None
    # A failing test may err in its teardown as well, and count twice.
    was, now = max(_ran(before) - before.tests.errors, int(_ran(before) > 0)), _ran(result)
    return f"runs {now} test{'s' * (now != 1)} where {was} ran before" if now < was else None


def _ran(result: CheckResult) -> int:
    tests = result.tests
    return 0 if tests is None else tests.passed + tests.failed + tests.errors


def _score(result: CheckResult) -> float:
    """Return the share of the tests that pass."""
    if result.tests is None:
        return float(result.passed)
    return result.tests.passed / max(1, _ran(result))
