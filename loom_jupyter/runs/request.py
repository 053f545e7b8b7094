"""What a run was asked, and what it puts up for review."""

from __future__ import annotations

import time
import uuid

from pydantic import BaseModel, ConfigDict, Field

from loom_jupyter.checks.cells import Session
from loom_jupyter.context.intent import RequestIntent, read_intent
from loom_jupyter.events import ProposedCell
from loom_jupyter.notebook_state import NotebookState
from loom_jupyter.pipeline.contracts import with_answer

RUN = "run.json"


class Request(BaseModel):
    """What a run was asked; ``run.json`` in its folder.

    Attributes
    ----------
    questions
        Whether somebody is there whom the Architect may ask.
    plan
        Whether the user looks at the task before the Explorer begins.
    answer
        What the user said to the Architect's question.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    task: str = Field(min_length=1)
    root: str
    tagged: tuple[str, ...] = ()
    check: str | None = None
    apply: bool = False
    ask: bool = False
    commit: bool = False
    questions: bool = False
    plan: bool = False
    model: str | None = None
    budget: float = 120.0
    created: float = 0.0
    session: Session | None = None
    cell: bool = False
    notebook: NotebookState | None = None
    answer: str = ""

    @property
    def asked(self) -> str:
        """The user's words, with the answer to the Architect's question."""
        return with_answer(self.task, self.answer)

    @property
    def intent(self) -> RequestIntent:
        """What the user's words ask for."""
        return read_intent(self.asked)

    @property
    def words(self) -> str:
        """What the nodes are told: the user's words, and what the notebook knows of the data that they name."""
        told = [f"- {line}" for line in self.notebook.told()] if self.notebook is not None else []
        return "\n".join([self.asked, "", "In the notebook:", *told]) if told else self.asked


class ReviewedProposal(BaseModel):
    """What stands for review: one unified diff a file, and whether the check passed."""

    model_config = ConfigDict(frozen=True)

    summary: str
    diffs: dict[str, str]
    passed: bool | None
    answer: str = ""
    cell: ProposedCell | None = None

    @property
    def diff(self) -> str:
        """The unified diff of all files."""
        return "".join(self.diffs.values())


def new_run_id() -> str:
    """Return an id that sorts by time, also among runs of one second."""
    now = time.time()
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{int(now % 1 * 1000):03d}-{uuid.uuid4().hex[:4]}"
