"""What a change looks like: hunks for people, and for accepting only some of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from loom_jupyter.context.text import decode
from loom_jupyter.edits import notebook
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.matching import changes
from loom_jupyter.edits.text import bare, split_lines
from loom_jupyter.errors import EditError

_CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines that changed together; positions count from 0, ends are excluded.

    Attributes
    ----------
    cell
        Cell id, for notebooks; the lines are then those of the cell's source.
    """

    old: tuple[int, int]
    new: tuple[int, int]
    cell: str | None = None


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file of a proposal as a unified diff; a notebook shows its cells' sources instead of its JSON."""

    path: str
    added: int
    removed: int
    text: str


def unified_diff(changes: Iterable[FileChange]) -> list[FileDiff]:
    """Show each change with three lines of context; unchanged files are left out."""
    return [_file_diff(change) for change in changes if change.before != change.after]


def hunks(change: FileChange) -> list[Hunk]:
    """Split a change into the parts that can be accepted one by one."""
    return [hunk for cell, old, new in _parts(change) for hunk in _hunks(old, new, cell)]


def select(change: FileChange, chosen: Collection[int]) -> FileChange:
    """Return the change with only some of its hunks, by their position in :func:`hunks`.

    Untouched bytes stay untouched: chosen hunks are carried out on the old bytes.
    """
    found = hunks(change)
    if bad := [number for number in chosen if not 0 <= number < len(found)]:
        raise EditError(f"{change.path} has {len(found)} hunks, numbered from 0; there is no hunk {bad[0]}.")
    if len(set(chosen)) == len(found):
        return change
    if change.before is None:
        raise EditError(f"{change.path} is new and can only be accepted whole.")
    wanted = [found[number] for number in sorted(set(chosen))]
    text, encoding = decode(change.path, change.before)
    if change.path.endswith(".ipynb"):
        text = _select_cells(change, text, wanted)
    else:
        text = _splice(text, decode(change.path, change.after)[0], wanted)
    return replace(change, after=encoding.encode(change.path, text))


def _select_cells(change: FileChange, text: str, wanted: list[Hunk]) -> str:
    after = {cell.id: cell.source for cell in notebook.cells(change.path, decode(change.path, change.after)[0])}
    for name in dict.fromkeys(hunk.cell for hunk in wanted):
        if name is None or name not in {cell.id for cell in notebook.cells(change.path, text)}:
            raise EditError(f"{change.path}: cells that are added or removed can only be accepted together.")
        cell = notebook.find(change.path, text, name)
        source = _splice(cell.source, after[name], [hunk for hunk in wanted if hunk.cell == name])
        text = notebook.with_source(text, cell, source)
    return text


def _splice(old: str, new: str, wanted: list[Hunk]) -> str:
    lines, fresh = split_lines(old), split_lines(new)
    for hunk in reversed(wanted):
        lines[slice(*hunk.old)] = fresh[slice(*hunk.new)]
    return "".join(lines)


def _parts(change: FileChange) -> list[tuple[str | None, list[str], list[str]]]:
    """Return ``(cell, old lines, new lines)`` for a file or for each changed cell of a notebook."""
    old = "" if change.before is None else decode(change.path, change.before)[0]
    new = decode(change.path, change.after)[0]
    if change.path.endswith(".ipynb") and change.before is not None:
        before = {cell.id: cell.source for cell in notebook.cells(change.path, old)}
        after = {cell.id: cell.source for cell in notebook.cells(change.path, new)}
        names = [*before, *(name for name in after if name not in before)]
        return [
            (name, split_lines(before.get(name, "")), split_lines(after.get(name, "")))
            for name in names
            if before.get(name) != after.get(name)
        ]
    return [(None, split_lines(old), split_lines(new))]


def _hunks(old: list[str], new: list[str], cell: str | None) -> list[Hunk]:
    return [Hunk(change.old, change.new, cell) for change in changes(old, new)]


def _file_diff(change: FileChange) -> FileDiff:
    added = removed = 0
    out: list[str] = []
    for cell, old, new in _parts(change):
        found = _hunks(old, new, cell)
        added += sum(hunk.new[1] - hunk.new[0] for hunk in found)
        removed += sum(hunk.old[1] - hunk.old[0] for hunk in found)
        label = f" (cell {cell})" if cell is not None else ""
        out.append("--- /dev/null" if change.before is None else f"--- a/{change.path}{label}")
        out.append(f"+++ b/{change.path}{label}")
        for group in _groups(found):
            out.extend(_group_lines(old, new, group))
    return FileDiff(change.path, added, removed, "\n".join(out) + "\n")


def _groups(found: list[Hunk]) -> list[list[Hunk]]:
    """Join hunks whose context would touch."""
    groups: list[list[Hunk]] = []
    for hunk in found:
        if groups and hunk.old[0] - groups[-1][-1].old[1] <= 2 * _CONTEXT:
            groups[-1].append(hunk)
        else:
            groups.append([hunk])
    return groups


def _group_lines(old: list[str], new: list[str], group: list[Hunk]) -> list[str]:
    begin = max(0, group[0].old[0] - _CONTEXT)
    end = min(len(old), group[-1].old[1] + _CONTEXT)
    shift = group[0].new[0] - group[0].old[0]
    grown = sum((h.new[1] - h.new[0]) - (h.old[1] - h.old[0]) for h in group)
    out = [f"@@ -{_range(begin, end)} +{_range(begin + shift, end + shift + grown)} @@"]
    at = begin
    for hunk in group:
        out += _marked(" ", old[at : hunk.old[0]])
        out += _marked("-", old[slice(*hunk.old)])
        out += _marked("+", new[slice(*hunk.new)])
        at = hunk.old[1]
    return out + _marked(" ", old[at:end])


def _range(start: int, end: int) -> str:
    if end - start == 1:
        return str(start + 1)
    return f"{start + (end > start)},{end - start}"


def _marked(sign: str, lines: list[str]) -> list[str]:
    out: list[str] = []
    for line in lines:
        out.append(sign + line.removesuffix("\n"))
        if bare(line) == line:
            out.append("\\ No newline at end of file")
    return out
