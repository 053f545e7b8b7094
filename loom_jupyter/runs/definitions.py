"""Find in the index what an example's names mean, and how to import it."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from loom_jupyter.checks.examples import Example
from loom_jupyter.checks.proof import Placed
from loom_jupyter.errors import LoomError
from loom_jupyter.gate.gate import is_test

if TYPE_CHECKING:
    from loom_jupyter.context.snapshot import Snapshot

# What everybody calls these libraries.
_ALIASES = {"np": "numpy", "pd": "pandas", "nx": "networkx", "xr": "xarray", "pl": "polars", "sp": "scipy"}
_SOURCES = ("", "src")


class UnplacedError(LoomError):
    """An example calls something that cannot be imported from the workspace."""


class Definitions:
    """Where the workspace's Python files define what.

    Parameters
    ----------
    order
        Paths, the likeliest first; among several definitions of a name the first of these is taken.
    """

    def __init__(self, root: Path, snapshot: Snapshot, order: Sequence[str] = ()) -> None:
        self._root = root
        self._snapshot = snapshot
        self._order = {path: n for n, path in enumerate(order)}
        self._modules = {p: _module(root, p) for p in snapshot.paths if p.endswith(".py")}

    def place(self, example: Example) -> Placed:
        """Say how to import what an example names.

        Raises
        ------
        UnplacedError
            With why it cannot be imported.
        """
        called = _chains(example.call)
        home = next((found for chain in called if (found := self._home(chain))), None)
        if home is None:
            raise UnplacedError(self._why(example, called))
        path, bound = home
        paths, names = [self._modules[path][1]], list(bound)
        more = [
            *called,
            *_chains(example.expected.text),
            *(_chains(example.actual.text) if example.actual else []),
        ]
        here = set(self._top_level(path)) | {name for name, _, _ in bound}
        for name, *_ in more:
            if name in here or hasattr(builtins, name):
                continue
            here.add(name)
            if defined := self._defining(name):
                names.append((name, self._modules[defined][0], name))
                paths.append(self._modules[defined][1])
            elif name in _ALIASES or name in sys.stdlib_module_names:
                names.append((name, _ALIASES.get(name, name), ""))
        folders = tuple(p for p in dict.fromkeys(paths) if p not in _SOURCES)
        return Placed(example, self._modules[path][0], tuple(names), folders)

    def _home(self, chain: Sequence[str]) -> tuple[str, tuple[tuple[str, str, str], ...]] | None:
        """Return the file that defines what is called, and the names that lead there."""
        if path := self._defining(chain[0]):
            return path, ()
        for size in range(len(chain) - 1, 0, -1):
            ending, name = list(chain[:size]), chain[size]
            for path in self._likely(p for p, (m, _) in self._modules.items() if m.split(".")[-size:] == ending):
                if name in self._top_level(path):
                    parts = self._modules[path][0].split(".")
                    return path, ((chain[0], ".".join(parts[: len(parts) - size + 1]), ""),)
        return None

    def _defining(self, name: str) -> str | None:
        found = self._likely(p for p in self._modules if name in self._top_level(p))
        return found[0] if found else None

    def _likely(self, paths: Iterator[str]) -> list[str]:
        return sorted(paths, key=lambda p: (is_test(p), self._order.get(p, len(self._order)), p))

    def _top_level(self, path: str) -> list[str]:
        return [s.name for s in self._snapshot.batch.symbols[self._snapshot.number[path]] if "." not in s.name]

    def _why(self, example: Example, called: Sequence[Sequence[str]]) -> str:
        name = next((chain[0] for chain in called if not hasattr(builtins, chain[0])), "")
        call = f"`{example.call}` cannot be a check:"
        if not name:
            return f"{call} it calls nothing of the workspace."
        for number, path in enumerate(self._snapshot.paths):
            if path.endswith(".ipynb") and any(s.name == name for s in self._snapshot.batch.symbols[number]):
                return f"{call} {name} is defined in {path}, and only modules can be imported."
        return f"{call} no module of the workspace defines {name}."


def _chains(code: str) -> list[tuple[str, ...]]:
    """Return the dotted names of an expression in order: ``a.b(c)`` names a.b and c."""
    found: list[tuple[str, ...]] = []
    tree = ast.parse(code, mode="eval")
    own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}

    def visit(node: ast.AST, tail: tuple[str, ...] = ()) -> None:
        if isinstance(node, ast.Attribute):
            visit(node.value, (node.attr, *tail))
        elif isinstance(node, ast.Name):
            if node.id not in own:
                found.append((node.id, *tail))
        else:
            for child in ast.iter_child_nodes(node):
                visit(child)

    visit(tree)
    return found


def _module(root: Path, path: str) -> tuple[str, str]:
    """Return a file's module name and the folder that it is imported from."""
    file = PurePosixPath(path)
    folder = file.parent
    while folder.name and (root / folder / "__init__.py").exists():
        folder = folder.parent
    parts = [*file.parent.relative_to(folder).parts, *([] if file.stem == "__init__" else [file.stem])]
    if not parts or parts[0] in sys.stdlib_module_names:
        parts, folder = [*folder.parts, *parts], PurePosixPath()
    return ".".join(parts), "" if folder == PurePosixPath() else folder.as_posix()
