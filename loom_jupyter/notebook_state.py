"""What a notebook knows when a task is given: its last exception, loaded modules, cells and live variables."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

NOTEBOOK = "<notebook>"
"""Stands for the notebook where a path is wanted; no file is called so."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Variable(_Frozen):
    """A live variable, without its value unless that was asked for.

    Attributes
    ----------
    type
        Name of its type, as one would import it: ``pandas.DataFrame``.
    shape
        Of arrays and tables.
    size
        Number of elements of a container; None for anything else.
    dtype
        Of the elements, where they share one.
    columns
        Names and dtypes of a table's first columns.
    value
        Empty unless values were asked for.
    path, symbol
        File of the workspace that defines the variable, or its type, and the name there; empty if none does.
    """

    name: str
    type: str
    shape: tuple[int, ...] = ()
    size: int | None = None
    dtype: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    value: str = ""
    path: str = ""
    symbol: str = ""

    @property
    def is_data(self) -> bool:
        """Whether it holds data, and is no function, class or module."""
        return self.type not in ("function", "type", "module", "method")

    def __str__(self) -> str:
        said = f"{self.name}: {self.type}"
        if self.shape:
            said += " " + " × ".join(f"{n:,}" for n in self.shape)
        elif self.size is not None:
            said += f" of {self.size:,}"
        if self.dtype:
            said += f", {self.dtype}"
        if self.columns:
            named = ", ".join(f"{name} {dtype}".strip() for name, dtype in self.columns)
            more = self.shape[1] - len(self.columns) if len(self.shape) == 2 else 0
            said += f" ({named}{f', {more} more' if more > 0 else ''})"
        return f"{said} = {self.value}" if self.value else said


class Frame(_Frozen):
    """One frame of a traceback, in the workspace or in a cell.

    Attributes
    ----------
    path
        File of the workspace; empty for a cell.
    cell
        Execution count of the cell; None for a file.
    line
        1-based, in the file or cell.
    text
        The statement that was being executed.
    refuses
        Whether that is a ``raise`` of its own: the function refuses what it was given.
    variables
        Those of the frame that the statement names.
    """

    path: str = ""
    cell: int | None = None
    line: int = Field(ge=0)
    function: str
    text: str = ""
    refuses: bool = False
    variables: tuple[Variable, ...] = ()

    @property
    def place(self) -> str:
        """The place in a few words: ``parcels/tariff.py, line 22`` or ``In [5], line 1``."""
        return f"{self.path or f'In [{self.cell}]'}, line {self.line}"


class Failure(_Frozen):
    """The last exception.

    Attributes
    ----------
    frames
        Of workspace and cells only, outermost first; those of an exception's cause come after its own.
    age
        Cells that have been executed since without one.
    """

    type: str
    message: str = ""
    frames: tuple[Frame, ...] = ()
    age: int = Field(default=0, ge=0)

    @property
    def title(self) -> str:
        """Type and message, as a traceback ends."""
        return f"{self.type}: {self.message}" if self.message else self.type

    @property
    def in_workspace(self) -> tuple[Frame, ...]:
        """The frames in files of the workspace."""
        return tuple(f for f in self.frames if f.path)

    @property
    def in_cell(self) -> bool:
        """Whether the cause lies in a cell.

        That is where no frame is in the workspace, or where a function of the workspace refuses, with a ``raise``
        of its own, what a cell gave it.
        """
        if not self.in_workspace:
            return True
        last = self.frames[-1]
        before = [f for f in self.frames[:-1] if (f.path, f.function) != (last.path, last.function)]
        return last.refuses and bool(before) and not before[-1].path

    @property
    def cell(self) -> Frame | None:
        """The innermost frame in a cell."""
        return next((f for f in reversed(self.frames) if f.cell is not None), None)

    def __str__(self) -> str:
        lines = [f"{f.place}, in {f.function}:\n    {f.text}" for f in self.frames]
        return "\n".join([*lines, self.title])


class Cell(_Frozen):
    """A cell that was executed.

    Attributes
    ----------
    number
        Execution count.
    names
        What it shares with the task, or with the functions in question.
    calls
        Functions of the workspace that it calls, as (path, symbol).
    """

    number: int
    source: str
    names: tuple[str, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()


class Loaded(_Frozen):
    """A module of the workspace that this kernel has imported.

    Attributes
    ----------
    direct
        Whether a name of the notebook comes from it; the others were imported by modules.
    """

    path: str
    direct: bool = False


class NotebookState(_Frozen):
    """What a notebook knows, bounded in size, with secrets masked. Paths are relative to the workspace.

    Attributes
    ----------
    fix
        Whether the task is to repair `failure`.
    notices
        What could not be read, a sentence each.
    """

    failure: Failure | None = None
    modules: tuple[Loaded, ...] = ()
    cells: tuple[Cell, ...] = ()
    variables: tuple[Variable, ...] = ()
    fix: bool = False
    notices: tuple[str, ...] = ()

    def only_failure(self) -> NotebookState:
        """Return the last exception alone."""
        return NotebookState(failure=self.failure, fix=self.fix)

    def told(self) -> Iterator[str]:
        """Yield what a model is told beside the user's words: the data that they name, a line each."""
        for variable in self.variables:
            if variable.is_data:
                yield str(variable)
