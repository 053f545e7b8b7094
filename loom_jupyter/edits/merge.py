"""A file that changed since it was read: the three versions beside each other, and what can still be joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from loom_jupyter.context.text import decode
from loom_jupyter.edits import notebook, paths
from loom_jupyter.edits.apply import FileChange, digest
from loom_jupyter.edits.journal import Entry, Journal, after_bytes, before_bytes, keep_after, keep_before
from loom_jupyter.edits.matching import matching_blocks
from loom_jupyter.edits.text import closed, split_lines
from loom_jupyter.errors import EditError

Lines = list[str]
Cells = dict[str, str]


@dataclass(frozen=True, slots=True)
class ThreeWay:
    """Proposed, read and present text of one file.

    Attributes
    ----------
    text
        All lines; where proposal and present file disagree, all three versions between marks as git writes them.
        Of a notebook, the cells in question.
    conflicts
        Places where they disagree.
    merged
        The change on top of the present file, where nothing disagrees; else None.
    intact
        Of a notebook: whether the cells that change are as they were read, so that it was only run, saved or
        edited elsewhere. A cell is the unit of change there, so the change fits without being asked for again.
    """

    path: str
    text: str
    conflicts: int
    merged: FileChange | None
    intact: bool = False


def three_way(change: FileChange, present: bytes | None) -> ThreeWay:
    """Compare a change with what its file holds now.

    Parameters
    ----------
    present
        The file's bytes now; None if it is gone.
    """
    if change.path.endswith(".ipynb") and change.before is not None and present is not None:
        return _notebook(change, present)
    base = _lines(change.path, change.before)
    ours, theirs = _lines(change.path, change.after), _lines(change.path, present)
    text, conflicts = _shown(base, ours, theirs)
    merged = None
    if not conflicts and present is not None:
        merged = replace(change, before=present, after=decode(change.path, present)[1].encode(change.path, text))
    return ThreeWay(change.path, text, conflicts, merged)


def merge(base: Lines, ours: Lines, theirs: Lines) -> Iterator[tuple[Lines, Lines, Lines]]:
    """Cut three texts into parts: ``(base, ours, theirs)``, in order and without gaps.

    A part in which all three are equal is common; in others at least one differs (diff3).
    """
    at = (0, 0, 0)
    for starts, size in _common(base, ours, theirs):
        if at != starts:
            yield base[at[0] : starts[0]], ours[at[1] : starts[1]], theirs[at[2] : starts[2]]
        if size:
            part = base[starts[0] : starts[0] + size]
            yield part, part, part
        at = (starts[0] + size, starts[1] + size, starts[2] + size)


def _common(base: Lines, ours: Lines, theirs: Lines) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Yield where all three texts run alike; an empty run at their ends comes last."""
    left, right = matching_blocks(base, ours), matching_blocks(base, theirs)
    one = two = 0
    while one < len(left) and two < len(right):
        a, b = left[one], right[two]
        start, end = max(a.a, b.a), min(a.a + a.size, b.a + b.size)
        if start < end:
            yield (start, a.b + start - a.a, b.b + start - b.a), end - start
        if a.a + a.size < b.a + b.size:
            one += 1
        else:
            two += 1
    yield (len(base), len(ours), len(theirs)), 0


def _shown(base: Lines, ours: Lines, theirs: Lines) -> tuple[str, int]:
    out: Lines = []
    conflicts = 0
    for old, mine, now in merge(base, ours, theirs):
        if mine == now or now == old:
            out += mine
        elif mine == old:
            out += now
        else:
            conflicts += 1
            out += ["<<<<<<< proposed\n", *_closed(mine), "||||||| when it was read\n", *_closed(old)]
            out += ["=======\n", *_closed(now), ">>>>>>> now\n"]
    return "".join(out), conflicts


def _closed(lines: Lines) -> Lines:
    return [closed(line, "\n") for line in lines]


def _lines(path: str, data: bytes | None) -> Lines:
    return [] if data is None else split_lines(decode(path, data)[0])


def _notebook(change: FileChange, present: bytes) -> ThreeWay:
    """Join cell by cell: outputs and other cells may have changed, the changed cells must not."""
    path = change.path
    text, encoding = decode(path, present)
    books = (decode(path, change.before or b"")[0], decode(path, change.after)[0], text)
    old, new, now = ({cell.id: cell.source for cell in notebook.cells(path, book)} for book in books)
    shown, conflicts, intact = [], 0, True
    for name in _changed(old, new):
        intact &= now.get(name) == old.get(name)
        part, found = _shown(*(split_lines(book.get(name, "")) for book in (old, new, now)))
        if _astray(name, old, new, now):
            found = max(found, 1)
        conflicts += found
        shown.append(f"# cell {name}\n{part}")
        if not conflicts:
            text = _with(path, text, name, list(new), part)
    if conflicts:
        return ThreeWay(path, "\n".join(shown), conflicts, None)
    merged = replace(change, before=present, after=encoding.encode(path, text))
    return ThreeWay(path, "\n".join(shown), 0, merged, intact)


def _changed(old: Cells, new: Cells) -> list[str]:
    """Return the cells that a change rewrites or adds, in order, then those that it takes away."""
    return [name for name in new if old.get(name) != new[name]] + [name for name in old if name not in new]


def _astray(name: str, old: Cells, new: Cells, now: Cells) -> bool:
    """Whether a cell is gone, or came from elsewhere, or where it would be added there is no place for it."""
    if name in old:
        taken = name not in new
        return now.get(name, old[name]) != old[name] if taken else name not in now
    if name in now:
        return now[name] != new[name]
    before = _before(name, list(new))
    return before is None or before not in now | {n: new[n] for n in new if n not in old}


def _before(name: str, names: list[str]) -> str | None:
    at = names.index(name)
    return names[at - 1] if at else None


def _with(path: str, text: str, name: str, names: list[str], source: str) -> str:
    """Return the text with a cell rewritten, added after the one before it in `names`, or taken away."""
    there = name in {cell.id for cell in notebook.cells(path, text)}
    if name not in names:
        return notebook.without_cell(path, text, name) if there else text
    if there:
        return notebook.with_source(text, notebook.find(path, text, name), source)
    return notebook.with_new_cell(path, text, _before(name, names), source)


# Undo in a notebook that was run, saved or edited elsewhere since: its cells go back, all else stays.


def rebase(record: Journal, entry: Entry, journal: Path, present: bytes) -> bool:
    """Let the journal say what undoing means for a notebook as it is now; nothing in the workspace is written.

    Parameters
    ----------
    entry
        The notebook's entry; changed and written if the cells that Accept wrote are still as it wrote them.
    present
        The notebook's bytes now.

    Returns
    -------
    bool
        Whether the cells can go back.
    """
    number = record.number(entry)
    after = after_bytes(journal, number)
    if after is None or entry.before is None:
        return False
    try:
        before = before_bytes(journal, number)
    except FileNotFoundError:
        return False
    if (digest(before), digest(after)) != (entry.before, entry.after):  # damaged; the caller refuses
        return False
    try:
        found = three_way(FileChange(entry.path, after, before), present)
    except EditError:  # it is no notebook any more; the caller says that it changed
        return False
    if found.merged is None or not found.intact:
        return False
    # Under a new number: the old bytes count until the manifest, written last, names the new ones.
    fresh = max(len(record.entries), *(1 + (other.blob or 0) for other in record.entries))
    keep_before(journal, fresh, found.merged.after)
    keep_after(journal, fresh, present)
    paths.sync(journal)
    entry.before, entry.after, entry.blob = digest(found.merged.after), digest(present), fresh
    record.write(journal)
    return True
