from __future__ import annotations

import pytest

from loom_jupyter.context.languages import language_of, role_of


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("src/app.py", "source"),
        ("pkg/testing/assertions.py", "source"),
        ("flask/testing.py", "source"),
        ("latest/contest.py", "source"),
        ("tests/app.py", "test"),
        ("flask/testsuite/basic.py", "test"),
        ("a/unit-tests/b.go", "test"),
        ("pkg/app_test.go", "test"),
        ("src/app.spec.ts", "test"),
        ("conftest.py", "test"),
        ("README.md", "doc"),
        ("docs/conf.py", "doc"),
        ("package.json", "config"),
        ("pyproject.toml", "config"),
        ("a.yml", "config"),
        ("schema.sql", "source"),
        ("a.jl", "source"),
        ("Makefile", "config"),
        ("package-lock.json", "generated"),
        ("npm-shrinkwrap.json", "generated"),
        ("dist/app.min.js", "generated"),
    ],
)
def test_role(path: str, role: str) -> None:
    assert role_of(path) == role


@pytest.mark.parametrize(
    ("path", "language"),
    [("a.PY", "python"), ("a.d.ts", "typescript"), ("n.ipynb", "notebook"), (".gitignore", "text"), ("x", "text")],
)
def test_language(path: str, language: str) -> None:
    assert language_of(path) == language
