"""Find the check that a project already has."""

from __future__ import annotations

import json
from pathlib import Path

from loom_jupyter.edits.errors import CheckCommandError

_PYTEST = ("pytest.ini", "conftest.py", "tests", "test")


def find_check(root: Path) -> str:
    """Return the command that tests the project: pytest, ``npm test``, ``cargo test`` or ``go test``.

    Raises
    ------
    CheckCommandError
        If the project shows none.
    """
    if any((root / name).exists() for name in _PYTEST) or any(root.glob("test_*.py")):
        return "python -m pytest -q"
    if (root / "Cargo.toml").exists():
        return "cargo test --quiet"
    if (root / "go.mod").exists():
        return "go test ./..."
    if _has_npm_test(root / "package.json"):
        return "npm test --silent"
    raise CheckCommandError(f"No tests were found in {root}; give a command: --check CMD.")


def _has_npm_test(file: Path) -> bool:
    try:
        package = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    script = package.get("scripts", {}).get("test", "") if isinstance(package, dict) else ""
    return bool(script) and "no test specified" not in script
