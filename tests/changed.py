"""The tests of what changed since the merge base with ``main``, one path a line: ``python tests/changed.py``.

A changed test file is its own answer. For a changed module these are the files that mirror it, those that mirror a
module which imports it, and those that import it themselves.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = "loom_jupyter"
FOLDERS = ("unit", "integration")


def changed_files() -> set[str]:
    """Paths that differ from the merge base with main, or from HEAD where there is no main; new ones too."""

    def git(*arguments: str) -> list[str]:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.splitlines()

    base = next(iter(git("merge-base", "main", "HEAD")), "HEAD")
    return {*git("diff", "--name-only", base), *git("ls-files", "--others", "--exclude-standard")}


def module_of(path: str) -> str:
    """Return ``a.b`` for ``a/b.py`` and ``a/b/__init__.py``."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def tests_of(changed: set[str], tests: dict[str, str], graph: grimp.ImportGraph) -> set[str]:
    """Return those of `tests` (path to text) that changed themselves or look at a changed module."""
    found = {path for path in changed if path in tests}
    modules = {module_of(path) for path in changed if path.startswith(f"{PACKAGE}/") and path.endswith(".py")}
    modules &= graph.modules
    near = modules.union(*(graph.find_modules_that_directly_import(module) for module in modules))
    for module in near:
        *rooms, name = module.split(".")[1:] or [PACKAGE]
        mirror = "/".join([*rooms, f"test_{name}.py"])
        found |= {path for path in tests if path.split("/", 2)[-1] == mirror}
    for module in modules:
        parent, _, name = module.rpartition(".")
        imports = re.compile(
            rf"^\s*(?:from {re.escape(module)} import|import {re.escape(module)}\b"
            rf"|from {re.escape(parent)} import [^\n]*\b{name}\b)",
            re.M,
        )
        found |= {path for path, text in tests.items() if imports.search(text)}
    return found


def main() -> None:
    """Print the paths."""
    files = [file for folder in FOLDERS for file in (ROOT / "tests" / folder).rglob("test_*.py")]
    tests = {file.relative_to(ROOT).as_posix(): file.read_text("utf-8") for file in files}
    sys.stdout.write("\n".join(sorted(tests_of(changed_files(), tests, grimp.build_graph(PACKAGE)))))


if __name__ == "__main__":
    main()
