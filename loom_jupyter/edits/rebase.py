"""Undo in a notebook that was run, saved or edited elsewhere since: its cells go back, all else stays."""

from __future__ import annotations

from pathlib import Path

from loom_jupyter.edits import disk
from loom_jupyter.edits.apply import FileChange, digest
from loom_jupyter.edits.conflict import three_way
from loom_jupyter.edits.journal import Entry, Journal, after_bytes, before_bytes, keep_after, keep_before
from loom_jupyter.errors import EditError


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
    disk.sync(journal)
    entry.before, entry.after, entry.blob = digest(found.merged.after), digest(present), fresh
    record.write(journal)
    return True
