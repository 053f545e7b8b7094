"""The nodes cannot reach a file: import-linter holds their imports, this their calls."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import loom_jupyter

PIPELINE = Path(loom_jupyter.__file__).parent / "pipeline"
FORBIDDEN = {"open", "io.open", "eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("file", sorted(PIPELINE.rglob("*.py")), ids=lambda file: file.name)
def test_no_node_opens_a_file_or_runs_a_text(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert calls.isdisjoint(FORBIDDEN)
