"""Make a check of a session's cells: a script in the staged copy that runs them in a fresh kernel."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from loom_jupyter.checks.cell_case import MARK
from loom_jupyter.checks.command import CheckResult, run_check
from loom_jupyter.checks.report import trim
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import CheckCommandError

CELL = "cell"
"""What stands for this check on a command line."""
NAME = "loom_cells.py"
COMMAND = f"python {NAME}"
SHOWN = "the notebook's cells"
"""What people read instead of the command."""
_TEMPLATE = Path(__file__).with_name("cell_case.py")
_NO_CELLS, _NO_FOLDER = "CELLS: list[dict[str, Any]] = []", 'FOLDER = ""'


class Cell(BaseModel):
    """A code cell as a kernel ran it.

    Attributes
    ----------
    number
        Of its execution: the 5 of ``In [5]``.
    error
        Name of the exception that it ended with; empty if it did not fail.
    cell_id
        The notebook's name for it, where the front end told one.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    source: str
    error: str = ""
    cell_id: str = ""


class Session(BaseModel):
    """What a kernel has run, as far as it takes to run it again.

    Attributes
    ----------
    cells
        In the order in which they ran, without Loom's own. The last has an `error` if one failed and was not
        repaired since; what ran after it is left out.
    folder
        Where the kernel began, relative to the workspace; empty for the workspace itself.
    names
        What the kernel's variables are called.
    """

    model_config = ConfigDict(frozen=True)

    cells: tuple[Cell, ...] = ()
    folder: str = ""
    names: tuple[str, ...] = ()

    @property
    def failing(self) -> Cell | None:
        """The cell that is to be repaired."""
        return self.cells[-1] if self.cells and self.cells[-1].error else None


def require(session: Session | None) -> None:
    """Say before a run begins why there is no such check.

    Raises
    ------
    CheckCommandError
        If nothing was run, or a library is missing.
    """
    if session is None:
        raise CheckCommandError(
            "--check cell runs the cells of a notebook: start the run in one, or give a command (--check CMD)."
        )
    if not session.cells:
        raise CheckCommandError("--check cell needs a cell that ran before this one; run it, or give a command.")
    missing = [name for name in ("nbclient", "ipykernel") if importlib.util.find_spec(name) is None]
    if missing:
        raise CheckCommandError(
            f"--check cell needs {' and '.join(missing)} next to the kernel's Python: "
            f"pip install {' '.join(missing)} (the extra `lab` brings them)."
        )


def place(
    session: Session,
    staged: StagedCopy,
    tell: Callable[[str], None],
    *,
    timeout: float,
    network: bool = False,
    cancel: threading.Event | None = None,
) -> tuple[str, CheckResult | None] | None:
    """Put the check into the staged copy, and say what it is before it runs.

    It is run once on the code as it is, to see which cells fail there: those may go on failing, but for the one
    that is to be repaired.

    Returns
    -------
    tuple or None
        The command, and its result on the code as it is where that is already known. None if `cancel` was set.

    Raises
    ------
    CheckCommandError
        If the cells cannot serve as a check.
    """
    tell(_announced(session))
    staged.add(NAME, script(session, staged))
    found = run_check(
        COMMAND, staged.root, timeout=timeout, cancel=cancel, workspace=staged.workspace, network=network
    )
    staged.restore()
    if found.cancelled:
        return None
    failed = _failures(session, found, timeout)
    for sentence in _judged(session, failed):
        tell(sentence)
    staged.drop(NAME)
    may_fail = failed.keys() - _required(session)
    staged.add(NAME, script(session, staged, may_fail=may_fail))
    return COMMAND, None if may_fail else _unmarked(found)


def _unmarked(found: CheckResult) -> CheckResult:
    """Return a result without the lines that only `_failures` reads."""
    raw = "".join(line for line in found.raw.splitlines(keepends=True) if not line.startswith(MARK))
    return replace(found, raw=raw, output=trim(raw))


def script(session: Session, staged: StagedCopy, *, may_fail: Collection[int] | None = None) -> bytes:
    """Return the check as a script; the cells are data in it.

    Parameters
    ----------
    may_fail
        Numbers of the cells that may fail; None runs all of them, to see.
    """
    rows = [
        {
            "number": cell.number,
            "source": _moved(cell.source, staged),
            "may_fail": None if may_fail is None else cell.number in may_fail,
        }
        for cell in session.cells
    ]
    text = _TEMPLATE.read_text("utf-8")
    assert text.count(_NO_CELLS) == 1
    assert text.count(_NO_FOLDER) == 1
    return text.replace(_NO_FOLDER, f"FOLDER = {session.folder!r}").replace(_NO_CELLS, _filled(rows)).encode()


def with_cell(made: bytes, number: int | None, source: str, staged: StagedCopy) -> bytes:
    """Return a check's script with another source of the cell of that number, or with a new last cell."""
    text = made.decode()
    line = next(line for line in text.splitlines() if line.startswith("CELLS: "))
    rows = json.loads(ast.literal_eval(line.partition("json.loads(")[2].removesuffix(")")))
    if number is None:
        last = max((row["number"] for row in rows), default=0)
        rows.append({"number": last + 1, "may_fail": False})
    changed = next(row for row in rows if row["number"] == (rows[-1]["number"] if number is None else number))
    changed["source"] = _moved(source, staged)
    return text.replace(line, _filled(rows)).encode()


def _filled(rows: list[dict[str, Any]]) -> str:
    return _NO_CELLS.removesuffix("[]") + f"json.loads({json.dumps(rows)!r})"


def _moved(source: str, staged: StagedCopy) -> str:
    """Let a cell that names the workspace's folder mean the copy."""
    return re.sub(rf"{re.escape(str(staged.workspace))}(?![\w.-])", lambda _: str(staged.root), source)


def _required(session: Session) -> set[int]:
    return {session.failing.number} if session.failing else set()


def _announced(session: Session) -> str:
    cells, failing = session.cells, session.failing
    which = f"{len(cells)} cells of this session ({_listed(cells)})" if len(cells) > 1 else f"{_name(cells[0])}"
    ran = f"runs {which} in a fresh kernel, against the copy"
    if failing is None:
        fails = "any of them fails" if len(cells) > 1 else "it fails"
        return f"No cell has failed in this session. The check {ran}, and fails if {fails}."
    others = " and no other cell newly fails" if len(cells) > 1 else ""
    return f"The check {ran}; it passes when {_name(failing)} does not raise {failing.error} any more{others}."


def _name(cell: Cell) -> str:
    return f"In [{cell.number}]"


def _listed(cells: Sequence[Cell]) -> str:
    numbers = [cell.number for cell in cells]
    if len(numbers) > 6:
        return f"In [{numbers[0]}] to In [{numbers[-1]}]"
    return f"In {', '.join(f'[{number}]' for number in numbers)}"


def _failures(session: Session, found: CheckResult, timeout: float) -> dict[int, dict[str, Any]]:
    """Read which cells failed, by their numbers.

    Raises
    ------
    CheckCommandError
        If not all were run.
    """
    told = (line.partition(MARK)[2] for line in found.raw.splitlines() if line.startswith(MARK))
    rows = [row for line in told if (row := _row(line)) is not None]
    if found.timed_out:
        raise CheckCommandError(
            f"The cells take longer than {timeout:g} s in a fresh kernel; raise check_timeout in [tool.loom], "
            "or give another check."
        )
    if len(rows) < len(session.cells):
        raise CheckCommandError(
            f"The cells cannot be run in a fresh kernel ({found.summary}); give another check (--check CMD)."
        )
    return {row["number"]: row for row in rows if "kind" in row}


def _row(line: str) -> dict[str, Any] | None:
    """Read how a cell ended; None for what something that it ran printed in this form."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    sound = isinstance(row, dict) and isinstance(row.get("number"), int)
    return row if sound and ("kind" in row) == ("said" in row) else None


def _judged(session: Session, failed: dict[int, dict[str, Any]]) -> list[str]:
    """Say what the first run showed.

    Raises
    ------
    CheckCommandError
        If the cell to be repaired is not reached as in the session.
    """
    goal = session.failing
    others = [row for number, row in failed.items() if goal is None or number != goal.number]
    fresh = [row for row in others if not _failed_before(session, row["number"])]
    first = f"In [{fresh[0]['number']}] fails there ({fresh[0]['said']}), though not here" if fresh else ""
    said = [f"{first}: it may go on failing."] if fresh else []
    if goal is None:
        return said
    row = failed.get(goal.number)
    if row is None:
        return [
            *said,
            f"{_name(goal)} does not fail in a fresh kernel: its {goal.error} comes from what this session holds "
            "besides its cells. The check can only tell whether something new breaks; restart the kernel and run "
            "the cells again to see it as it is.",
        ]
    if row["kind"] != goal.error and fresh:
        raise CheckCommandError(
            f"The cells cannot be a check: {first}, and {_name(goal)} then fails with {row['said']} instead of "
            f"{goal.error}. A check has no keys, and network only by `network = true`; give another (--check CMD)."
        )
    if row["kind"] != goal.error:
        said.append(f"{_name(goal)} fails with {row['said']} there, not with {goal.error} as here.")
    return said


def _failed_before(session: Session, number: int) -> bool:
    return any(cell.number == number and cell.error for cell in session.cells)
