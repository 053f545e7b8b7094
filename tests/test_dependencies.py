"""What the package imports is what it declares."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

from loom_jupyter.context.extract.keys import GRAMMARS as KEYS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "loom_jupyter"
# Names that differ from their distribution's, what is the user's (what checks run in, frames to look at), and what
# a script finds next to itself.
DISTRIBUTION = {
    "IPython": "ipython",
    "llama_cpp": "llama-cpp-python",
    "pydantic_core": "pydantic",
    "tqdm": "huggingface-hub",
}
OF_THE_USER = {"pytest", "loom_tracer", "polars", "pyarrow"}
SIBLINGS = {"namespaces"}


def imported() -> set[str]:
    found: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"loom_jupyter"} - OF_THE_USER - SIBLINGS


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [
        *project["dependencies"],
        *project["optional-dependencies"]["local"],
        *project["optional-dependencies"]["lab"],
        *project["optional-dependencies"]["keyring"],
        *project["optional-dependencies"]["languages"],
    ]
    return {re.split(r"[<>=\[ ]", line, maxsplit=1)[0] for line in lines}


def test_every_import_is_declared() -> None:
    names = {DISTRIBUTION.get(name, name.replace("_", "-")) for name in imported()}
    assert names <= declared(), sorted(names - declared())


def test_the_grammars_in_use_are_declared() -> None:
    queries = {file.stem for file in (PACKAGE / "context/extract/queries").glob("*.scm")}
    named = {f"tree-sitter-{name}" for name in queries} | {m.replace("_", "-") for m in KEYS.values()}
    assert named <= declared()
