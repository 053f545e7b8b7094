"""The Context Map: what the Coder may change, what it may read, and what was left out."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

NEW_CELL = "new-cell"
"""Kind of a target that adds a code cell after the cell it names (at the end, if it names none)."""
NEW_SYMBOL = "new-symbol"
"""Kind of a target behind which a new unit is put; its own text stays."""
REMOVED = "removed"
"""Kind of a target that goes."""
ADDED = (NEW_CELL, NEW_SYMBOL)


class Relation(StrEnum):
    """What the Explorer may ask to see beside a unit that it was offered."""

    CALLERS = "calls"
    CALLEES = "called by"
    TESTS = "tests"
    DEFINITIONS = "named by"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Offer(_Frozen):
    """One unit that the Explorer may choose: a symbol, a notebook cell, a section or a short file.

    Attributes
    ----------
    id
        Short name that a grammar can enumerate (``s1``, ``s2``, … in order of score).
    path
        POSIX path relative to the workspace.
    symbol
        Qualified name (``Class.method``); None for a whole file.
    kind
        ``function``, ``class``, ``method``, ``cell``, ``section``, ``file``, …
    start, end
        Lines of the unit in the file (within the cell, for notebooks), 1-based, both included.
    signature
        First line, or the heading.
    evidence
        The strongest ledger rows in a few words.
    cell
        Cell id, for notebooks.
    sha256
        Digest of the file that the lines were counted in; empty where it is not known.
    """

    id: str
    path: str
    symbol: str | None
    kind: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    signature: str
    evidence: str
    score: float
    cell: str | None = None
    sha256: str = ""


class Target(_Frozen):
    r"""A unit that may be changed, as it was when the map was made.

    Attributes
    ----------
    start, end
        Lines that the unit spans (within the cell, for notebooks), 1-based, both included; both 0 for a file
        that does not exist yet.
    sha256
        Hash of the whole file's bytes; None for a file that does not exist yet. Writing is refused when it
        no longer holds.
    text
        The unit's text with ``\n`` line ends and a final newline; empty for a new file.
    executed
        Lines of the file that failing tests executed, within the unit; empty where none was traced.
    """

    id: str
    path: str
    symbol: str | None
    kind: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    sha256: str | None
    text: str
    cell: str | None = None
    score: float = 0.0
    executed: tuple[int, ...] = ()


class Excerpt(_Frozen):
    """Lines that may be read but not changed."""

    path: str
    symbol: str | None
    start: int
    end: int
    text: str
    why: str
    cell: str | None = None


class Excluded(_Frozen):
    """Something relevant that did not fit, and why."""

    path: str
    symbol: str | None
    reason: str


class ContextMap(_Frozen):
    """Everything the Coder is given.

    Attributes
    ----------
    tokens
        Size of :meth:`render` in tokens of the counter that packed it.
    """

    query: str
    targets: tuple[Target, ...]
    excerpts: tuple[Excerpt, ...]
    omitted: tuple[Excluded, ...]
    tokens: int

    def render(self) -> str:
        """Return the map as text: excerpts first, then targets, each under a line that names its place."""
        parts = [f"### {place(e.path, e.symbol, e.start, e.end)}\n{e.text.rstrip()}\n" for e in self.excerpts]
        parts += [
            f"### {place(t.path, t.symbol, t.start, t.end)} (may be changed)\n{t.text.rstrip()}\n"
            for t in self.targets
        ]
        return "\n".join(parts)


class Rewrite(_Frozen):
    """The complete new text of one target.

    Attributes
    ----------
    text
        Replaces lines ``start`` to ``end`` of the target; the whole content when the file is new.
    """

    target: Target
    text: str


def place(path: str, symbol: str | None, start: int, end: int) -> str:
    """Name a place for people and prompts: ``src/tariff.py · tariff (lines 3-9)``."""
    name = f"{path} · {symbol}" if symbol else path
    return f"{name} (lines {start}-{end})" if end else name
