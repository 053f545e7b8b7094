"""What a notebook knows as evidence: rows for files of the workspace, and for the notebook itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from loom_jupyter.context.context_map import Excerpt
from loom_jupyter.context.query import read
from loom_jupyter.context.rules import Rule
from loom_jupyter.context.snapshot import Snapshot
from loom_jupyter.notebook_state import NOTEBOOK, Failure, Frame, NotebookState

MOST_FRAMES = 8
# A module that another module imported tells less than one that the notebook itself uses.
PULLED_ALONG = 0.5
DETAIL = 120


class Seen(NamedTuple):
    """One piece of evidence: `points` is the rule's share of it. The line is 0 where there is none."""

    path: str
    rule: str
    points: float
    detail: str
    line: int = 0
    symbol: str = ""


def seen(state: NotebookState, request: str, rules: Mapping[str, Rule]) -> list[Seen]:
    """Return all evidence of a notebook for a request, the strongest rule first."""
    found = [*_frames(state, request), *_variables(state), *_cells(state), *_modules(state)]
    return [item._replace(points=item.points * rules[item.rule].points) for item in found]


def lines(state: NotebookState | None, request: str) -> list[tuple[str, int, float]]:
    """Return path, line and share (1 for the innermost) of the traceback's places in the workspace."""
    if state is None:
        return []
    return [(s.path, s.line, s.points) for s in _frames(state, request) if s.path != NOTEBOOK]


def share(failure: Failure, request: str, *, asked: bool = False) -> float:
    """Return how much an exception belongs to a request.

    1 for the newest cell's, for one that the request names or asks to repair; an older one counts less with every
    cell that went well since.
    """
    named = [failure.type.rpartition(".")[2], *(f.function.rpartition(".")[2] for f in failure.in_workspace)]
    code = read(request).code
    if asked or any(name.lower().strip("_") in code for name in named):
        return 1.0
    return 1 / (1 + failure.age)


def _frames(state: NotebookState, request: str) -> Iterator[Seen]:
    """The innermost place of workspace and cells counts whole, the next a half, then a third."""
    if state.failure is None:
        return
    whole = share(state.failure, request, asked=state.fix)
    error = state.failure.type.rpartition(".")[2]
    for side in (True, False):
        frames = _innermost_first(state.failure, in_workspace=side)
        for depth, frame in enumerate(frames[:MOST_FRAMES]):
            if side:
                what = f"{error} in {frame.function}"
            else:
                what = _short(f"{error} in In [{frame.cell}]: {frame.text}")
            line = frame.line if side else 0
            yield Seen(frame.path or NOTEBOOK, "in the traceback", whole / (1 + depth), what, line)


def _innermost_first(failure: Failure, *, in_workspace: bool) -> list[Frame]:
    frames: dict[tuple[str, int | None, str], Frame] = {}
    for frame in reversed(failure.frames):
        if bool(frame.path) == in_workspace:
            frames.setdefault((frame.path, frame.cell, frame.function), frame)
    return list(frames.values())


def _variables(state: NotebookState) -> Iterator[Seen]:
    for variable in state.variables:
        path = variable.path or NOTEBOOK
        yield Seen(path, "live variable", 1.0, _short(str(variable)), symbol=variable.symbol)


def _cells(state: NotebookState) -> Iterator[Seen]:
    calls: dict[tuple[str, str], list[int]] = {}
    for cell in state.cells:
        why = f"shares {', '.join(cell.names)}" if cell.names else _short(cell.source)
        yield Seen(NOTEBOOK, "earlier cell", 1.0, _short(f"In [{cell.number}] {why}"))
        for call in cell.calls:
            calls.setdefault(call, []).append(cell.number)
    for (path, symbol), numbers in calls.items():
        where = ", ".join(f"In [{n}]" for n in sorted(numbers))
        yield Seen(path, "earlier cell", 1.0, f"{where} calls {symbol}()", symbol=symbol)


def _modules(state: NotebookState) -> Iterator[Seen]:
    for module in state.modules:
        how = "used by the notebook" if module.direct else "imported by a module"
        yield Seen(module.path, "loaded here", 1.0 if module.direct else PULLED_ALONG, how)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= DETAIL else text[: DETAIL - 1] + "…"


def line_of(snapshot: Snapshot, number: int, symbol: str) -> int:
    """Return the line at which a file defines a symbol; 0 if it does not."""
    names = (symbol, symbol.replace(".<locals>", ""))
    return next((s.base + s.start for s in snapshot.batch.symbols[number] if s.name in names), 0)


# --- what the nodes read --------------------------------------------------------------------------------------


def excerpts(state: NotebookState, request: str) -> list[Excerpt]:
    """Return what may be read of a notebook: the last exception if it belongs to the request, then cells.

    A request that is made from the exception tells it already.
    """
    out = []
    failure = state.failure
    if failure is not None and not state.fix and share(failure, request) > 0.5:
        out.append(_excerpt("last exception", str(failure), "last exception of the notebook"))
    for cell in state.cells:
        why = f"shares {', '.join(cell.names)}" if cell.names else "the cell that failed"
        out.append(_excerpt(f"In [{cell.number}]", cell.source, why))
    return out


def _excerpt(name: str, text: str, why: str) -> Excerpt:
    text = text.rstrip("\n") + "\n"
    return Excerpt(path=NOTEBOOK, symbol=name, start=1, end=text.count("\n"), text=text, why=why)
