"""Importing Loom must cost nothing that a notebook would feel."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import pytest

HEAVY = [
    "llama_cpp",
    "duckdb",
    "pandas",
    "numpy",
    "ipywidgets",
    "huggingface_hub",
    "tree_sitter",
    "nbformat",
    "pydantic",
]

TIMED = """
import sys, time, json
begun = time.perf_counter()
import loom_jupyter
print(json.dumps([time.perf_counter() - begun, sorted(sys.modules)]))
"""
EXTENSION = """
import sys, time, json
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
begun = time.perf_counter()
shell.run_line_magic("load_ext", "loom_jupyter")
print(json.dumps([time.perf_counter() - begun, sorted(sys.modules)]))
"""

SERVER = """
import sys, time, json
import jupyter_server.serverapp, jupyter_server.extension.application
before, begun = set(sys.modules), time.perf_counter()
import loom_jupyter.server, loom_jupyter.server.routes
loom_jupyter.server.routes.handlers("/")
print(json.dumps([time.perf_counter() - begun, sorted(set(sys.modules) - before)]))
"""


def measure(code: str, times: int) -> tuple[float, set[str]]:
    """Return the median of seconds, and the modules that are loaded afterwards."""
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)
        for _ in range(times)
    ]
    return statistics.median(seconds for seconds, _ in runs), set(runs[-1][1])


def test_import_takes_less_than_150_ms_and_nothing_heavy_along() -> None:
    seconds, modules = measure(TIMED, 5)
    assert seconds < 0.150
    assert modules.isdisjoint([*HEAVY, "IPython"])


def test_the_extension_loads_without_index_tables_widgets_and_model() -> None:
    seconds, modules = measure(EXTENSION, 3)
    assert modules.isdisjoint(set(HEAVY) - {"pydantic"})
    assert seconds < 0.5


def test_the_terminal_door_shows_its_help_without_anything_heavy() -> None:
    code = TIMED.replace("import loom_jupyter\n", "from loom_jupyter.cli import main; main(['--version'])\n")
    code = code.replace("print(json", "sys.stdout.write('\\n'); print(json")
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert set(json.loads(done.splitlines()[-1])[1]).isdisjoint([*HEAVY, "IPython"])


def test_a_server_starts_without_anything_heavy_and_within_50_ms() -> None:
    pytest.importorskip("jupyter_server", reason="Jupyter Server is not installed")
    seconds, modules = measure(SERVER, 3)
    assert modules.isdisjoint([*HEAVY, "IPython"])
    assert seconds < 0.050


def test_the_package_says_what_it_lacks() -> None:
    import loom_jupyter

    with pytest.raises(AttributeError, match="'nothing'"):
        loom_jupyter.nothing  # noqa: B018
