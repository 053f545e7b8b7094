"""A pytest plugin, and a hook for unittest, that record which workspace lines every test executes.

It runs inside the check's own process (`edits.evidence` puts this folder on its ``PYTHONPATH``), so it uses the
standard library alone and must never change what a test does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

LINES_A_FUNCTION = 2000
"""Without `sys.monitoring`, a function that executed this many lines in one test is left in peace: loops cost."""
IDS = 50
SHOWING = frozenset({"__repr__", "__str__"})


class Recorder:
    """Counts, line by line, the failing and the passing tests that executed it."""

    def __init__(self, root: Path) -> None:
        self._root = str(root) + os.sep
        self._files: dict[str, str | None] = {}
        self._lines: dict[str, dict[int, list[int]]] = {}
        self._functions: dict[str, dict[int, list[Any]]] = {}
        self._tests: dict[str, Any] = {"failing": [], "failed": 0, "passed": 0}
        # By id: hashing a code object is slow. The code is kept beside, so that its id stays its own.
        self.now: dict[int, tuple[CodeType, set[int]]] = {}

    def path(self, filename: str) -> str | None:
        """Return the workspace's path of a source file, None for other code."""
        if filename not in self._files:
            full = os.path.realpath(filename)
            inside = full.startswith(self._root) and "site-packages" not in full and Path(full).exists()
            self._files[filename] = full[len(self._root) :].replace(os.sep, "/") if inside else None
        return self._files[filename]

    def leave_out(self, filename: str) -> None:
        """Record nothing of a file."""
        self._files[filename] = None

    def finish(self, test: str, outcome: str) -> None:
        """Book what was executed to a test that `passed`, `failed` or did something else."""
        seen, self.now = self.now, {}
        if outcome not in ("passed", "failed"):
            return
        self._tests[outcome] += 1
        if outcome == "failed" and len(self._tests["failing"]) < IDS:
            self._tests["failing"].append(test)
        column = 0 if outcome == "failed" else 1
        functions: set[tuple[str, str, int]] = set()
        for code, lines in seen.values():
            path = self.path(code.co_filename) or ""
            table = self._lines.setdefault(path, {})
            for line in lines:
                table.setdefault(line, [0, 0])[column] += 1
            name, _, inner = code.co_qualname.partition(".<locals>")
            if not inner and not name.startswith("<"):
                functions.add((path, name, code.co_firstlineno))
        for path, name, first in functions:
            # By its first line: a property and its setter share a name.
            counts = self._functions.setdefault(path, {}).setdefault(first, [name, 0, 0])
            counts[1 + column] += 1

    def write(self, folder: Path) -> None:
        """Write everything down, one file a process."""
        found = {"tests": self._tests, "lines": self._lines, "functions": self._functions}
        (folder / f"{os.getpid()}-{id(self)}.json").write_text(json.dumps(found), "utf-8")


class SettraceTracer:
    """Tracing for Python 3.11: a callback a call and a line.

    What a test framework executes to show a value in its report is not what the test executes: it is left out.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._on = False
        self._showing: set[int] = set()

    def start(self) -> None:
        """Trace, unless a debugger or a coverage tool traces already."""
        if sys.gettrace() is None:
            self._on = True
            threading.settrace(self._call)
            sys.settrace(self._call)

    def stop(self) -> None:
        """End what `start` began."""
        if self._on:
            self._on = False
            sys.settrace(None)
            threading.settrace(None)

    def _call(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        del event, arg
        code = frame.f_code
        recorder = self._recorder
        if (self._showing and threading.get_ident() in self._showing) or recorder.path(code.co_filename) is None:
            return None
        caller = frame.f_back
        if code.co_name in SHOWING and caller and recorder.path(caller.f_code.co_filename) is None:
            return self._pause(frame)
        lines = recorder.now.setdefault(id(code), (code, set()))[1]
        left = LINES_A_FUNCTION

        def line(frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
            nonlocal left
            del arg
            if event == "line":
                lines.add(frame.f_lineno)
                left -= 1
                frame.f_trace_lines = left > 0
            return line

        return line

    def _pause(self, frame: FrameType) -> Callable[..., Any]:
        """Record nothing in this thread until a function returns."""
        thread = threading.get_ident()
        self._showing.add(thread)
        frame.f_trace_lines = False

        def waiting(frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
            del frame, arg
            if event == "return":
                self._showing.discard(thread)
            return waiting

        return waiting


class MonitoringTracer:
    """Tracing for Python 3.12 and later: each line tells once a test, then costs nothing."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._monitoring: Any = getattr(sys, "monitoring")  # noqa: B009 (mypy checks as 3.11)
        free = [number for number in (4, 3) if self._monitoring.get_tool(number) is None]
        self._tool: int | None = free[0] if free else None
        self._on = False
        if self._tool is not None:
            events = self._monitoring.events
            self._monitoring.use_tool_id(self._tool, "loom")
            self._monitoring.register_callback(self._tool, events.PY_START, self._begin)
            self._monitoring.register_callback(self._tool, events.LINE, self._line)

    def start(self) -> None:
        """Listen; every line tells once more."""
        if self._tool is not None:
            self._on = True
            self._monitoring.restart_events()
            self._monitoring.set_events(self._tool, self._monitoring.events.PY_START)

    def stop(self) -> None:
        """Listen no more."""
        if self._tool is not None:
            self._on = False
            self._monitoring.set_events(self._tool, 0)

    def _begin(self, code: CodeType, offset: int) -> object:
        del offset
        if self._on and self._recorder.path(code.co_filename) is not None:
            self._monitoring.set_local_events(self._tool, code, self._monitoring.events.LINE)
        return self._monitoring.DISABLE

    def _line(self, code: CodeType, line: int) -> object:
        if self._on:
            self._recorder.now.setdefault(id(code), (code, set()))[1].add(line)
        return self._monitoring.DISABLE


class Session:
    """One test session: a recorder, a tracer, and how the running test fares."""

    def __init__(self) -> None:
        self.recorder = Recorder(Path(os.environ["LOOM_TRACE_ROOT"]).resolve())
        monitored = hasattr(sys, "monitoring")
        self.tracer = (MonitoringTracer if monitored else SettraceTracer)(self.recorder)
        self.outcome = ""
        self.running = False

    def begin(self) -> None:
        """A test begins."""
        self.outcome = "passed"
        self.running = True
        self.tracer.start()

    def end(self, test: str) -> None:
        """A test has ended."""
        self.tracer.stop()
        self.running = False
        self.recorder.finish(test, self.outcome)

    def write(self) -> None:
        """Write down what was recorded."""
        self.recorder.write(Path(os.environ["LOOM_TRACE_DIR"]))


_session: Session | None = None


# --- pytest --------------------------------------------------------------------------------------------------


def pytest_sessionstart() -> None:
    """Begin, unless a test runs a pytest session of its own in this process."""
    global _session
    if _session is None and "LOOM_TRACE_DIR" in os.environ:
        _session = Session()


def pytest_runtest_protocol(item: Any, nextitem: Any) -> Iterator[None]:
    """Trace one test with its fixtures."""
    del nextitem
    if _session is None or _session.running:
        yield
        return
    _session.begin()
    yield
    _session.end(item.nodeid)


# What ``pytest.hookimpl(hookwrapper=True)`` sets; importing pytest here would load it into unittest's process.
pytest_runtest_protocol.pytest_impl = {  # type: ignore[attr-defined]
    "hookwrapper": True, "wrapper": False, "optionalhook": False, "tryfirst": True, "trylast": False,
    "specname": None,
}  # fmt: skip


def pytest_runtest_logreport(report: Any) -> None:
    """Note how the running test fares."""
    if _session is not None and _session.running:
        if report.failed:
            _session.outcome = "failed"
        elif report.skipped and _session.outcome == "passed":
            _session.outcome = "skipped"


def pytest_sessionfinish() -> None:
    """Write down what was recorded."""
    if _session is not None and not _session.running:
        _session.write()


# --- unittest ------------------------------------------------------------------------------------------------


def watch_unittest() -> None:
    """Trace every test that unittest runs."""
    import atexit
    import unittest

    session = Session()
    real = unittest.TestCase.run

    def run(self: unittest.TestCase, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
        if result is None or session.running:
            return real(self, result)
        before = len(result.failures) + len(result.errors)
        skipped = len(result.skipped)
        session.begin()
        try:
            return real(self, result)
        finally:
            if len(result.failures) + len(result.errors) > before:
                session.outcome = "failed"
            elif len(result.skipped) > skipped:
                session.outcome = "skipped"
            session.end(self.id())

    unittest.TestCase.run = run  # type: ignore[method-assign]
    atexit.register(session.write)
