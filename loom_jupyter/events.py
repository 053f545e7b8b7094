"""The event schema: every line of a run's ``progress.jsonl``.

Panel, sidebar and terminal are reducers over these. A reader skips types it does not know and fields it does not
need, so adding either is not a new version; changing the meaning of one is (`VERSION`). After a change here:
``python -m loom_jupyter.events > loom_jupyter/progress.schema.json``.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from loom_jupyter.pipeline.contracts import Intent, Node, TaskSpec

VERSION: Literal[1] = 1


class RunState(StrEnum):
    """Where a run stands.

    A run in `REVIEW` waits for the user and nothing is at work; one that is `WAITING` needs the user's answer, or
    the user's word on its task, before it goes on.
    """

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    REVIEW = "review"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDONE = "undone"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def at_work(self) -> bool:
        """Whether something still runs, or waits for its turn or for the user."""
        return self in (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)


class Action(StrEnum):
    """What can be asked of a run through ``control.jsonl``."""

    STOP = "stop"
    ACCEPT = "accept"
    REJECT = "reject"
    UNDO = "undo"
    ANSWER = "answer"
    APPROVE = "approve"


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = VERSION
    seq: int = Field(default=0, ge=0, description="Position in the run's log, from 1.")
    ts: float = Field(default=0.0, description="Seconds since the epoch.")
    run: str = Field(default="", description="Run id.")


class Started(_Event):
    """First event of a run: what was asked."""

    type: Literal["started"] = "started"
    task: str
    root: str
    tagged: list[str] = []
    check: str | None = None
    apply: bool = False
    model: str
    budget: float = Field(description="Seconds that the Coder may search.")


class StateChanged(_Event):
    """The run entered a state."""

    type: Literal["state"] = "state"
    state: RunState
    reason: str = ""


class Indexed(_Event):
    """The index is up to date."""

    type: Literal["indexed"] = "indexed"
    files: int
    changed: int
    removed: int
    seconds: float


class ModelLoading(_Event):
    """The model is being fetched, verified or loaded; kept apart from thinking."""

    type: Literal["model_loading"] = "model_loading"
    name: str
    phase: Literal["download", "verify", "plan", "load"]
    fraction: float = Field(ge=0, le=1)


class ModelReady(_Event):
    """The model can be asked."""

    type: Literal["model_ready"] = "model_ready"
    name: str
    n_ctx: int
    device: str
    memory: int = Field(description="Bytes the model takes.")
    available: int = Field(description="Bytes of the device.")
    seconds: float


class NodeStarted(_Event):
    """A node began."""

    type: Literal["node_started"] = "node_started"
    node: Node
    note: str = ""


class NodeText(_Event):
    """A piece of a node's reply, as it streams."""

    type: Literal["node_text"] = "node_text"
    node: Node
    text: str


class NodeUsage(_Event):
    """Tokens of one model call."""

    type: Literal["usage"] = "usage"
    node: Node
    prompt_tokens: int
    reused_tokens: int
    completion_tokens: int
    prefill_seconds: float
    decode_seconds: float


class NodeRepaired(_Event):
    """A malformed reply was repaired, retried or replaced by a deterministic answer."""

    type: Literal["repaired"] = "repaired"
    node: Node
    note: str


class NodeFinished(_Event):
    """A node is done, with one line for people and its contract as data."""

    type: Literal["node_finished"] = "node_finished"
    node: Node
    summary: str
    seconds: float
    data: dict[str, Any] = {}


class TaskPlanned(_Event):
    """The Architect's TaskSpec."""

    type: Literal["task"] = "task"
    intent: Intent
    goal: str
    acceptance: list[str]
    terms: list[str]


class QuestionAsked(_Event):
    """The Architect cannot act on the request and asks the user; the run waits."""

    type: Literal["question"] = "question"
    text: str


class QuestionAnswered(_Event):
    """The user's answer; empty if the run is to go on with its best guess."""

    type: Literal["answer"] = "answer"
    text: str


class EvidenceRow(BaseModel):
    """One row of the ledger."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    rule: str
    points: float
    detail: str
    line: int | None = None
    symbol: str | None = None
    family: str = Field(default="", description="Family of the rule, for its colour.")


class RankedFile(BaseModel):
    """One file of the ledger, with all its evidence."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rank: int
    path: str
    score: float
    rows: list[EvidenceRow]


class LedgerMade(_Event):
    """The ledger's top files; the whole ledger is in the run's ``ledger.json``."""

    type: Literal["ledger"] = "ledger"
    files: list[RankedFile]
    total: int = Field(description="Files with any evidence.")


class MapMade(_Event):
    """The Context Map: places only, the text is in the run's ``map.json``."""

    type: Literal["map"] = "map"
    targets: list[str]
    excerpts: list[str]
    omitted: int
    tokens: int


class CheckStarted(_Event):
    """The check is being run."""

    type: Literal["check_started"] = "check_started"
    command: str
    stage: Literal["before", "candidate", "proposal"]


class CheckFinished(_Event):
    """The check ended."""

    type: Literal["check_finished"] = "check_finished"
    stage: Literal["before", "candidate", "proposal"]
    passed: bool
    summary: str
    seconds: float
    output: str = ""


class CandidateTried(_Event):
    """The Coder's search tried one candidate."""

    type: Literal["candidate"] = "candidate"
    number: int = Field(ge=1)
    limit: int
    place: str
    kind: str = Field(description="How it was made: rewrite, replaced line, inserted line, sample, …")
    verdict: Literal["passed", "failed", "refused", "unchecked"]
    reason: str
    seconds: float


class ProposedFile(BaseModel):
    """One file of a proposal."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    path: str
    added: int
    removed: int
    diff: str


class ProposedCell(BaseModel):
    """A notebook cell that a run wrote, for a front end that can put it into the notebook."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int | None = Field(
        default=None, description="The 5 of In [5]: the cell it replaces; none for a new one."
    )
    cell_id: str = Field(default="", description="Id of the cell it replaces, where the kernel was told it.")
    source: str


class ProposalMade(_Event):
    """The proposal under review."""

    type: Literal["proposal"] = "proposal"
    summary: str
    files: list[ProposedFile]
    passed: bool | None
    answer: str = ""
    cell: ProposedCell | None = Field(default=None, description="With --cell: what is proposed instead of files.")
    digests: dict[str, str] = Field(
        default={}, description="Of each file: SHA-256 of its path and its bytes before and after."
    )


class ControlHandled(_Event):
    """A line of ``control.jsonl`` was carried out or refused."""

    type: Literal["control"] = "control"
    id: str
    action: Action
    ok: bool
    reason: str = ""
    mergeable: bool = Field(default=False, description="Refused, but accept with `merged` can do it.")
    dropped: bool = Field(default=False, description="Refused because nobody waits for it any more.")


class Noticed(_Event):
    """Something the user should know that does not end the run."""

    type: Literal["notice"] = "notice"
    text: str
    chip: str = Field(default="", description="Two words for the head of the run, where they belong there.")
    command: str = Field(default="", description="What changes it, such as `%loom trust`.")


class Failed(_Event):
    """Why the run failed: one sentence with the remedy."""

    type: Literal["error"] = "error"
    text: str


Event = (
    Started
    | StateChanged
    | Indexed
    | ModelLoading
    | ModelReady
    | NodeStarted
    | NodeText
    | NodeUsage
    | NodeRepaired
    | NodeFinished
    | TaskPlanned
    | QuestionAsked
    | QuestionAnswered
    | LedgerMade
    | MapMade
    | CheckStarted
    | CheckFinished
    | CandidateTried
    | ProposalMade
    | ControlHandled
    | Noticed
    | Failed
)

EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


class Control(BaseModel):
    """One line of ``control.jsonl``.

    Attributes
    ----------
    id
        Chosen by the writer; the acknowledging event carries it.
    paths
        For accept and undo: only these files. None means all.
    hunks
        For accept: of these files only these hunks, by their position from 0.
    merged
        For accept: also on top of files that changed since, where the changes do not touch.
    text
        For answer: the user's words; empty to go on with the best guess.
    task
        For approve: the task as the user wants it. None leaves it as it is.
    deadline
        Until when the writer waits for an answer (seconds since the epoch); later it is not carried out. None: for
        ever, but not beyond the life of the process that owns the run.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1, max_length=64)
    action: Action
    paths: list[str] | None = None
    hunks: dict[str, list[int]] | None = None
    merged: bool = False
    text: str = ""
    task: TaskSpec | None = None
    deadline: float | None = None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of ``progress.jsonl``."""
    return EVENT.json_schema()


def schema_text() -> str:
    """Return :func:`schema` as it is kept in ``progress.schema.json``, for readers in other languages."""
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
