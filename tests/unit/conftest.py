"""What holds unit tests to their folder: no process but git, and at most a second of processor time each."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

# Processor time, so that a busy machine fails nothing; all examples of a property may take longer.
SECONDS = 1.0
HEAVY = ("duckdb", "numpy", "pandas", "tree_sitter", "IPython", "ipywidgets", "loom_jupyter.loom")
PROCESSES = {"os.fork", "os.forkpty", "os.posix_spawn", "os.system"}

_running: list[str] = []
_started: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Remember what a unit test starts; it is refused, and the test fails even where the code hides that."""
    if not _running or (event != "subprocess.Popen" and event not in PROCESSES):
        return
    name = event
    if event == "subprocess.Popen":
        command = arguments[1]
        first = command if isinstance(command, str | bytes | os.PathLike) else command[0]
        name = os.path.basename(os.fsdecode(first))
    if name != "git":
        _started.append(name)
        raise RuntimeError(f"a unit test may start git only, not {name}: move it to tests/integration")


sys.addaudithook(_watch)


@pytest.fixture(scope="session", autouse=True)
def heavy_imports() -> None:
    """Import and make once what takes long, so that the first test of a file does not pay for it."""
    for name in HEAVY:
        importlib.import_module(name)
    # In a fresh clone Hypothesis first makes its tables of Unicode: more than a second, once.
    st.text().validate()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    _started.clear()
    _running.append(item.nodeid)
    before = time.process_time()
    try:
        yield
    finally:
        took = time.process_time() - before
        _running.clear()
    if _started:
        pytest.fail(f"started {', '.join(_started)}: a test with a process belongs to tests/integration")
    if took > SECONDS and settings.get_current_profile_name() == "quick":
        pytest.fail(f"took {took:.1f} s of processor time: make it quicker or move it to tests/integration")
