"""The check of one run: on the code as it is, then on one candidate after another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from loom_jupyter import secrets
from loom_jupyter.checks.command import CheckResult, ProcessExit, result, run_check
from loom_jupyter.checks.judges import Judges, of_command, with_failures
from loom_jupyter.checks.report import (
    duration,
    essence,
    failing_tests,
    missing,
    reporting,
    take_cases,
    without_report,
)
from loom_jupyter.checks.trace import PLUGIN, TRACING, Evidence, collect, trace_check, trace_folder, tracing
from loom_jupyter.checks.untouched import Untouched
from loom_jupyter.checks.warm import Warm, warmable
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import CheckCommandError
from loom_jupyter.pipeline.contracts import Trial

_SCREENED = 20
# Seconds that any candidate gets, where pytest must start first, and where it is warm.
_SHORTEST, _SHORTEST_WARM = 10.0, 3.0
_PATIENCE = 5.0
# A longer suite is not run a second time just to prove that it can be; its failing tests are.
_WORTH_PROVING = 10.0


@dataclass
class CheckCounts:
    """How the candidates of a run were tried: whole commands, warm runs, and runs of the failing tests alone."""

    cold: int = 0
    warm: int = 0
    screened: int = 0


class Checker:
    """Runs a check command in a staged copy as often as a search needs.

    The verdict is always that of the user's command as typed. Where the command is nothing but pytest, two things
    make failing candidates cheap: pytest stays imported (`warm`), and the tests that fail now are run first and
    alone. A session's cells run in a warm process in the same way, all of them. Both are proved on the code as it
    is, where they must fail in the same way, and a candidate that passes so is confirmed by the command itself.
    Before that, what judges is put back byte for byte; a run that changes it does not pass.

    Parameters
    ----------
    command
        As the user typed it.
    staged
        Pristine between calls; only this object may put changes into it.
    timeout
        Seconds that one run may take. A candidate gets less once it is known how long runs take.
    network
        Leave the network on.
    cancel
        Ends whatever runs.
    known
        What the command gives on the code as it is, if it was run already.
    """

    def __init__(
        self,
        command: str,
        staged: StagedCopy,
        *,
        timeout: float,
        network: bool = False,
        cancel: threading.Event | None = None,
        known: CheckResult | None = None,
    ) -> None:
        self.command = command
        self._known = known
        self.tally = CheckCounts()
        self._staged = staged
        self._timeout = timeout
        self._network = network
        self._cancel = cancel
        self._alone = threading.Lock()
        self._before: CheckResult | None = None
        self._longest = {True: 0.0, False: 0.0}
        self._warm: Warm | None = None
        self._whole = False
        self._failing: list[str] = []
        self._warming: threading.Thread | None = None
        self._ran = threading.Event()
        self._prepared = threading.Event()
        self._closing = threading.Event()
        self.judges: Judges = of_command(command, staged.root)
        self._untouched = Untouched(staged, lambda: self.judges)
        self._trusted = False

    def __enter__(self) -> Checker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process; must come before the staged copy goes."""
        self._closing.set()
        self._ran.set()
        if self._warming is not None:
            self._warming.join()

    def before(self, on_output: Callable[[str], None] | None = None) -> CheckResult:
        """Run the command on the code as it is, and get ready for candidates in the background.

        Raises
        ------
        CheckCommandError
            The command itself cannot run.
        """
        if warmable(self.command):
            self._warming = threading.Thread(target=self._keep_warm, name="loom-check", daemon=True)
            self._warming.start()
        try:
            with self._alone:
                found = self._noted(self._known) if self._known else self._cold(self._timeout, on_output)
                self._untouched.learn()
                self._staged.restore()
                self.judges = with_failures(
                    self.judges, found.raw, found.cases or (), self._staged.root, self._untouched.paths
                )
                self._before = found
        finally:
            self._ran.set()
        return found

    def trace(self) -> Evidence | None:
        """Run the command once more and record what its failing tests execute; None where that cannot be told."""
        if not self._wait():
            return None
        with self._alone:
            try:
                return self._trace()
            finally:
                self._staged.restore()

    def _trace(self) -> Evidence | None:
        limit, root = self._limit(), self._staged.root
        if self._warm is None:
            return trace_check(
                self.command,
                root,
                timeout=limit,
                cancel=self._cancel,
                workspace=self._staged.workspace,
                network=self._network,
            )
        with trace_folder(root) as folder:
            self._warm.run(
                timeout=limit,
                cancel=self._cancel,
                # Of a long suite, the failing tests are traced and, to compare them with, their neighbours.
                args=None if self._whole else ["-q", *dict.fromkeys(t.partition("::")[0] for t in self._failing)],
                more=PLUGIN,
                environ=tracing(folder, root),
                path=[TRACING],
            )
            return collect(folder)

    def attempt(self, changes: Sequence[FileChange]) -> CheckResult:
        """Check a candidate; the copy is pristine again afterwards."""
        if not self._wait():
            return result(ProcessExit("cancelled", 143, 0.0, ""), self._timeout)
        with self._alone:
            if not self._trusted:
                # So far only the code as it is has run.
                self._untouched.trust()
                self._trusted = True
            try:
                return self._judge(changes)
            finally:
                self._staged.restore()

    def outdated(self) -> str | None:
        """Return a file that judges and has changed in the workspace since the copy was made; None if none has."""
        with self._alone:
            return self._untouched.outdated()

    def _wait(self) -> bool:
        """Wait until candidates can be tried; False if the user stopped that."""
        while self._warming is not None and not self._prepared.wait(0.1):
            if self._cancel is not None and self._cancel.is_set():
                return False
        return True

    def _judge(self, changes: Sequence[FileChange]) -> CheckResult:
        self._staged.put(changes)
        warm = self._warm
        limit = self._limit(warm=True)
        if warm is not None and self._failing:
            self.tally.screened += 1
            screened = warm.run(timeout=limit, cancel=self._cancel, args=_selection(self._failing))
            if warm.alive and not screened.passed:
                return screened
            self._reset(changes)
        if warm is not None and warm.alive and self._whole:
            self.tally.warm += 1
            found = warm.run(timeout=limit, cancel=self._cancel)
            if warm.alive and not found.passed:
                return self._noted(found, warm=True)
        self._reset(changes)
        return self._verdict(changes)

    def _reset(self, changes: Sequence[FileChange]) -> None:
        """Put the candidate into a pristine copy again: no run may see what another left behind."""
        self._staged.restore()
        self._untouched.restore()
        self._staged.put(changes)

    def _verdict(self, changes: Sequence[FileChange]) -> CheckResult:
        """Run the command on the candidate; what judges must be the same before and after."""
        try:
            found = self._cold(self._limit())
        except CheckCommandError as error:
            # It could run on the code as it is: the candidate has taken away what it needs.
            return replace(result(ProcessExit(None, 1, 0.0, ""), self._timeout), summary=str(error))
        changed = self._untouched.touched([change.path for change in changes]) if found.passed else None
        if changed is None:
            return found
        return replace(found, passed=False, summary=f"changes {changed} while it runs, which it is judged by")

    def _cold(self, timeout: float, on_output: Callable[[str], None] | None = None) -> CheckResult:
        self.tally.cold += 1
        root, workspace = self._staged.root, self._staged.workspace
        found = run_check(
            self.command,
            root,
            timeout=timeout,
            cancel=self._cancel,
            on_output=on_output,
            workspace=workspace,
            network=self._network,
            environ=reporting(self.command, root, workspace),
        )
        output, raw = map(without_report, (found.output, found.raw))
        return self._noted(replace(found, output=output, raw=raw, cases=take_cases(root)))

    def _noted(self, found: CheckResult, *, warm: bool = False) -> CheckResult:
        if not (found.timed_out or found.cancelled or found.out_of_memory):
            self._longest[warm] = max(self._longest[warm], found.seconds)
        return found

    def _limit(self, *, warm: bool = False) -> float:
        """Seconds for a candidate: one that loops must not eat the whole budget."""
        floor = _SHORTEST_WARM if warm else _SHORTEST
        return min(self._timeout, max(floor, _PATIENCE * self._longest[warm]))

    def _keep_warm(self) -> None:
        """Start pytest beside the first run, and prove afterwards that it says the same as the command.

        The thread stays until the end: the system ends a process with the thread that started it.
        """
        warm = Warm(
            self.command,
            self._staged.root,
            timeout=self._timeout,
            workspace=self._staged.workspace,
            network=self._network,
        )
        try:
            ready = warm.ready(self._closing)
            self._ran.wait()
            with self._alone:
                if ready and self._prove(warm):
                    self._warm = warm
            self._prepared.set()
            if self._warm is not None:
                self._closing.wait()
        finally:
            self._prepared.set()
            self._warm = None
            warm.close()

    def _prove(self, warm: Warm) -> bool:
        """Have the server import what tests need, then see whether it fails as the command did."""
        before = self._before
        if before is None or before.passed or before.timed_out or before.cancelled:
            return False
        failing = failing_tests(before.raw)
        chosen = failing[:_SCREENED] if warm.selects else []
        short = (duration(before.raw) or before.seconds) < _WORTH_PROVING
        if not chosen and not short:
            return False
        warm_up = warm.run(
            timeout=self._timeout, cancel=self._closing, args=_selection(chosen) if chosen else None
        )
        self._staged.restore()
        if not warm.alive or (warm_up.passed or (warm.modules and not warm.preload(self._closing))):
            return False
        if short:
            whole = self._noted(warm.run(timeout=self._timeout, cancel=self._closing), warm=True)
            self._staged.restore()
            self._whole = _same(whole, before, failing)
            if not self._whole:
                return False
        if chosen and warm.alive:
            alone = warm.run(timeout=self._timeout, cancel=self._closing, args=_selection(chosen))
            self._noted(alone, warm=True)
            self._staged.restore()
            if not alone.passed and failing_tests(alone.raw) == chosen:
                self._failing = chosen
        return warm.alive and (self._whole or bool(self._failing))


def _same(found: CheckResult, before: CheckResult, failing: list[str]) -> bool:
    return (found.code, found.tests, failing_tests(found.raw)) == (before.code, before.tests, failing)


def _selection(tests: Sequence[str]) -> list[str]:
    return ["-q", "-rfE", *tests]


# What a check's result says of a candidate, given what it said of the code as it was.

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
