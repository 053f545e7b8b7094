from __future__ import annotations

import ast
from pathlib import Path

import pytest
from places import ROOT

from loom_jupyter.context import git as door

PACKAGE = ROOT / "loom_jupyter"


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own; nothing is remembered of other tests."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    door._read_user.cache_clear()
    door._hung.clear()
    return home


def test_git_is_called_through_the_one_door_only() -> None:
    callers = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            first = None
            if isinstance(node, ast.List | ast.Tuple) and node.elts:
                first = node.elts[0]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("which", "run", "Popen")):
                first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and str(first.value).split(" ")[0] == "git":
                callers.add(file.name)
    # The doctor only says where git is, among its words for other tools.
    assert callers <= {"git.py", "doctor.py"}
