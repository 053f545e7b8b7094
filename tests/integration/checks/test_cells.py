"""The check that a notebook has by itself, in a real kernel."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loom_jupyter.checks import cells
from loom_jupyter.checks.cells import Cell, Session
from loom_jupyter.checks.checker import Checker
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import CheckCommandError

linux = pytest.mark.skipif(sys.platform != "linux", reason="checks are kept warm on Linux only")

TARIFF = b"def tariff(weight):\n    if weight < 2:\n        return 5\n    return [][1]\n"
RIGHT = TARIFF.replace(b"[][1]", b"7")
WRONG = TARIFF.replace(b"[][1]", b"None")
BREAKS = b"def tariff(weight):\n    return 7\n"


def ran(*sources: str, error: str = "", folder: str = "") -> Session:
    """Return a session; the last of its cells failed if there is an `error`."""
    last = len(sources) - 1
    found = [Cell(number=2 * n + 1, source=s, error=error if n == last else "") for n, s in enumerate(sources)]
    return Session(cells=tuple(found), folder=folder)


@pytest.fixture
def staged(tmp_path: Path) -> Iterator[StagedCopy]:
    workspace = tmp_path / "ws"
    (workspace / "notebooks").mkdir(parents=True)
    (workspace / "tariff.py").write_bytes(TARIFF)
    with StagedCopy(workspace, tmp_path / "stage") as copy:
        yield copy


@pytest.fixture
def place(staged: StagedCopy) -> Callable[..., tuple[Checker, list[str]]]:
    """Put a session's check into the copy; return its checker and what was said."""

    def put(session: Session) -> tuple[Checker, list[str]]:
        said: list[str] = []
        placed = cells.place(session, staged, said.append, timeout=60)
        assert placed is not None
        return Checker(placed[0], staged, timeout=60, known=placed[1]), said

    return put


def change(after: bytes) -> list[FileChange]:
    return [FileChange("tariff.py", TARIFF, after)]


NOTEBOOK = (
    "import asyncio\nfrom tariff import tariff\nprint('7 failed in 0.1s')",
    "%time assert tariff(1) == 5\nwords = !echo 3 failed, 2 passed in 1.0s",
    "await asyncio.sleep(0)\ndef price(weight):\n    return 1 + tariff(weight)",
    "display(price(1))\ntotal = price(2)",
)


def test_the_check_fails_now_and_passes_when_the_error_is_gone(
    place: Callable[..., tuple[Checker, list[str]]],
) -> None:
    checker, said = place(ran(*NOTEBOOK, error="IndexError"))
    with checker:
        before = checker.before()
        assert (before.passed, before.summary) == (False, "1 failed, 3 passed")
        assert 'File "In [7]", line 2, in <module>' in before.output
        assert 'File "In [5]", line 3, in price' in before.output
        assert 'File "tariff.py", line 4, in tariff' in before.output
        assert "IndexError: list index out of range" in before.output
        assert "loom cell" not in before.output
        right = checker.attempt(change(RIGHT))
        assert (right.passed, right.summary) == (True, "4 passed")
        other_error = checker.attempt(change(WRONG))
        assert not other_error.passed
        assert "TypeError" in other_error.output
        breaks_another = checker.attempt(change(BREAKS))
        assert not breaks_another.passed
        assert "In [3] fails:" in breaks_another.output
    assert said == [
        "The check runs 4 cells of this session (In [1], [3], [5], [7]) in a fresh kernel, against the copy; "
        "it passes when In [7] does not raise IndexError any more and no other cell newly fails."
    ]


@linux
def test_only_a_kernel_can_pass_a_candidate_and_most_fail_without_one(
    place: Callable[..., tuple[Checker, list[str]]],
) -> None:
    checker, _ = place(ran(*NOTEBOOK, error="IndexError"))
    with checker:
        checker.before()
        for _ in range(5):
            assert not checker.attempt(change(WRONG)).passed
        assert checker.attempt(change(RIGHT)).passed
        assert (checker.tally.cold, checker.tally.warm) == (1, 6)  # the code as it is was run by then


def test_what_the_failing_cell_executes_is_evidence(place: Callable[..., tuple[Checker, list[str]]]) -> None:
    checker, _ = place(ran(*NOTEBOOK, error="IndexError"))
    with checker:
        checker.before()
        traced = checker.trace()
    assert traced is not None
    assert [(f.path, f.symbol, f.failing, f.passing) for f in traced.functions] == [("tariff.py", "tariff", 1, 1)]
    assert (traced.lines[0].path, traced.lines[0].line) == ("tariff.py", 4)


def test_a_cell_that_fails_as_before_may_go_on(place: Callable[..., tuple[Checker, list[str]]]) -> None:
    checker, said = place(ran("1 / 0", *NOTEBOOK, error="IndexError"))
    with checker:
        assert checker.before().summary == "1 failed, 3 passed, 1 skipped"
        assert checker.attempt(change(RIGHT)).summary == "4 passed, 1 skipped"
    assert (
        "In [1] fails there (ZeroDivisionError: division by zero), though not here: it may go on failing." in said
    )


def test_an_error_of_the_session_alone_is_told_at_once(place: Callable[..., tuple[Checker, list[str]]]) -> None:
    checker, said = place(ran("from tariff import tariff", "tariff(1)", error="NameError"))
    assert "In [3] does not fail in a fresh kernel: its NameError comes from what this session holds" in said[-1]
    with checker:
        assert checker.before().passed


def test_cells_that_cannot_be_run_again_are_no_check(place: Callable[..., tuple[Checker, list[str]]]) -> None:
    with pytest.raises(CheckCommandError) as caught:
        place(ran("open('/nowhere/prices.csv')\nprices = {}", "prices['AT']", error="KeyError"))
    assert "In [1] fails there (FileNotFoundError" in str(caught.value)
    assert "In [3] then fails with NameError" in str(caught.value)
    assert "--check CMD" in str(caught.value)


def test_another_error_than_here_is_told(place: Callable[..., tuple[Checker, list[str]]]) -> None:
    _, said = place(ran("from tariff import tariff", "tariff(2)", error="KeyError"))
    assert said[-1] == "In [3] fails with IndexError: list index out of range there, not with KeyError as here."


def test_cells_run_in_the_kernels_folder_and_mean_the_copy(
    place: Callable[..., tuple[Checker, list[str]]], staged: StagedCopy
) -> None:
    where = (
        "import sys, os\n"
        f"assert os.getcwd() == {str(staged.root / 'notebooks')!r}, os.getcwd()\n"
        f"sys.path.insert(0, {str(staged.workspace)!r})\n"
        "import tariff\n"
        f"assert tariff.__file__.startswith({str(staged.root)!r}), tariff.__file__"
    )
    checker, said = place(ran(where, "tariff.tariff(2)", error="IndexError", folder="notebooks"))
    assert len(said) == 1, said
    with checker:
        checker.before()
        assert checker.attempt(change(RIGHT)).passed


def test_without_a_failed_cell_the_check_is_that_nothing_breaks(
    place: Callable[..., tuple[Checker, list[str]]],
) -> None:
    checker, said = place(ran("from tariff import tariff", "tariff(1) + 1"))
    assert said == [
        "No cell has failed in this session. The check runs 2 cells of this session (In [1], [3]) in a fresh "
        "kernel, against the copy, and fails if any of them fails."
    ]
    with checker:
        assert checker.before().passed
        assert not checker.attempt(change(TARIFF.replace(b"return 5", b"return None"))).passed


def test_a_dying_kernel_is_a_failing_cell(place: Callable[..., tuple[Checker, list[str]]]) -> None:
    with pytest.raises(CheckCommandError, match="instead of IndexError"):
        place(ran("import os\nos._exit(3)", "1", error="IndexError"))


def test_cells_have_the_limits_of_a_check(staged: StagedCopy, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckCommandError, match="longer than 3 s"):
        cells.place(ran("while True: pass"), staged, lambda _: None, timeout=3)
    monkeypatch.setenv("SHOP_API_KEY", "k-1234")
    session = ran(
        "import os\nassert 'SHOP_API_KEY' not in os.environ\nopen('left.txt', 'w')",
        "1 / 0",
        error="ZeroDivisionError",
    )
    staged.drop(cells.NAME)
    said: list[str] = []
    assert cells.place(session, staged, said.append, timeout=60)
    assert len(said) == 1, said
    assert not (staged.root / "left.txt").exists()


def test_stop_ends_it(staged: StagedCopy) -> None:
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    assert cells.place(ran("while True: pass"), staged, lambda _: None, timeout=60, cancel=cancel) is None


def test_what_is_missing_is_said_before_a_run_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckCommandError, match="start the run in one"):
        cells.require(None)
    with pytest.raises(CheckCommandError, match="a cell that ran before this one"):
        cells.require(Session())
    real = cells.importlib.util.find_spec
    monkeypatch.setattr(cells.importlib.util, "find_spec", lambda name: None if name == "nbclient" else real(name))
    with pytest.raises(CheckCommandError, match="pip install nbclient"):
        cells.require(ran("1"))
