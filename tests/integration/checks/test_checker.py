from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest

from loom_jupyter.checks.checker import CheckCounts, Checker
from loom_jupyter.checks.report import Counts
from loom_jupyter.checks.warm import Warm, warmable
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import CheckCommandError

linux = pytest.mark.skipif(sys.platform != "linux", reason="pytest is kept warm on Linux only")

TARIFF = b"def tariff(weight):\n    if weight < 2:\n        return 5\n    return 7\n"
RIGHT = TARIFF.replace(b"< 2", b"<= 2")
WRONG = TARIFF.replace(b"< 2", b"< 1")
BREAKS = TARIFF.replace(b"< 2", b"> 1")
LOOPS = TARIFF.replace(b"    if", b"    while weight: pass\n    if")
TESTS = (
    "import os\nfrom pathlib import Path\nfrom tariff import tariff\n"
    "def test_limit():\n    assert tariff(2) == 5\n"
    "def test_small():\n    assert tariff(1) == 5\n"
    "def test_leaves_things():\n    left = Path('left.db')\n    assert not left.exists()\n    left.touch()\n"
)

Open = Callable[..., AbstractContextManager[Checker]]


def change(after: bytes) -> list[FileChange]:
    return [FileChange("tariff.py", TARIFF, after)]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    (root / "tests").mkdir(parents=True)
    (root / "tariff.py").write_bytes(TARIFF)
    (root / "tests" / "test_tariff.py").write_text(TESTS)
    return root


@pytest.fixture
def checker(workspace: Path, tmp_path: Path) -> Open:
    @contextmanager
    def open_(command: str = "pytest -q", timeout: float = 60, **how: threading.Event) -> Iterator[Checker]:
        with StagedCopy(workspace, tmp_path / "stage") as staged, Checker(
            command, staged, timeout=timeout, **how
        ) as made:  # fmt: skip
            yield made

    return open_


def servers() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if "warm_server" in " ".join(p.cmdline())]


@linux
@pytest.mark.parametrize("command", ["pytest -q", "python -m pytest -q --ff -k 'not nothing'"])
def test_candidates_are_tried_warm_and_confirmed_cold(checker: Open, workspace: Path, command: str) -> None:
    with checker(command) as bench:
        before = bench.before()
        assert before.tests == Counts(2, 1)
        wrong = bench.attempt(change(WRONG))
        assert (wrong.passed, wrong.tests) == (False, Counts(0, 1))
        assert "assert 7 == 5" in wrong.output
        breaks = bench.attempt(change(BREAKS))
        assert (breaks.passed, breaks.tests) == (False, Counts(2, 1))
        right = bench.attempt(change(RIGHT))
        assert (right.passed, right.tests) == (True, Counts(3))
        assert bench.attempt(change(WRONG)).summary == "1 failed"
        assert bench.tally == CheckCounts(cold=2, warm=2, screened=4)
        assert len(servers()) == 1
    assert servers() == []
    assert (workspace / "tariff.py").read_bytes() == TARIFF


@linux
def test_a_candidate_that_loops_or_crashes_costs_little_and_harms_nothing(
    checker: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loom_jupyter.checks.checker._SHORTEST_WARM", 2.0)
    monkeypatch.setattr("loom_jupyter.checks.checker._PATIENCE", 0.0)
    with checker() as bench:
        bench.before()
        loops = bench.attempt(change(LOOPS))
        assert loops.timed_out
        assert loops.seconds < 6
        crash = TARIFF.replace(b"    if", b"    import os; os.kill(os.getpid(), 9)\n    if")
        assert bench.attempt(change(crash)).code == 137
        stray = TARIFF.replace(
            b"    if", b"    import subprocess; subprocess.Popen(['sleep', '311'], start_new_session=True)\n    if"
        )
        assert not bench.attempt(change(stray)).passed
        assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "311"]]
        monkeypatch.setattr("loom_jupyter.checks.checker._SHORTEST_WARM", 60.0)
        assert bench.attempt(change(RIGHT)).passed
        assert bench.tally.cold == 2


@linux
def test_a_server_that_dies_is_replaced_by_the_command(checker: Open) -> None:
    with checker() as bench:
        bench.before()
        assert not bench.attempt(change(WRONG)).passed
        for server in servers():
            server.kill()
        wrong = bench.attempt(change(WRONG))
        assert (wrong.passed, wrong.tests) == (False, Counts(1, 2))
        assert bench.attempt(change(RIGHT)).passed


@linux
def test_of_a_long_suite_only_failing_tests_are_kept_warm(
    checker: Open, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "tests" / "test_far.py").write_text("def test_far(): pass\n")
    monkeypatch.setattr("loom_jupyter.checks.checker._WORTH_PROVING", 0.0)
    with checker() as bench:
        bench.before()
        found = bench.trace()
        assert found is not None
        assert (found.failed, found.passed) == (1, 2)
        assert bench.attempt(change(WRONG)).tests == Counts(0, 1)
        assert bench.attempt(change(BREAKS)).tests == Counts(3, 1)
        assert bench.attempt(change(RIGHT)).passed
        assert bench.tally == CheckCounts(cold=3, warm=0, screened=3)


@linux
def test_what_does_not_fail_the_same_way_warm_is_not_used(checker: Open, workspace: Path) -> None:
    (workspace / "tests" / "test_tariff.py").write_text(
        TESTS + "import sys\ndef test_cold_only():\n    assert 'warm_server' not in ' '.join(sys.orig_argv)\n"
    )
    with checker() as bench:
        assert bench.before().tests == Counts(3, 1)
        assert bench.attempt(change(RIGHT)).passed
        assert bench.tally == CheckCounts(cold=2)
    assert servers() == []


@pytest.mark.parametrize(
    "command", ["pytest -q; true && false", "python -m unittest tests/test_tariff.py", "false"]
)
def test_any_other_command_runs_as_it_is(checker: Open, command: str) -> None:
    with checker(command) as bench:
        bench.before()
        bench.attempt(change(RIGHT))
        assert bench.tally == CheckCounts(cold=2)


def test_a_check_that_passes_already_is_not_kept_warm(checker: Open, workspace: Path) -> None:
    (workspace / "tariff.py").write_bytes(RIGHT)
    with checker() as bench:
        assert bench.before().passed
        assert bench.attempt(change(RIGHT)).passed
        assert bench.tally == CheckCounts(cold=2)
    assert servers() == []


def test_a_command_that_cannot_run(checker: Open) -> None:
    with checker("loom-no-such-program") as bench, pytest.raises(CheckCommandError):
        bench.before()


@linux
def test_stopping_is_prompt_at_any_moment(checker: Open) -> None:
    for delay in (0.3, 2.0, 4.0):
        cancel = threading.Event()
        timer = threading.Timer(delay, cancel.set)
        with checker(cancel=cancel) as bench:
            timer.start()
            results = [bench.before()]
            while not results[-1].cancelled:
                results.append(bench.attempt(change(LOOPS)))
            begin = time.monotonic()
        assert time.monotonic() - begin < 3
        assert servers() == []


def test_evidence_leaves_the_copy_as_it_was(checker: Open) -> None:
    with checker() as bench:
        bench.before()
        found = bench.trace()
        assert found is not None
        assert [f.symbol for f in found.functions] == ["tariff"]
        assert bench.attempt(change(RIGHT)).passed


@linux
@pytest.mark.parametrize(
    ("command", "taken"),
    [
        ("pytest", True),
        ("pytest -q tests/a.py::test_b -k 'a or b'", True),
        ("python -m pytest -x", True),
        ("py.test", True),
        ("pytest tests/*.py", False),
        ("X=1 pytest", False),
        ("pytest | tail", False),
        ("pytest $ARGS", False),
        ("/usr/bin/pytest", False),
        ("make test", False),
        ("python -m unittest", False),
        ("pytest 'open", False),
        ("", False),
    ],
)
def test_warmable(command: str, taken: bool) -> None:
    assert (warmable(command) is not None) == taken


@linux
def test_warm_runs_are_fresh_processes(workspace: Path) -> None:
    (workspace / "tests" / "test_tariff.py").write_text(
        "import os, random, sys, jinja2\n"
        "def test_seen():\n"
        "    assert 'tariff' not in sys.modules\n"
        "    import tariff\n"
        "    assert not any('loom' in entry for entry in sys.path if entry.endswith('edits'))\n"
        "    assert os.environ.pop('LOOM_ONCE', None) is None\n"
        "    os.environ['LOOM_ONCE'] = '1'\n"
        "    print(os.getpid(), random.random(), sys.argv, sys.path[0], sys.stdin.read() == '')\n"
    )
    warm = Warm("pytest -q -s", workspace, timeout=60)
    try:
        assert warm.ready()
        seen = [warm.run(timeout=60)]
        assert "jinja2" in warm.modules
        assert warm.preload()
        seen.append(warm.run(timeout=60))
        assert warm.modules == []
    finally:
        warm.close()
    lines = [next(line for line in run.raw.splitlines() if "True" in line).split() for run in seen]
    assert all(run.passed for run in seen)
    assert lines[0][0] != lines[1][0]
    assert lines[0][1] != lines[1][1]
    assert "'-q', '-s'" in seen[0].raw
    with pytest.raises(ValueError, match="more than pytest"):
        Warm("make test", workspace, timeout=1)
