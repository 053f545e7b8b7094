"""What is shown of a run, as data: notebook, sidebar and terminal render the same document.

Python makes it (`loom_jupyter.runs.compose`), so all words are chosen here; a renderer only lays them out. The
server sends it to the sidebar as JSON, whose types are made from its schema. After a change here:
``python -m loom_jupyter.runs.document > loom_jupyter/runs/document.schema.json`` and ``npm run types``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, fields
from typing import Any, Literal

from pydantic import TypeAdapter

from loom_jupyter.events import Action, RunState
from loom_jupyter.pipeline.contracts import Intent, Node
from loom_jupyter.runs.messages import Line, Message
from loom_jupyter.runs.view import StepState

RowKind = Literal["same", "added", "removed", "note"]
Verdict = Literal["passed", "failed", "refused", "unchecked"]


@dataclass(frozen=True)
class Meter:
    """A part of something: `fraction` from 0 to 1, and what it says."""

    fraction: float
    text: Message


@dataclass(frozen=True)
class Chip:
    """Two words for the head of the run, such as "not trusted", and the command that changes it."""

    text: Message
    command: str


@dataclass(frozen=True)
class Head:
    """The line above the steps: the model, its memory, and chips."""

    model: Line
    memory: Meter | None
    chips: tuple[Chip, ...]


@dataclass(frozen=True)
class Step:
    """One of the five steps. `aside` belongs at its right end; `spoken` is its state in a word."""

    node: Node
    state: StepState
    mark: str
    name: Message
    spoken: Message
    time: str
    text: Line
    aside: Line


@dataclass(frozen=True)
class Bar:
    """The line below the steps.

    Attributes
    ----------
    text
        What is awaited, and how long it has taken.
    fraction
        How far it is (0 to 1); None where that cannot be said.
    short
        The same for a status bar.
    spoken
        The same for a screen reader: it changes with the step, not with the clock.
    """

    text: Line
    fraction: float | None
    short: Message
    spoken: Message


@dataclass(frozen=True)
class Question:
    """What the Architect asks; `hint` says how to answer in words."""

    text: str
    hint: Message


@dataclass(frozen=True)
class TaskLine:
    """One part of a task with its name."""

    name: Message
    text: str


@dataclass(frozen=True)
class Plan:
    """The Architect's task; `hint` says how to go on, where the run waits for that."""

    intent: Intent
    goal: str
    acceptance: tuple[str, ...]
    terms: tuple[str, ...]
    lines: tuple[TaskLine, ...]
    hint: Message | None


@dataclass(frozen=True)
class Outcome:
    """How a run ended that did not solve its task: what was tried, the best it found, what to do next."""

    tried: Message | None
    best: Message | None
    next: Message


@dataclass(frozen=True)
class Notice:
    """A sentence, and lines to show below it."""

    text: Message
    below: str


@dataclass(frozen=True)
class Share:
    """What one family of rules adds to a file's score: its points, and its part of the file's bar, 0 to 1."""

    family: str
    points: str
    part: float


@dataclass(frozen=True)
class Row:
    """One piece of evidence: the rule, its points, what it saw and where (`path` as it is on disk)."""

    family: str
    rule: str
    points: str
    text: str
    path: str
    line: int | None


@dataclass(frozen=True)
class EvidenceFile:
    """One file of the ledger.

    Attributes
    ----------
    path, name
        The path as it is on disk, and as it is shown.
    line
        The line of its strongest evidence that has one.
    why
        Its strongest evidence in a few words.
    more
        Rows that are left out: the weakest.
    """

    rank: int
    path: str
    name: str
    line: int | None
    score: float
    points: str
    why: str
    bar: tuple[Share, ...]
    rows: tuple[Row, ...]
    more: int


@dataclass(frozen=True)
class Evidence:
    """The ledger's first files.

    Attributes
    ----------
    total
        How many files have any evidence.
    longest
        The best score: the longest bar.
    families
        The families of rules that occur.
    """

    title: Message
    total: int
    longest: float
    families: tuple[str, ...]
    files: tuple[EvidenceFile, ...]

    def width(self, file: EvidenceFile, share: Share) -> float:
        """Return a share's part of the longest bar, 0 to 1."""
        return share.part * file.score / self.longest if self.longest > 0 else 0.0


@dataclass(frozen=True)
class DiffRow:
    """One line of a diff; `number` is its line in the old file if removed, else in the new one."""

    kind: RowKind
    number: int | None
    text: str


@dataclass(frozen=True)
class Part:
    """Lines of a diff that belong together, with the numbers of the first ones (from 1); `cell` in notebooks."""

    cell: str | None
    old_start: int
    new_start: int
    rows: tuple[DiffRow, ...]


@dataclass(frozen=True)
class Hunk:
    """Lines that change together. Its position is what Accept calls it; `line` is its first line afterwards."""

    line: int
    text: Message


@dataclass(frozen=True)
class Change:
    """One file of the proposal; `name` is its `path` as it is shown, `line` the first that changes."""

    path: str
    name: str
    added: int
    removed: int
    line: int | None
    parts: tuple[Part, ...]
    hunks: tuple[Hunk, ...]
    label: Message


@dataclass(frozen=True)
class Expected:
    """Lines that a cell must still have from line `start` (from 1) on, exactly as they are, to be rewritten."""

    start: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class CellChange:
    """A cell that a run wrote: its source, and the cell that it replaces (`cell_id`), if any."""

    number: int | None
    cell_id: str
    source: str
    expected: tuple[Expected, ...]


@dataclass(frozen=True)
class Candidate:
    """One candidate of the search."""

    number: int
    verdict: Verdict
    word: Message
    text: Message


@dataclass(frozen=True)
class Text:
    """What a node wrote: the end of it."""

    node: Node
    title: Message
    text: str


@dataclass(frozen=True)
class Output:
    """What the check printed; `earlier` says how many lines before these there are."""

    title: Message
    earlier: Message | None
    text: str


@dataclass(frozen=True)
class Offer:
    """Something that can be done now; `merged`: Accept, on top of the user's own edits."""

    action: Action
    label: Message
    why: Message
    merged: bool = False


@dataclass(frozen=True)
class Document:
    """A run as it is shown.

    Attributes
    ----------
    task, root
        As the user wrote it, and the workspace's folder: as they are, not made fit to be shown.
    title
        The task in a line.
    at_work
        Whether something runs or waits its turn.
    writing
        The node that is writing, or wrote last.
    actions
        What can be done now.
    """

    run: str
    task: str
    root: str
    title: Message
    state: RunState
    at_work: bool
    head: Head
    steps: tuple[Step, ...]
    bar: Bar
    question: Question | None
    plan: Plan | None
    outcome: Outcome | None
    notices: tuple[Notice, ...]
    answer: str
    evidence: Evidence | None
    changes: tuple[Change, ...]
    cell: CellChange | None
    candidates: tuple[Candidate, ...]
    output: Output | None
    writing: Node | None
    texts: tuple[Text, ...]
    actions: tuple[Offer, ...]

    def offers(self, action: Action) -> Offer | None:
        """Return an action as it can be done now; None if it cannot."""
        return next((offer for offer in self.actions if offer.action is action), None)


SECTIONS = tuple(part.name for part in fields(Document))


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(value: Any) -> bytes:
    """Return a document, or a part of one, as JSON."""
    return _adapter(type(value)).dump_json(value)


def as_data(value: Any) -> Any:
    """Return a document, or a part of one, as plain data."""
    return _adapter(type(value)).dump_python(value, mode="json")


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a document."""
    return _adapter(Document).json_schema(mode="serialization")


def schema_text() -> str:
    """Return :func:`schema` as it is kept in ``document.schema.json``."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
