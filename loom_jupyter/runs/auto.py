"""What a run is checked with, where no command was given.

``auto``: the examples in the user's words, proved, and the nearest tests. ``cell``: the cells of the session.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from loom_jupyter.checks import cells
from loom_jupyter.checks.command import CheckResult, find_check
from loom_jupyter.checks.examples import Example, find_examples, mentions_call, parts, quoted
from loom_jupyter.checks.proof import Placed, Proof, command, prove
from loom_jupyter.errors import Cancelled, CheckCommandError
from loom_jupyter.gate.gate import is_test
from loom_jupyter.runs.definitions import Definitions, UnplacedError

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index
    from loom_jupyter.context.snapshot import Snapshot
    from loom_jupyter.edits.staging import StagedCopy
    from loom_jupyter.pipeline.architect import Quote
    from loom_jupyter.runs.request import Request
    from loom_jupyter.settings import Settings

AUTO = "auto"
# A project with no more test files than these is tested whole, with more by those nearest to the request.
NEAREST = 8
_CODE = 5
_PYTEST = "python -m pytest"
_TEST = re.compile(r"(?:test_.*|.*_test)\.py")


class Settled(NamedTuple):
    """The command that checks a run, and its result on the code as it is, if it was run already."""

    command: str
    before: CheckResult | None = None


def refuse_hopeless(task: str, root: Path) -> None:
    """Say before a run begins that ``auto`` has nothing to go by.

    Raises
    ------
    CheckCommandError
        If the workspace has no tests and the user's words no call.
    """
    if not mentions_call(task):
        _tests_or_words(root)


def settle(
    request: Request,
    index: Index,
    staged: StagedCopy,
    tell: Callable[[str], None],
    settings: Settings,
    cancel: threading.Event,
    quote: Callable[[Sequence[str], Sequence[str]], Sequence[Quote]] = lambda _calls, _values: (),
) -> Settled | None:
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
        return Settled(request.check) if request.check is not None else None
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
        return Settled(found)
    tests = tests[:NEAREST] if importlib.util.find_spec("pytest") else []
    tell(f"The check is {_count(len(proof.kept), 'example')} of yours{_and_tests(tests)}.")
    return Settled(command(proof.file, [shlex.quote(t) for t in tests]))


def _cells(
    session: cells.Session | None,
    staged: StagedCopy,
    tell: Callable[[str], None],
    settings: Settings,
    cancel: threading.Event,
) -> Settled:
    cells.require(session)
    assert session is not None
    placed = cells.place(
        session, staged, tell, timeout=settings.check_timeout, network=settings.network, cancel=cancel
    )
    if placed is None:
        raise Cancelled
    return Settled(*placed)


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
