from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loom_jupyter.checks.command import run_check
from loom_jupyter.checks.report import Place
from loom_jupyter.checks.trace import Evidence, trace_check

TARIFF = (
    "def tariff(weight):\n"
    "    if weight < 2:\n"
    "        return 5\n"
    "    return large(7)\n"
    "\n"
    "\n"
    "def large(price):\n"
    "    return sum(part for part in [price])\n"
    "\n"
    "\n"
    "class Fine:\n"
    "    def ok(self):\n"
    "        return True\n"
)
TESTS = (
    "import threading, unittest\n"
    "from tariff import Fine, tariff\n"
    "class T(unittest.TestCase):\n"
    "    def test_small(self):\n"
    "        self.assertEqual(tariff(1), 5)\n"
    "    def test_ok(self):\n"
    "        self.assertTrue(Fine().ok())\n"
    "    def test_limit(self):\n"
    "        got = []\n"
    "        thread = threading.Thread(target=lambda: got.append(tariff(2)))\n"
    "        thread.start()\n"
    "        thread.join()\n"
    "        self.assertEqual(got, [5])\n"
    "    @unittest.skip('later')\n"
    "    def test_later(self):\n"
    "        Fine().ok()\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    (root / "tests").mkdir(parents=True)
    (root / "tariff.py").write_text(TARIFF)
    (root / "tests" / "test_tariff.py").write_text(TESTS)
    return root


def pythons() -> list[str]:
    """This Python, and any newer one beside it that has pytest."""
    found = [sys.executable]
    for version in ("3.12", "3.13", "3.14"):
        path = shutil.which(f"python{version}")
        if (
            path
            and subprocess.run([path, "-c", "import pytest"], capture_output=True, check=False).returncode == 0
        ):
            found.append(path)
    return found


@pytest.mark.parametrize("python", pythons())
@pytest.mark.parametrize("runner", ["-m pytest -q", "-m unittest tests/test_tariff.py"])
def test_what_failing_tests_execute(project: Path, python: str, runner: str) -> None:
    before = sorted(project.rglob("*.py"))
    found = trace_check(f"{python} {runner}", project, timeout=60)
    assert found is not None
    assert (found.failed, found.passed) == (1, 2)
    assert [name.rpartition("test_")[2] for name in found.failing] == ["limit"]
    functions = [(f.path, f.symbol, f.line, f.failing, f.passing) for f in found.functions]
    assert functions == [("tariff.py", "large", 7, 1, 0), ("tariff.py", "tariff", 1, 1, 1)]
    assert {(line.line, line.passing) for line in found.lines} >= {(2, 1), (4, 0), (8, 0)}
    assert all(line.path == "tariff.py" and line.line not in (3, 13) for line in found.lines)
    assert found.functions[0].suspicion == 1.0
    assert found.places()[0] == Place("tariff.py", 7, "executed by the failing test and no passing one")
    assert Place("tariff.py", 1, "executed by the failing test and 1 of 2 passing") in found.places()
    assert Place("tariff.py", 4, "only failing tests execute this line") in found.places()
    assert sorted(project.rglob("*.py")) == before


def test_a_property_and_its_setter_are_two_functions(tmp_path: Path) -> None:
    (tmp_path / "box.py").write_text(
        "class Box:\n"
        "    @property\n"
        "    def size(self):\n"
        "        return self.n\n"
        "    @size.setter\n"
        "    def size(self, n):\n"
        "        self.n = n + 1\n"
    )
    (tmp_path / "test_box.py").write_text(
        "from box import Box\ndef test_size():\n    b = Box()\n    b.size = 1\n    assert b.size == 1\n"
    )
    found = trace_check(f"{sys.executable} -m pytest -q", tmp_path, timeout=60)
    assert found is not None
    assert sorted((f.symbol, f.line) for f in found.functions) == [("Box.size", 2), ("Box.size", 5)]


def test_an_erring_fixture_counts_as_failing(project: Path) -> None:
    (project / "tests" / "test_tariff.py").write_text(
        "import pytest\nfrom tariff import tariff\n@pytest.fixture\ndef price():\n    return tariff(3) / 0\n"
        "def test_a(price): pass\n"
    )
    found = trace_check("pytest -q", project, timeout=60)
    assert found is not None
    assert (found.failed, [f.symbol for f in found.functions]) == (1, ["tariff", "large"])


def test_parallel_and_nested_processes_add_up(project: Path) -> None:
    command = "pytest -q -k small; pytest -q -k 'ok or limit'"
    found = trace_check(command, project, timeout=60)
    assert found is not None
    assert (found.failed, found.passed) == (1, 2)


@pytest.mark.parametrize("command", ["true", "python -c 'import tariff'", "pytest -q -p no:loom_tracer"])
def test_no_tests_no_evidence(project: Path, command: str) -> None:
    assert trace_check(command, project, timeout=60) is None


def test_the_users_own_start_up_file_still_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = project / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import builtins\nbuiltins.HELLO = 1\n")
    (project / "tests" / "test_tariff.py").write_text("def test_hello():\n    assert HELLO == 1\n")
    # Whoever comes first on the path wins: put theirs behind ours, as an installed one is.
    code = f"import sys; sys.path.insert(1, {str(own)!r})"
    tracing = Path(trace_check.__code__.co_filename).parent / "tracing"
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tracing), str(own)])}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(HELLO)"], env=env, capture_output=True, check=True
    )
    assert done.stdout.strip() == b"1"


def test_a_hot_loop_does_not_stall_the_tracing(project: Path) -> None:
    (project / "tariff.py").write_text(
        "def tariff(weight):\n    total = 0\n    for i in range(2_000_000):\n        total += i\n    return 1\n"
    )
    (project / "tests" / "test_tariff.py").write_text(
        "from tariff import tariff\ndef test_a():\n    assert tariff(1) == 0\n"
    )
    plain = run_check("pytest -q", project, timeout=60).seconds
    begin = time.monotonic()
    found = trace_check("pytest -q", project, timeout=60)
    assert found is not None
    assert [line.line for line in found.lines][:3] == [2, 3, 4]
    assert time.monotonic() - begin < 3 * plain + 3


def test_places_of_nothing() -> None:
    assert Evidence(0, 3).places() == []


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="sys.monitoring does not tell who calls")
@pytest.mark.parametrize("assertion", ["assert box == Box(2)", "unittest.TestCase().assertEqual(box, Box(2))"])
def test_what_only_the_report_executes_is_left_out(tmp_path: Path, assertion: str) -> None:
    (tmp_path / "box.py").write_text(
        "class Box:\n"
        "    def __init__(self, n):\n        self.n = n\n"
        "    def __eq__(self, other):\n        return self.n == other.n\n"
        "    def __repr__(self):\n        return self.name()\n"
        "    def name(self):\n        return f'Box {self.n}'\n"
    )
    (tmp_path / "test_box.py").write_text(
        f"import unittest\nfrom box import Box\ndef test_box():\n    box = Box(1)\n    {assertion}\n"
        "def test_name():\n    assert str(Box(1)) == 'Box 2'\n"
    )
    of_one = trace_check("python -m pytest -q test_box.py::test_box", tmp_path, timeout=60)
    assert of_one is not None
    assert {f.symbol for f in of_one.functions} == {"Box.__init__", "Box.__eq__"}
    of_other = trace_check("python -m pytest -q test_box.py::test_name", tmp_path, timeout=60)
    assert of_other is not None
    assert {f.symbol for f in of_other.functions} >= {"Box.__repr__", "Box.name"}
