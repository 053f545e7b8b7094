"""The import rules of the rooms: who may know whom, and who may not know Jupyter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "loom_jupyter"

# Room: the rooms it may import. A module may always import its own room and `errors`.
ROOMS = {
    "context": {"settings", "hidden"},
    "pipeline": {"context", "models"},
    "models": {"settings"},
    "edits": {"context", "settings"},
    "notebook": {"context"},
    "runs": {"context", "pipeline", "models", "edits", "settings"},
    "ui": {"runs", "pipeline", "hidden"},
    "server": {"runs", "trust"},
    "settings": set(),
    "trust": {"settings", "context", "models"},
    "errors": set(),
    "hidden": set(),
    "command_line": set(),
    "doctor": {"edits", "models"},
    "verbs": {"loom", "command_line", "ui", "runs", "trust"},
    "completion": {"loom", "command_line", "verbs"},
    "session": {"context", "edits", "runs"},
    "interpolation": {"command_line"},
    "reloading": set(),
    "magics": {
        *("loom", "command_line", "verbs", "completion", "notebook", "ui", "runs", "context"),
        *("session", "interpolation", "reloading"),
    },
    "cli": {"loom", "command_line", "verbs", "ui", "runs"},
    "loom": {"context", "pipeline", "models", "edits", "runs", "settings", "trust", "doctor", "session"},
    "": {"loom", "magics"},
}
# Of these rooms only some modules, or only for their types.
NARROW = {
    ("pipeline", "models"): {"loom_jupyter.models.protocol"},
    ("pipeline", "context"): {"loom_jupyter.context.context_map"},
    ("edits", "context"): {
        *("loom_jupyter.context.context_map", "loom_jupyter.context.git", "loom_jupyter.context.repository"),
        *("loom_jupyter.context.languages", "loom_jupyter.context.extract.code"),
    },
    ("ui", "pipeline"): {"loom_jupyter.pipeline.contracts"},
    ("trust", "context"): {"loom_jupyter.context.rules"},
    ("trust", "models"): {"loom_jupyter.models.catalog", "loom_jupyter.models.servers.keys"},
}
TYPES_ONLY = {
    ("verbs", "runs"),
    ("verbs", "trust"),
    ("magics", "runs"),
    ("cli", "runs"),
    ("completion", "loom"),
    ("magics", "context"),
}
JUPYTER = {"IPython", "ipywidgets", "jupyter_server", "ipykernel", "traitlets", "comm", "tornado"}
MAY_KNOW_JUPYTER = {"ui", "magics", "server", "session", "completion"}
# Programs of their own, which run in the process of a check.
SCRIPTS = {"warm_server.py"}
PIPELINE_MAY_NOT = {"os", "pathlib", "shutil", "tempfile", "subprocess", "glob"}


def room_of(module: str) -> str:
    """Return the room of ``loom_jupyter.a.b``: ``a``."""
    return [*module.split("."), ""][1]


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """Yield every imported module, and whether it is imported for its types only."""
    tree = ast.parse(file.read_text("utf-8"))
    typed = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in typed) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield from ((name, id(node) in typed) for name in _full_names(node))


def _full_names(node: ast.ImportFrom) -> Iterator[str]:
    """Name submodules in full: ``from loom_jupyter.ui import html`` is ``loom_jupyter.ui.html``."""
    module = node.module or ""
    for alias in node.names:
        path = PACKAGE.parent / Path(*module.split("."), alias.name)
        yield f"{module}.{alias.name}" if path.with_suffix(".py").exists() or path.is_dir() else module


FILES = sorted(PACKAGE.rglob("*.py"))


def own_room(file: Path) -> str:
    """Return the room a file stands in; the package's own ``__init__`` is ``""``."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(file: Path) -> None:
    room = own_room(file)
    for module, typed in imports(file):
        if module.split(".")[0] == "loom_jupyter":
            other = room_of(module)
            if other in (room, "errors") or (other == "" and room == "cli"):
                continue
            assert other in ROOMS[room], f"{room} may not import {module}"
            assert (room, other) not in TYPES_ONLY or typed, f"{room} may know {module} for its types only"
            narrow = NARROW.get((room, other))
            assert narrow is None or module in narrow, f"{room} may import {narrow}, not {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_only_the_doors_and_views_know_jupyter(file: Path) -> None:
    tops = {module.split(".")[0] for module, _ in imports(file)}
    if own_room(file) not in MAY_KNOW_JUPYTER and file.name not in SCRIPTS:
        assert tops.isdisjoint(JUPYTER)


@pytest.mark.parametrize("file", sorted((PACKAGE / "pipeline").rglob("*.py")), ids=lambda file: file.name)
def test_the_nodes_cannot_reach_a_file(file: Path) -> None:
    assert {module.split(".")[0] for module, _ in imports(file)}.isdisjoint(PIPELINE_MAY_NOT)
    calls = {
        ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
    }
    assert calls.isdisjoint({"open", "io.open", "eval", "exec", "__import__"})


def test_every_room_has_its_rule() -> None:
    assert {own_room(file) for file in FILES} <= set(ROOMS)


def test_no_room_imports_in_a_circle() -> None:
    def reach(room: str, seen: frozenset[str]) -> None:
        assert room not in seen, f"{room} imports itself through {sorted(seen)}"
        for other in ROOMS[room]:
            if (room, other) not in TYPES_ONLY:
                reach(other, seen | {room})

    for room in ROOMS:
        reach(room, frozenset())
