"""What a run is checked with, where no command was given.

``auto``: the examples in the user's words, proved, and the nearest tests. ``cell``: the cells of the session.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import json
import re
import shlex
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from loom_jupyter.checks import cells
from loom_jupyter.checks.command import CheckResult, find_check
from loom_jupyter.checks.examples import Example, find_examples, mentions_call, parts, quoted
from loom_jupyter.checks.proof import Placed, Proof, command, prove
from loom_jupyter.errors import Cancelled, CheckCommandError, LoomError
from loom_jupyter.gate.gate import is_test

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index
    from loom_jupyter.context.snapshot import Snapshot
    from loom_jupyter.edits.staging import StagedCopy
    from loom_jupyter.pipeline.architect import Quote
    from loom_jupyter.runs.request import Request
    from loom_jupyter.settings import Settings

# Find in the index what an example's names mean, and how to import it.

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


AUTO = "auto"
# A project with no more test files than these is tested whole, with more by those nearest to the request.
NEAREST = 8
_CODE = 5
_PYTEST = "python -m pytest"
_TEST = re.compile(r"(?:test_.*|.*_test)\.py")


class ResolvedCheck(NamedTuple):
    """The command that checks a run, and its result on the code as it is, if it was run already."""

    command: str
    before: CheckResult | None = None


def validate_auto_check(task: str, root: Path) -> None:
    """Say before a run begins that ``auto`` has nothing to go by.

    Raises
    ------
    CheckCommandError
        If the workspace has no tests and the user's words no call.
    """
    if not mentions_call(task):
        _tests_or_words(root)


def resolve_check(
    request: Request,
    index: Index,
    staged: StagedCopy,
    tell: Callable[[str], None],
    settings: Settings,
    cancel: threading.Event,
    quote: Callable[[Sequence[str], Sequence[str]], Sequence[Quote]] = lambda _calls, _values: (),
) -> ResolvedCheck | None:
    """Return what checks a run; what ``auto`` comes to is told in sentences before it runs.

    Raises
    ------
    CheckCommandError
        If ``auto`` finds neither an example that holds nor a test, or ``cell`` no cells that serve.
    Cancelled
        If the user stopped it.
    """
    if request.check == cells.CELL:
        return _cells(request.session, staged, tell, settings, cancel)
    if request.check != AUTO:
        return ResolvedCheck(request.check) if request.check is not None else None
    snapshot = index.snapshot
    order = [path for path, _ in index.rank(request.task, tagged=request.tagged, notebook=request.notebook).scores]
    examples = find_examples(request.task)
    calls, values = ([], []) if examples else parts(request.task)
    if calls and values:
        read = (quoted(q.call, q.expected, q.actual, request.task) for q in quote(calls, values))
        examples = [example for example in read if example is not None]
    definitions = Definitions(index.root, snapshot, order)
    proof = _proved(examples, definitions, staged, tell, settings, cancel)
    tests = near_tests(snapshot, order)
    if proof.file is None:
        found = _tests_or_words(index.root)
        if found.startswith(_PYTEST) and len(tests) > NEAREST:
            found = command(None, [shlex.quote(t) for t in tests[:NEAREST]])
        tell(f"No example in your words serves as a check; the check is {found}.")
        return ResolvedCheck(found)
    tests = tests[:NEAREST] if importlib.util.find_spec("pytest") else []
    tell(f"The check is {_count(len(proof.kept), 'example')} of yours{_and_tests(tests)}.")
    return ResolvedCheck(command(proof.file, [shlex.quote(t) for t in tests]))


def _cells(
    session: cells.Session | None,
    staged: StagedCopy,
    tell: Callable[[str], None],
    settings: Settings,
    cancel: threading.Event,
) -> ResolvedCheck:
    cells.require(session)
    assert session is not None
    placed = cells.place(
        session, staged, tell, timeout=settings.check_timeout, network=settings.network, cancel=cancel
    )
    if placed is None:
        raise Cancelled
    return ResolvedCheck(*placed)


def near_tests(snapshot: Snapshot, order: Sequence[str]) -> list[str]:
    """Return the files of Python tests, nearest to a request first.

    Nearest are those that are named after one of the best files or import it, then the others as they rank.

    Parameters
    ----------
    order
        Paths as they rank for the request.
    """
    tests = {p: n for n, p in enumerate(snapshot.paths) if _TEST.fullmatch(PurePosixPath(p).name)}
    near: list[str] = []
    for path in [p for p in order if p.endswith(".py") and not is_test(p)][:_CODE]:
        stem = PurePosixPath(path).stem
        named = {f"test_{stem}.py", f"{stem}_test.py"}
        near += [t for t in tests if PurePosixPath(t).name in named]
        near += [t for t, n in tests.items() if _imports(json.loads(snapshot.batch.imports[n]), path)]
    return list(dict.fromkeys([*near, *(p for p in order if p in tests), *tests]))


def _imports(statements: Iterable[tuple[int, str]], path: str) -> bool:
    """Whether import statements name a file's module, by its own name and its folder's."""
    file = PurePosixPath(path)
    parts = file.parent.parts[-1:] if file.stem == "__init__" else (*file.parent.parts[-1:], file.stem)
    dotted = r"\.".join(map(re.escape, parts))
    if len(parts) == 2:
        dotted += rf"\b|\bfrom (?:[\w.]+\.)?{re.escape(parts[0])} import .*\b{re.escape(parts[1])}"
    return any(re.search(rf"\b(?:{dotted})\b", text) for _, text in statements)


def _proved(
    examples: Sequence[Example],
    definitions: Definitions,
    staged: StagedCopy,
    tell: Callable[[str], None],
    settings: Settings,
    cancel: threading.Event,
) -> Proof:
    placed: list[Placed] = []
    for example in examples:
        try:
            placed.append(definitions.place(example))
        except UnplacedError as why:
            tell(str(why))
    if not placed:
        return Proof()
    proof = prove(placed, staged, timeout=settings.check_timeout, network=settings.network, cancel=cancel)
    if proof.cancelled:
        raise Cancelled
    for sentence in proof.told:
        tell(sentence)
    return proof


def _tests_or_words(root: Path) -> str:
    try:
        return find_check(root)
    except CheckCommandError as error:
        raise CheckCommandError(
            f"There is nothing to check with: {root} has no tests, and your words no example that fails now; "
            'give a command (--check CMD), or say what is wrong as "`f(2)` gives 7, I expect 5".'
        ) from error


def _and_tests(tests: Sequence[str]) -> str:
    if not tests:
        return ""
    return f" and {tests[0]}" if len(tests) == 1 else f" and {len(tests)} test files, first {tests[0]}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"
