from __future__ import annotations

from pathlib import Path

import pytest

from loom_jupyter.checks.command import find_check
from loom_jupyter.errors import CheckCommandError


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (["tests/test_a.py"], "python -m pytest -q"),
        (["test_a.py"], "python -m pytest -q"),
        (["pkg/tests/test_a.py", "pkg/__init__.py"], "python -m pytest -q"),
        (["a_test.py"], "python -m pytest -q"),
        (["tests/suite.py"], "python -m pytest -q"),
        (["Cargo.toml", "tests/it.rs"], "cargo test --quiet"),
        (["go.mod", "test/data.json"], "go test ./..."),
        (["package.json", "test/a.test.js"], "npm test --silent"),
        (["Cargo.toml", "python/tests/test_a.py"], "python -m pytest -q"),
    ],
)
def test_the_check_of_a_project(tmp_path: Path, files: list[str], command: str) -> None:
    for name in files:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"scripts": {"test": "node --test"}}' if name == "package.json" else "")
    assert find_check(tmp_path) == command


@pytest.mark.parametrize("files", [[], ["a.py"], ["node_modules/x/tests/test_a.py"]])
def test_a_project_without_tests_is_told_so(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    with pytest.raises(CheckCommandError, match="--check CMD"):
        find_check(tmp_path)
