"""The environment of a run that writes a cell of the notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loom_jupyter.checks import cells
from loom_jupyter.checks.checker import Checker
from loom_jupyter.checks.command import CheckResult
from loom_jupyter.context.context_map import NEW_CELL, ContextMap, Excerpt, Offer, Target
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.gate.gate import other_assertion
from loom_jupyter.models.protocol import Model
from loom_jupyter.notebook_state import NOTEBOOK
from loom_jupyter.pipeline.contracts import TaskSpec
from loom_jupyter.runs import cell_proposal
from loom_jupyter.runs.task_environment import WorkspaceEnvironment

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index
    from loom_jupyter.context.ledger import Ledger
    from loom_jupyter.runs.run import Run


def environment_of(
    run: Run, index: Index, model: Model, staged: StagedCopy, checker: Checker | None
) -> WorkspaceEnvironment:
    """Return the environment that fits a run."""
    made = CellEnvironment if run.request.cell else WorkspaceEnvironment
    return made(run, index, model, staged, checker)


@dataclass
class CellEnvironment(WorkspaceEnvironment):
    """Offers one cell to be written; what the workspace holds may be read."""

    _target: Target = field(init=False)

    def __post_init__(self) -> None:
        """Write the session down as a notebook, and find the cell."""
        session = self.run.request.session
        assert session is not None
        cell_proposal.write_session(self.run.folder, session)
        self._target = cell_proposal.target(self.run)
        self.names = frozenset(session.names)

    def check_before(self) -> None:
        """Run the check on the code as it is; with a new cell nothing fails yet."""
        if self._target.kind != NEW_CELL:
            super().check_before()
        elif self.checker is not None:
            self._run_before(self.checker)

    def _fixed(self, path: str, *, new: bool = False) -> bool:
        """Keep nothing back: the cell alone is changed, what the workspace holds is only read."""
        del path, new
        return False

    def offers(self, spec: TaskSpec) -> Sequence[Offer]:
        """Offer the cell first, then what may be read."""
        return [_offer(self._target), *super().offers(spec)]

    def _packed(self, ledger: Ledger, spec: TaskSpec, chosen: Sequence[Offer]) -> ContextMap:
        others = [offer for offer in chosen if offer.id != self._target.id]
        packed = super()._packed(ledger, spec, others)
        read = [
            Excerpt(path=t.path, symbol=t.symbol, start=t.start, end=t.end, text=t.text, why="chosen", cell=t.cell)
            for t in packed.targets
        ]
        told = {f"In [{cell_proposal.number_of(self._target)}]"} if self._target.kind != NEW_CELL else set()
        told |= {excerpt.symbol or "" for excerpt in packed.excerpts if excerpt.path == NOTEBOOK}
        before = [excerpt for excerpt in cell_proposal.read(self.run, self._target) if excerpt.symbol not in told]
        excerpts = (*packed.excerpts, *read, *before)
        made = packed.model_copy(update={"targets": (self._target,), "excerpts": excerpts})
        return made.model_copy(update={"tokens": self.model.count(made.render())})

    def _gate(self, changes: Sequence[FileChange]) -> str | None:
        """Keep what the cell asserts, unless the user speaks of that: the check would pass without it."""
        notebook = self.run.request.notebook
        # The task of %loom fix names the failing line, which may be an assertion.
        if not self.run.request.intent.asks_about_assertions or (notebook is not None and notebook.fix):
            lost = other_assertion(self._target.text, cell_proposal.source_of(changes[0], self._target))
            if lost:
                return lost
        return super()._gate(changes)

    def _attempt(self, checker: Checker, changes: Sequence[FileChange]) -> CheckResult:
        """Put the cell among the others in the check's script."""
        target, session = self._target, self.run.request.session
        assert session is not None
        number = None if target.kind == NEW_CELL else cell_proposal.number_of(target)
        before = (self.staged.root / cells.NAME).read_bytes()
        after = cells.with_cell(before, number, cell_proposal.source_of(changes[0], target), self.staged)
        return checker.attempt([FileChange(cells.NAME, before, after)])


def _offer(target: Target) -> Offer:
    first = target.text.partition("\n")[0]
    what = "a new cell of the notebook" if target.kind == NEW_CELL else "the cell to be rewritten"
    return Offer(
        id=target.id,
        path=target.path,
        symbol=None,
        kind="cell",
        start=target.start,
        end=target.end,
        signature=first or what,
        evidence=what,
        score=0.0,
        cell=target.cell,
    )
