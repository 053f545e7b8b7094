"""Find the check that a project already has."""

from __future__ import annotations

import json
from pathlib import Path

from loom_jupyter.errors import CheckCommandError

_PYTEST = ("pytest.ini", "conftest.py")
# Of Python's tests, in the project's own folders and one below: pkg/tests/test_x.py.
_TESTS = ("{}", "tests/**/{}", "test/**/{}", "*/tests/**/{}", "*/test/**/{}", "src/*/tests/**/{}")
_NAMES = ("test_*.py", "*_test.py")


def find_check(root: Path) -> str:
    """Return the command that tests the project: pytest, ``npm test``, ``cargo test`` or ``go test``.

    Raises
    ------
    CheckCommandError
        If the project shows none.
    """
    if any((root / name).exists() for name in _PYTEST) or _has_python_tests(root):
        return "python -m pytest -q"
    if (root / "Cargo.toml").exists():
        return "cargo test --quiet"
    if (root / "go.mod").exists():
        return "go test ./..."
    if _has_npm_test(root / "package.json"):
        return "npm test --silent"
    if any((root / name).is_dir() for name in ("tests", "test")):
        return "python -m pytest -q"
    raise CheckCommandError(f"No tests were found in {root}; give a command: --check CMD.")


def _has_python_tests(root: Path) -> bool:
    places = (place.format(name) for place in _TESTS for name in _NAMES)
    found = (file for place in places for file in root.glob(place))
    return any(_LEFT_OUT.isdisjoint(file.relative_to(root).parts) for file in found)


# Folders of what is installed.
_LEFT_OUT = frozenset({"node_modules", ".venv", "venv", "site-packages", ".tox"})


def _has_npm_test(file: Path) -> bool:
    try:
        package = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    script = package.get("scripts", {}).get("test", "") if isinstance(package, dict) else ""
    return bool(script) and "no test specified" not in script
