"""The benchmarks are run as ``python -m tests.benchmarks…``; their tests import them the same way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(Path(__file__).parents[2]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow for whole packages that are checked."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))
