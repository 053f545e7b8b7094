"""Where a model's memory goes, and which models fit: one bar per device, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loom_jupyter.runs import format
from loom_jupyter.ui.status import Shown, table
from loom_jupyter.ui.tags import Html, join, tag

WIDTH = 60
"""Characters of a bar in the terminal."""
GLYPHS = {"others": "░", "weights": "█", "KV": "▓", "compute": "▒", "free": "·"}
COLUMNS = ("", "model", "file", "window here", "trained", "memory", "")


@dataclass(frozen=True, slots=True)
class Bar:
    """One device: its name, bytes in all, and segments ``(what, bytes)`` that add up to them."""

    device: str
    capacity: int
    segments: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Line:
    """One model: what it is called, bytes of its file, its window here and in training, bytes taken, a remark.

    A window of 0 says that it does not fit.
    """

    name: str
    size: int
    here: bool
    chosen: bool
    window: int
    trained: int
    memory: int
    note: str = ""


def names(known: Sequence[str], why: str) -> Shown:
    """Show the models where no plan can be made."""
    return Shown("\n".join([*map(format.line, known), format.line(why, 2_000)]))


def memory(title: str, bars: Sequence[Bar], lines: Sequence[Line], notes: Sequence[str] = ()) -> Shown:
    """Show the plan of the chosen model and the window that each model would get."""
    head = format.line(title)
    rows = [_cells(line) for line in lines]
    said = [format.line(note, 2_000) for note in notes if note]
    text = [head, *(part for bar in bars for part in _bar_text(bar)), "", str(table(COLUMNS, rows)), *said]
    body = [tag("div", tag("b", head)), *map(_bar_html, bars), _table_html(rows, lines)]
    return Shown("\n".join(text), tag("div", *body, *(tag("div", note, cls="dim") for note in said), cls="memory"))


def _bar_text(bar: Bar) -> list[str]:
    drawn = "".join(GLYPHS[what] * n for what, n in zip(GLYPHS, _widths(bar), strict=True))
    return [f"{drawn}  {format.gigabytes(bar.capacity)} GB", f"{_legend(bar)} · {format.line(bar.device, 80)}"]


def _widths(bar: Bar) -> list[int]:
    """Characters of each segment: what is there is seen, and all add up to the width."""
    sizes = dict(bar.segments)
    whole = max(1, bar.capacity)
    widths = [max(1, round(WIDTH * sizes[what] / whole)) if sizes.get(what) else 0 for what in GLYPHS]
    while sum(widths) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    return [*widths[:-1], widths[-1] + WIDTH - sum(widths)]


def _legend(bar: Bar) -> str:
    return " · ".join(f"{GLYPHS[what]} {what} {format.gigabytes(size)}" for what, size in bar.segments)


def _cells(line: Line) -> list[str]:
    remarks = [line.note, "" if line.here else "to be downloaded"]
    return [
        "*" if line.chosen else "",
        format.line(line.name, 80),
        f"{format.gigabytes(line.size)} GB",
        format.count(line.window) if line.window else "does not fit",
        format.count(line.trained),
        f"{format.gigabytes(line.memory)} GB",
        ", ".join(filter(None, remarks)),
    ]


def _bar_html(bar: Bar) -> Html:
    whole = max(1, bar.capacity)
    legend = [
        tag("span", tag("span", cls=f"chip m-{what.lower()}"), f"{what} {format.gigabytes(size)} GB")
        for what, size in bar.segments
    ]
    parts = [
        tag("span", cls=f"m-{what.lower()}", style=f"width: {100 * size / whole:.2f}%", title=what)
        for what, size in bar.segments
        if size
    ]
    said = ", ".join(f"{what} {format.gigabytes(size)} GB" for what, size in bar.segments)
    return join(
        [
            tag("div", f"{format.line(bar.device, 80)} · {format.gigabytes(bar.capacity)} GB", cls="dim"),
            tag("div", *parts, cls="bar", role="img", aria_label=said, sep=""),
            tag("div", *legend, cls="legend"),
        ]
    )


def _table_html(rows: Sequence[Sequence[str]], lines: Sequence[Line]) -> Html:
    head = tag("tr", *(tag("th", name) for name in COLUMNS[1:]))
    body = [
        tag("tr", *(tag("td", cell) for cell in row[1:]), cls="chosen" if line.chosen else "")
        for row, line in zip(rows, lines, strict=True)
    ]
    return tag("table", tag("thead", head), tag("tbody", *body))
