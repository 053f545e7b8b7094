"""`make changed` runs the tests of what changed, and no others."""

from __future__ import annotations

import grimp
import pytest

from tests import changed as script

TESTS = {
    "tests/unit/context/test_rank.py": "from loom_jupyter.context.rank import rank\n",
    "tests/integration/context/test_rank.py": "import json\n",
    "tests/unit/context/test_index.py": "from loom_jupyter.context.index import Index\n",
    "tests/unit/runs/test_rank.py": "from loom_jupyter.runs.rank import order\n",
    "tests/unit/runs/test_runner.py": "from loom_jupyter.runs.runner import Runner\n",
    "tests/unit/ui/test_html.py": "from loom_jupyter.context import git, rank\n",
    "tests/integration/test_loom.py": "import loom_jupyter.context.rank\n",
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """`context.index` imports `context.rank`, and `runs.runner` imports `context.index`."""
    made = grimp.ImportGraph()
    for name in ("context.rank", "context.index", "runs.rank", "runs.runner"):
        made.add_module(f"loom_jupyter.{name}")
    for importer, imported in (("context.index", "context.rank"), ("runs.runner", "context.index")):
        made.add_import(importer=f"loom_jupyter.{importer}", imported=f"loom_jupyter.{imported}")
    return made


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            "loom_jupyter/context/rank.py",
            {
                "tests/unit/context/test_rank.py",
                "tests/integration/context/test_rank.py",
                "tests/unit/context/test_index.py",
                "tests/unit/ui/test_html.py",
                "tests/integration/test_loom.py",
            },
        ),
        ("loom_jupyter/context/index.py", {"tests/unit/context/test_index.py", "tests/unit/runs/test_runner.py"}),
        ("loom_jupyter/runs/runner.py", {"tests/unit/runs/test_runner.py"}),
        ("tests/unit/runs/test_rank.py", {"tests/unit/runs/test_rank.py"}),
        ("tests/unit/runs/test_deleted.py", set()),
        ("loom_jupyter/runs/deleted.py", set()),
        ("docs/architecture.md", set()),
    ],
)
def test_what_changed_names_its_tests(changed: str, expected: set[str], graph: grimp.ImportGraph) -> None:
    assert script.tests_of({changed}, TESTS, graph) == expected


def test_a_package_is_named_by_its_folder() -> None:
    assert script.module_of("loom_jupyter/context/__init__.py") == "loom_jupyter.context"
    assert script.module_of("loom_jupyter/context/rank.py") == "loom_jupyter.context.rank"
