"""A verdict is that of the workspace's own tests, whatever the code that is tried does to them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from loom_jupyter.checks.checker import Checker, verdict
from loom_jupyter.checks.report import REPORT
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import StagedCopy

WRONG = "def price(weight):\n    return 7.2\n"
RIGHT = "def price(weight):\n    return 4.9 if weight <= 2 else 7.2\n"
TEST = (
    "from prices import price\n\n\ndef test_bound():\n    assert price(2) == 4.9\n\n\n"
    "def test_more():\n    assert price(3) == 7.2\n"
)
EMPTY = "def test_bound():\n    pass\n\n\ndef test_more():\n    pass\n"
# The test as long as it was, with the times that it had: only its bytes tell.
HERE = (
    "import os\n_h = os.path.dirname(os.path.abspath(__file__))\n"
    "_t = os.path.join(_h, 'tests', 'test_prices.py')\n"
)
ALIKE = (
    f"{HERE}_s = os.stat(_t)\n_b = open(_t).read().replace('== 4.9', '!= 4.9')\nopen(_t, 'w').write(_b)\n"
    "os.utime(_t, ns=(_s.st_atime_ns, _s.st_mtime_ns))\n"
)

Open = Callable[..., AbstractContextManager[Checker]]


def writes(name: str, text: str) -> str:
    """Return a program that repairs nothing and writes a file next to it when it is imported."""
    return (
        f"import os\n_f = os.path.join(os.path.dirname(os.path.abspath(__file__)), {name!r})\n"
        f"os.makedirs(os.path.dirname(_f), exist_ok=True)\nopen(_f, 'w').write({text!r})\n{WRONG}"
    )


def change(after: str) -> list[FileChange]:
    return [FileChange("prices.py", WRONG.encode(), after.encode())]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    (root / "tests").mkdir(parents=True)
    (root / "prices.py").write_text(WRONG)
    (root / "tests" / "test_prices.py").write_text(TEST)
    (root / "conftest.py").write_text("")
    return root


@pytest.fixture
def checker(workspace: Path, tmp_path: Path) -> Open:
    @contextmanager
    def open_(command: str) -> Iterator[Checker]:
        with StagedCopy(workspace, tmp_path / "stage") as staged, Checker(command, staged, timeout=60) as made:
            yield made

    return open_


PYTEST = "python -m pytest -q tests/test_prices.py"
# More than pytest: every candidate runs cold, once.
COLD = f"env X=1 {PYTEST}"
# As a script that imports the program before it runs the tests in another process.
TWICE = "python -c 'import prices' && python -m pytest -q tests/test_prices.py"
ATTACKS = {
    "the test": writes("tests/test_prices.py", EMPTY),
    "the test, with its old time and size": ALIKE + WRONG,
    "a conftest": writes("conftest.py", "def pytest_collection_modifyitems(items):\n    items.clear()\n"),
    "a new conftest": writes("tests/conftest.py", "collect_ignore = ['test_prices.py']\n"),
    "settings": writes("pytest.ini", "[pytest]\naddopts = -k more\n"),
    "what Python reads first": writes("sitecustomize.py", f"import prices\n{RIGHT}prices.price = price\n"),
    "a module called pytest": writes("pytest.py", "import sys\nprint('2 passed in 0.1s')\nsys.exit(0)\n"),
    "removes the test": f"{HERE}os.unlink(_t)\n{WRONG}",
}


@pytest.mark.parametrize(
    ("command", "attack"),
    [
        *((TWICE, attack) for attack in ATTACKS),
        (PYTEST, "the test, with its old time and size"),
        (COLD, "the test"),
    ],
)
def test_code_that_changes_what_judges_it_does_not_pass(checker: Open, command: str, attack: str) -> None:
    with checker(command) as bench:
        before = bench.before()
        assert not before.passed
        assert not verdict(bench.attempt(change(ATTACKS[attack])), before).passed
        # Nothing of it is left for the next one.
        assert not verdict(bench.attempt(change(WRONG + "\n\nx = 1\n")), before).passed
        assert verdict(bench.attempt(change(RIGHT)), before).passed


@pytest.mark.parametrize(
    ("command", "ends"),
    [
        *((COLD, ends) for ends in ("os._exit(0)", "sys.exit(0)", "import pytest; pytest.exit('x', 0)")),
        (PYTEST, "os._exit(0)"),
    ],
)
def test_a_process_that_ends_well_before_its_tests_proves_nothing(checker: Open, command: str, ends: str) -> None:
    with checker(command) as bench:
        before = bench.before()
        tried = verdict(bench.attempt(change(f"import os, sys\n{ends}\n{WRONG}")), before)
        assert not tried.passed


@pytest.mark.parametrize(
    "skips", ["pytest.skip('x', allow_module_level=True)", "pytest.importorskip('no_such_module')"]
)
def test_a_skipped_module_proves_nothing(checker: Open, skips: str) -> None:
    with checker(COLD) as bench:
        before = bench.before()
        tried = verdict(bench.attempt(change(f"import pytest\n{skips}\n{WRONG}")), before)
        assert not tried.passed


def test_bytecode_that_a_candidate_planted_is_not_run(checker: Open, workspace: Path) -> None:
    plant = (
        f"{HERE}import importlib.util, marshal, struct\n_s = os.stat(_t)\n_c = compile({EMPTY!r}, _t, 'exec')\n"
        "_d = importlib.util.MAGIC_NUMBER + struct.pack('<III', 0, int(_s.st_mtime), _s.st_size)\n"
        "_d += marshal.dumps(_c)\n"
        "for _n in (importlib.util.cache_from_source(_t), os.path.join(_h, 'sitecustomize.pyc')):\n"
        "    os.makedirs(os.path.dirname(_n), exist_ok=True)\n    open(_n, 'wb').write(_d)\n"
    )
    code = 'import sys; sys.path[:0] = [".", "tests"]; import test_prices as t; t.test_bound(); t.test_more()'
    script = f"python -c '{code}'"
    with checker(script) as bench:
        before = bench.before()
        assert not before.passed
        assert not bench.attempt(change(plant + WRONG)).passed
        assert not bench.attempt(change(WRONG + "\n\nx = 1\n")).passed
        assert bench.attempt(change(RIGHT)).passed


def test_what_the_check_writes_by_itself_does_not_count(checker: Open, workspace: Path) -> None:
    (workspace / "tests" / "test_prices.py").write_text(
        f"from pathlib import Path\n{TEST}\n\ndef test_writes():\n    Path('tests/out.json').write_text('1')\n"
        "    Path('tests/__snapshots__').mkdir(exist_ok=True)\n    Path('tests/cache.db').write_text('1')\n"
    )
    (workspace / "tests" / "cache.db").write_text("0")
    command = f"touch tests/test_prices.py && {PYTEST}"
    with checker(command) as bench:
        before = bench.before()
        assert verdict(bench.attempt(change(RIGHT)), before).passed


def test_every_test_that_ran_is_known_by_name(checker: Open) -> None:
    with checker(COLD) as bench:
        before = bench.before()
        assert {name: str(ended) for (_, name), ended in (before.cases or {}).items()} == {
            "test_bound": "failed",
            "test_more": "passed",
        }
        assert REPORT not in before.raw
        found = bench.attempt(change("import pytest\n\n\ndef price(weight):\n    pytest.skip('x')\n"))
        assert found.passed
        assert verdict(found, before).reason == "tests.test_prices.test_bound is skipped now"


def test_a_check_that_asks_for_its_own_report_gets_it(checker: Open) -> None:
    with checker("python -m pytest -q --junitxml=own.xml; test -s own.xml") as bench:
        before = bench.before()
        assert before.passed
        assert before.cases is None


def test_a_test_that_the_user_changed_meanwhile_is_told(checker: Open, workspace: Path) -> None:
    with checker(COLD) as bench:
        bench.before()
        assert bench.outdated() is None
        (workspace / "tests" / "test_prices.py").write_text(TEST + "\n# more\n")
        assert bench.outdated() == "tests/test_prices.py"


def test_a_link_in_place_of_a_test_is_not_followed(checker: Open, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(EMPTY)
    swap = (
        f"import os\n_f = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tests', 'test_prices.py')\n"
        f"os.unlink(_f)\nos.symlink({str(outside)!r}, _f)\n{WRONG}"
    )
    with checker(COLD) as bench:
        before = bench.before()
        assert not verdict(bench.attempt(change(swap)), before).passed
        assert outside.read_text() == EMPTY
        assert verdict(bench.attempt(change(RIGHT)), before).passed


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="checks run on POSIX systems")
