"""Which files judge, told by the check's command, by what it prints, and by what a change would do."""

from __future__ import annotations

from pathlib import Path

import pytest

from loom_jupyter.checks.judges import Judges, of_command, shadows, with_failures
from loom_jupyter.edits.apply import FileChange

ASSERTS = "from app import f\nassert f() == 1\n"
PROGRAM = (
    "import sys\n\n\ndef main():\n    if not sys.argv:\n        sys.exit(1)\n\n\n"
    "if __name__ == '__main__':\n    sys.exit(main())\n"
)
RUST = "fn f() -> i32 { 1 }\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn a() { assert_eq!(f(), 2); }\n}\n"
FILES = {
    "app.py": PROGRAM,
    "src/app.py": PROGRAM,
    "verify.py": "print(1)\n",
    "run.py": ASSERTS,
    "ends.py": "from app import f\nif f() != 1:\n    raise SystemExit('wrong')\n",
    "exits.py": "import sys\nfrom app import f\nif f() != 1:\n    sys.exit(1)\n",
    "checks/verify.py": "print(1)\n",
    "checks/common.py": "def same(a, b):\n    return a == b\n",
    "tools/prices.py": ASSERTS,
    "pkg/__init__.py": "",
    "pkg/selfcheck.py": "print(1)\n",
    "pkg/__main__.py": PROGRAM,
    "check.sh": "#!/bin/sh\nset -e\ncd tools\npython prices.py\n",
    "bin/run-all": "#!/usr/bin/env bash\npython verify.py\n",
    "Makefile": (
        "PY ?= python\nall: app\n\techo\n\ntest: lint\n\t@$(PY) run.py\n\nlint:\n\truff check app.py\n\n"
        "other:\n\tpython ends.py\n"
    ),
    "package.json": '{"scripts": {"test": "node run.js && python run.py", "start": "node app.js"}}',
    "run.js": "const assert = require('assert');\nassert(f() === 1);\n",
    "app.js": "console.log(1);\n",
    "expected.txt": "1\n",
    "in.txt": "1\n",
    "doc.py": 'def f():\n    """\n    >>> f()\n    1\n    """\n',
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("pytest -q", []),
        ("pytest -q run.py", ["run.py"]),
        ("pytest -q run.py::test_a -k x", ["run.py"]),
        ("python -m pytest checks/verify.py", ["checks/verify.py"]),
        ("python run.py", ["run.py"]),
        ("python -u -W error run.py app.py", ["run.py"]),
        ("/usr/bin/python3.11 run.py", ["run.py"]),
        ("PYTHONPATH=src uv run --frozen python run.py", ["run.py"]),
        ("timeout 60 nice -n 5 python run.py", ["run.py"]),
        ("coverage run -m pytest run.py", ["run.py"]),
        ("python -m coverage run run.py", ["run.py"]),
        ("cd tools && python prices.py", ["tools/prices.py"]),
        ("python ends.py; python exits.py", ["ends.py", "exits.py"]),
        ("python verify.py | tee log", ["verify.py"]),
        ("python -m pkg.selfcheck", ["pkg/selfcheck.py"]),
        ("python -m pkg", []),
        ("python -m unittest checks.verify", ["checks/verify.py"]),
        ("python -m unittest tools.prices.Bound.test_a", ["tools/prices.py"]),
        ("python app.py", []),
        ("python app.py < in.txt | diff - expected.txt", ["expected.txt", "in.txt"]),
        ("python app.py > out.txt", []),
        ("./check.sh", ["check.sh", "tools/prices.py"]),
        ("bash check.sh", ["check.sh", "tools/prices.py"]),
        ("bin/run-all", ["bin/run-all", "verify.py"]),
        ("sh -c 'python run.py'", ["run.py"]),
        ("make test", ["Makefile", "run.py"]),
        ("make -s other", ["Makefile", "ends.py"]),
        ("npm test --silent", ["run.js", "run.py"]),
        ("node run.js", ["run.js"]),
        ("node app.js", []),
        ("ruff check app.py", []),
        ("grep -q '<= 2' app.py", []),
        ("python -c 'import app'", []),
        ("python 'unclosed", []),
        ("", []),
    ],
)
def test_what_a_command_names(root: Path, command: str, files: list[str]) -> None:
    assert sorted(of_command(command, root).files) == files


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("python -c 'import run'", ["run.py"]),
        ("python -c 'import app; app.main()'", []),
        ("if python run.py; then exit 0; else exit 1; fi", ["run.py"]),
        ("! python run.py", ["run.py"]),
        ("for i in 1 2; do python run.py; done", ["run.py"]),
        ("cat run.py | python", ["run.py"]),
        ("python app.py | grep -qf expected.txt", ["expected.txt"]),
        ("python app.py | grep -q x app.py", []),
        ("diff <(python app.py) expected.txt", ["expected.txt"]),
        ("make -f rules.mk check", ["rules.mk", "run.py"]),
        ("make -f outer.mk check", ["outer.mk", "rules.mk", "run.py"]),
        ("tox -e py", ["run.py", "tox.ini"]),
        ("inv test", ["run.py", "tasks.py"]),
        ("./run", ["run"]),
    ],
)
def test_what_a_command_reads_in_other_ways(root: Path, command: str, files: list[str]) -> None:
    (root / "rules.mk").write_text("check:\n\tpython run.py\n")
    (root / "outer.mk").write_text("include rules.mk\n")
    (root / "tox.ini").write_text("[testenv]\ncommands = python run.py\n")
    (root / "tasks.py").write_text("def test(c):\n    c.run('python run.py')\n")
    (root / "run").write_text(f"#!/usr/bin/env python\n{ASSERTS}")
    assert sorted(of_command(command, root).files) == files


def test_what_lies_beside_a_check_judges_too(root: Path) -> None:
    judges = of_command("python checks/verify.py", root)
    assert "checks/common.py" in judges
    assert "tools/prices.py" not in judges
    assert "app.py" not in judges


def test_doctests_let_the_program_be_changed(root: Path) -> None:
    judges = of_command("python -m doctest doc.py", root)
    assert judges.examples == {"doc.py"}
    assert "doc.py" not in judges
    before = FILES["doc.py"]
    code = FileChange("doc.py", before.encode(), (before + "    return 1\n").encode())
    example = FileChange("doc.py", before.encode(), before.replace("    1\n", "    2\n").encode())
    assert judges.refusal(code, asked=False) is None
    assert "example" in (judges.refusal(example, asked=False) or "")
    assert judges.refusal(example, asked=True) is None


OUTPUTS = {
    "FAILED run.py::test_bound - assert 1 == 2\n": {"run.py"},
    "ERROR tools/prices.py - ImportError\n": {"tools/prices.py"},
    "=== FAILURES ===\n____ test_a ____\n\n>       assert f() == 1\n\nrun.py:3: AssertionError\n": {"run.py"},
    "=== FAILURES ===\n____ test_bound ____\nrun.py:3: in test_bound\n    f()\napp.py:1: in f\nE   KeyError\n": {
        "run.py"
    },
    (
        "FAIL: test_a (prices.Bound.test_a)\n"
        + "-" * 70
        + '\nTraceback (most recent call last):\n  File "tools/prices.py", line 2, '
        'in test_a\n    f()\n  File "app.py", line 1, in f\nKeyError\n\n' + "-" * 70 + "\nRan 1 test in 0.1s\n"
    ): {"tools/prices.py"},
    'Traceback:\n  File "app.py", line 1\n  File "checks/common.py", line 2\nAssertionError\n': {
        "checks/common.py"
    },
    'Traceback (most recent call last):\n  File "app.py", line 1, in f\nAssertionError\n': set(),
    "FAIL tests/a.test.js\n": set(),
}


@pytest.mark.parametrize(("output", "files"), OUTPUTS.items())
def test_where_failing_tests_come_from(root: Path, output: str, files: set[str]) -> None:
    (root / "tools/prices.py").write_text("def test_a():\n    pass\n")
    assert with_failures(Judges(), output, (), root).files == files


def test_a_test_in_another_folder_is_found_by_the_end_of_its_path(root: Path) -> None:
    output = "FAILED prices.py::test_a - assert 0\n"
    (root / "tools/prices.py").write_text("def test_a():\n    assert 0\n")
    assert with_failures(Judges(), output, (), root, ["app.py", "tools/prices.py"]).files == {"tools/prices.py"}
    assert with_failures(Judges(), output, (), root, ["a/prices.py", "tools/prices.py"]).files == set()


def test_doctests_that_fail_name_no_file_that_judges(root: Path) -> None:
    for output in ("FAILED doc.py::doc.f\n", 'File "doc.py", line 3, in doc.f\nFailed example:\n    f()\n'):
        found = with_failures(Judges(), output, (), root)
        assert (found.files, found.examples) == (set(), {"doc.py"})


def test_a_report_tells_every_file_of_tests(root: Path) -> None:
    found = with_failures(Judges(), "", [("tools.prices.Bound", "test_a"), ("doc", "doc.f")], root)
    assert (found.files, found.examples) == ({"tools/prices.py"}, {"doc.py"})


def test_a_long_line_or_many_empty_ones_cost_nothing(root: Path) -> None:
    for output in ("FAIL " + "a/" * 100_000, "\n" * 200_000, "FAILED " + "x" * 200_000, "at (" * 60_000):
        assert with_failures(Judges(), output, (), root).files == set()


@pytest.mark.parametrize(
    ("path", "before", "after", "asked", "said"),
    [
        ("test.py", "assert 1\n", "assert 2\n", False, "judges by"),
        ("test.py", "assert 1\n", "assert 2\n", True, None),
        ("run.py", "assert 1\n", "assert 2\n", False, "judges by"),
        ("conftest.py", None, "x = 1\n", False, "creates conftest.py"),
        ("pytest.ini", None, "[pytest]\n", False, "creates pytest.ini"),
        ("sitecustomize.py", None, "x = 1\n", False, "changes how the check runs"),
        ("src/pytest.py", None, "x = 1\n", False, "changes how the check runs"),
        ("pytest/__init__.py", None, "x = 1\n", False, "changes how the check runs"),
        ("a.pth", None, "import os\n", False, "changes how the check runs"),
        ("new.py", None, "x = 1\n", False, None),
        ("src/lib.rs", RUST, RUST.replace("fn f", "pub fn f"), False, None),
        ("src/lib.rs", RUST, RUST.replace("2)", "3)"), False, "changes the tests in src/lib.rs"),
        ("src/lib.rs", RUST, RUST.replace("2)", "3)"), True, None),
        ("src/lib.rs", RUST, RUST.replace("assert_eq!(f(), 2);", ""), True, "weakens a test"),
        ("pyproject.toml", "[project]\nname = 'a'\n", "[project]\nname = 'b'\n", False, None),
        ("pyproject.toml", "", "[tool.pytest.ini_options]\naddopts = '-k x'\n", False, "tests"),
        ("pyproject.toml", "", "[tool.pytest.ini_options]\naddopts = '-k x'\n", True, "weakens a test"),
        ("pyproject.toml", "", "[tool.pytest.ini_options]\nmarkers = ['slow']\n", False, "judges by"),
        ("pyproject.toml", "", "[tool.pytest.ini_options]\nmarkers = ['slow']\n", True, None),
        ("pyproject.toml", "[tool.pytest.ini_options]\nxfail_strict = true\n", "", True, "weakens a test"),
        ("setup.cfg", "[metadata]\nname = a\n", "[metadata]\nname = b\n", False, None),
        ("setup.cfg", "", "[tool:pytest]\naddopts = --ignore=a.py\n", True, "weakens a test"),
        ("package.json", '{"scripts": {"test": "jest"}}', '{"scripts": {"test": "true"}}', False, "judges by"),
        (
            "package.json",
            '{"scripts": {"test": "jest"}}',
            '{"scripts": {"test": "jest || true"}}',
            True,
            "weakens",
        ),
        ("package.json", '{"version": "1"}', '{"version": "2"}', False, None),
    ],
)
def test_what_may_not_be_changed(path: str, before: str | None, after: str, asked: bool, said: str | None) -> None:
    judges = Judges(files=frozenset({"run.py"}))
    change = FileChange(path, None if before is None else before.encode(), after.encode())
    reason = judges.refusal(change, asked=asked)
    assert reason is None if said is None else said in (reason or "")


def test_a_module_that_python_reads_by_itself() -> None:
    assert all(
        map(shadows, ["sitecustomize.py", "usercustomize.so", "pkg/sitecustomize.py", "x.pth", "unittest/a.py"])
    )
    assert not any(map(shadows, ["app.py", "pkg/coverage.py", "src/app/doctest.py", "docs/pytest.md"]))
