"""Pages of a run's whole ledger, sorted and filtered: its event carries only the first files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loom_jupyter.errors import LoomError
from loom_jupyter.runs.files import read

if TYPE_CHECKING:
    from loom_jupyter.context.ledger import Evidence, Ledger

LEDGER = "ledger.json"
ORDERS = ("score", "path", "evidence")
"""By points, by path, by number of rows."""
PAGE = 200
"""Most files of a page."""
ROWS = 60
"""Most rows of a file: the strongest."""
MOST_BYTES = 256 * 1024**2


@dataclass(frozen=True)
class Asked:
    """What of a ledger is wanted.

    Attributes
    ----------
    words
        Each stands in the file's path, or in the rule or detail of one of its rows; in any case.
    path
        Stands in the file's path.
    families
        Only evidence of these families of rules counts; empty: of all.
    """

    words: str = ""
    path: str = ""
    order: str = "score"
    families: frozenset[str] = frozenset()
    offset: int = 0
    limit: int = 50


def version(folder: Path) -> str | None:
    """Return what changes whenever the ledger of the run in `folder` does; None if there is none yet."""
    try:
        found = (folder / LEDGER).stat()
    except FileNotFoundError:
        return None
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def page(folder: Path, asked: Asked) -> dict[str, Any]:
    """Return some files of a run's ledger as plain data.

    Returns
    -------
    dict
        ``total`` files with evidence, ``matching`` of them, all ``families`` that occur, and ``files``, each
        with ``rank``, ``path``, ``score``, its strongest ``rows`` and how many ``more`` there are.

    Raises
    ------
    LoomError
        If the ledger is too large to be shown, or damaged.
    """
    ledger = whole(folder)
    files = [
        (rank, path, score, _of(ledger.evidence(path), asked.families))
        for rank, (path, score) in enumerate(ledger.scores, 1)
    ]
    found = [entry for entry in files if entry[3] and _wanted(entry[1], entry[3], asked)]
    if asked.order == "path":
        found.sort(key=lambda entry: entry[1])
    elif asked.order == "evidence":
        found.sort(key=lambda entry: (-len(entry[3]), entry[0]))
    shown = found[asked.offset : asked.offset + min(asked.limit, PAGE)]
    return {
        "total": len(files),
        "matching": len(found),
        "families": sorted({_family(row) for row in ledger.rows}),
        "files": [
            {"rank": rank, "path": path, "score": score, "rows": _plain(rows), "more": max(0, len(rows) - ROWS)}
            for rank, path, score, rows in shown
        ],
    }


def whole(folder: Path) -> Ledger:
    """Return the ledger of the run in `folder`; the same object as long as it does not change.

    Raises
    ------
    LoomError
        If the ledger is too large to be shown, or damaged.
    """
    file = folder / LEDGER
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise LoomError(f"This ledger takes {size / 1024**2:,.0f} MiB; ask for it with `%loom ledger`.")
    return _ledger(file, version(folder) or "")


@lru_cache(maxsize=4)
def _ledger(file: Path, _version: str) -> Ledger:
    from loom_jupyter.context.ledger import Ledger

    try:
        return Ledger.from_json(read(file).decode())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoomError("This ledger is damaged; run the task again.") from error


def _family(row: Evidence) -> str:
    from loom_jupyter.context.ledger import FAMILY

    return FAMILY.get(row.rule, "term")


def _of(rows: list[Evidence], families: frozenset[str]) -> list[Evidence]:
    return [row for row in rows if not families or _family(row) in families]


def _wanted(path: str, rows: list[Evidence], asked: Asked) -> bool:
    if asked.path.lower() not in path.lower():
        return False
    words = asked.words.lower().split()
    if not words:
        return True
    text = "\n".join([path, *(f"{row.rule} {row.detail}" for row in rows)]).lower()
    return all(word in text for word in words)


def _plain(rows: list[Evidence]) -> list[dict[str, Any]]:
    return [{**asdict(row), "family": _family(row)} for row in rows[:ROWS]]
