"""An exception in plain data: its frames in the user's own files and cells, as soon as it has happened.

No frame is kept: what a traceback holds on to would stay in memory as long as it.
"""

from __future__ import annotations

import ast
import linecache
import re
import sysconfig
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Literal

from loom_jupyter.kernel import variables
from loom_jupyter.kernel.variables import clean, names
from loom_jupyter.notebook_state import Failure, Frame, Variable

MOST_FRAMES = 12
MOST_VARIABLES = 6
MESSAGE_CHARS, LINE_CHARS = 400, 300
_CHAIN = 4
# Comprehensions and lambdas belong to the function around them.
_INNER = re.compile(r"\.<locals>(?:\.<\w+>)?")
_LONGEST_FILE = 10_000
_LIBRARY = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")})
_PACKAGES = ("site-packages", "dist-packages")
# A ``raise`` of these says that something is missing or broken, not that the caller gave something wrong.
_OWN_FAULT = ("NotImplementedError", "AssertionError", "RuntimeError")


@dataclass(frozen=True, slots=True)
class _Step:
    file: str
    line: int
    function: str
    scope: Mapping[str, object]


def failure(error: BaseException, cells: Mapping[str, int]) -> Failure:
    """Read an exception with what caused it. Paths are as they were compiled; see `seen_from`.

    Parameters
    ----------
    cells
        Execution count of the cell that a file name of compiled code stands for.
    """
    chain = list(_chain(error))
    steps: deque[_Step] = deque(maxlen=MOST_FRAMES)
    for link in chain:
        for step in _steps(link):
            if step.file in cells or _own(step.file):
                if steps and (steps[-1].file, steps[-1].function) == (step.file, step.function):
                    steps.pop()  # of a recursion, the innermost
                steps.append(step)
    return Failure(
        type=variables.type_name(type(error)),
        message=clean(_message(error), MESSAGE_CHARS),
        frames=tuple(_frame(step, cells) for step in steps),
    )


def seen_from(failure: Failure, place: variables.Place, age: int) -> Failure:
    """Return a failure with the paths of one workspace; frames of other files are left out."""

    def inner(variable: Variable) -> Variable:
        path = place(variable.path)
        return variable.model_copy(update={"path": path, "symbol": variable.symbol if path else ""})

    frames = [
        frame.model_copy(update={"path": place(frame.path), "variables": tuple(map(inner, frame.variables))})
        for frame in failure.frames
    ]
    kept = tuple(frame for frame in frames if frame.path or frame.cell is not None)
    return failure.model_copy(update={"frames": kept, "age": age})


def _message(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and type(error.msg) is str:
        return error.msg  # str() names a file that only IPython knows
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - __str__ is the user's, and may raise
        return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, then what it came from."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and len(seen) < _CHAIN and not any(link is other for other in seen):
        yield link
        seen.append(link)
        inner = link.exceptions[0] if isinstance(link, BaseExceptionGroup) else None
        link = inner or link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _steps(error: BaseException) -> Iterator[_Step]:
    """Yield the frames of a traceback, outermost first; a text that does not parse counts as one."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        frame: FrameType = trace.tb_frame
        name = _INNER.sub("", frame.f_code.co_qualname) or frame.f_code.co_qualname
        yield _Step(frame.f_code.co_filename, trace.tb_lineno or 0, name, frame.f_locals)
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and isinstance(error.filename, str):
        yield _Step(error.filename, error.lineno or 0, "<module>", {})


def _own(file: str) -> bool:
    """Whether a file may be the user's: no library, and nothing that has no source."""
    if file.startswith("<") or any(part in file for part in _PACKAGES):
        return False
    return not file.startswith(_LIBRARY)


def _absolute(file: str) -> str:
    return str(Path(file).absolute()) if file and not file.startswith("<") else ""


def _frame(step: _Step, cells: Mapping[str, int]) -> Frame:
    text, node = statement(linecache.getlines(step.file), step.line)
    return Frame(
        path="" if step.file in cells else _absolute(step.file),
        cell=cells.get(step.file),
        line=step.line,
        function=clean(step.function, LINE_CHARS),
        text=clean(text, LINE_CHARS),
        refuses=isinstance(node, ast.Raise) and _raised(node) not in _OWN_FAULT,
        variables=tuple(_named(text, step.scope)),
    )


def _raised(node: ast.Raise) -> str:
    raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return raised.id if isinstance(raised, ast.Name) else ""


def _named(text: str, scope: Mapping[str, object]) -> Iterator[Variable]:
    """Describe the variables of a frame that its statement names."""
    found = [name for name in names(text) if name in scope]
    for name in found[:MOST_VARIABLES]:
        described = variables.variable(name, scope[name], _absolute)
        if described.is_data:
            yield described


def statement(lines: list[str], number: int) -> tuple[str, ast.stmt | None]:
    """Return the statement that a line belongs to, in one line; of a compound one, its head."""
    if not 0 < number <= len(lines):
        return "", None
    line = lines[number - 1].strip()
    try:
        tree = ast.parse("".join(lines) if len(lines) <= _LONGEST_FILE else "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return line, None
    around = [
        n for n in ast.walk(tree) if isinstance(n, ast.stmt) and n.lineno <= number <= (n.end_lineno or n.lineno)
    ]
    if not around:
        return line, None
    node = max(around, key=lambda n: n.lineno)
    last = (node.end_lineno or node.lineno) if not hasattr(node, "body") else number
    first = node.lineno if not hasattr(node, "body") else number
    return " ".join(part.strip() for part in lines[first - 1 : last]), node


# The task that an exception makes: what was called, what it raised, and where.

ENDS = {
    "files": "Correct the code, so that this no longer raises.",
    "cell": "Correct the cell, so that it no longer raises.",
    "answer": "Explain in a few sentences why, then show the corrected code in one code block.",
}

Wanted = Literal["files", "cell", "answer"]


def wanted(failed: Failure, *, ask: bool, cell: bool, files: bool, check: str | None) -> Wanted:
    """Say what is to come of an exception: changed files, a rewritten cell, or an answer.

    A cell without any frame in the workspace is rewritten. Where a function of the workspace refuses what a cell
    gave it, only the user knows what to give it instead: that is explained, unless a check can tell.

    Parameters
    ----------
    ask, cell, files
        Whether the user asked for an answer, a cell, or something that only files have.
    check
        The user's check; ``"cell"`` can judge cells, any other one only files.
    """
    if ask or cell:
        return "answer" if ask else "cell"
    if not failed.in_cell or (failed.in_workspace and (files or check not in (None, "cell"))):
        return "files"
    if failed.cell is None or (failed.in_workspace and check is None):
        return "answer"
    return "cell"


def task(failed: Failure, what: Wanted) -> str:
    """Return the words for an exception; the same exception always gives the same words."""
    if what == "files" or (what == "answer" and not failed.in_cell):
        said = _in_workspace(failed)
    else:
        said = _in_cell(failed)
    return "\n".join([*said, ENDS[what]])


def _in_workspace(failed: Failure) -> list[str]:
    inner = failed.in_workspace[-1]
    return [
        f"`{_call(failed)}` raises {failed.title}",
        f"The exception comes from `{inner.function}` ({inner.place}): `{inner.text}`",
        *_variables(inner),
    ]


def _in_cell(failed: Failure) -> list[str]:
    cell = failed.cell
    if cell is None:
        return [f"A cell raises {failed.title}"]
    said = [f"The cell In [{cell.cell}] raises {failed.title}", f"It fails at line {cell.line}: `{cell.text}`"]
    inner = failed.frames[-1]
    if inner.path:
        said.append(f"`{inner.function}` ({inner.place}) refuses that on purpose: `{inner.text}`")
    return said + _variables(inner)


def _call(failed: Failure) -> str:
    """Return the statement of a cell that led there; the innermost function where no cell did."""
    outer = failed.cell
    return outer.text if outer is not None and outer.text else f"{failed.in_workspace[-1].function}()"


def _variables(frame: Frame) -> list[str]:
    return [f"There, {'; '.join(map(str, frame.variables))}."] if frame.variables else []
