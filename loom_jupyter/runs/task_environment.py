"""The environment: what deterministic code lends the pipeline in a run, and tells the log about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from loom_jupyter.checks import cells
from loom_jupyter.checks.checker import Checker, hopeless, verdict
from loom_jupyter.checks.command import CheckResult
from loom_jupyter.checks.judges import Judges, shadows
from loom_jupyter.checks.report import places
from loom_jupyter.checks.trace import Evidence
from loom_jupyter.context.context_map import (
    ContextMap,
    Excerpt,
    Offer,
    Relation,
    Rewrite,
    Target,
    place,
)
from loom_jupyter.context.intent import Operation, RequestIntent
from loom_jupyter.context.notebook_evidence import excerpts
from loom_jupyter.context.pack import NoRoomError
from loom_jupyter.context.text import decode
from loom_jupyter.edits import folder
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.edits.syntax import problem
from loom_jupyter.errors import Cancelled, EditError, LoomError
from loom_jupyter.events import CheckFinished, CheckStarted, LedgerMade, MapMade, NodeStarted, Noticed, RankedFile
from loom_jupyter.gate.gate import canonical, gate_change
from loom_jupyter.gate.operation import (
    named,
    only_renames,
    readable,
    resolve_operation,
    targeted,
)
from loom_jupyter.gate.request import refusal
from loom_jupyter.models.protocol import Model
from loom_jupyter.notebook_state import NOTEBOOK
from loom_jupyter.pipeline.contracts import Intent, Node, TaskSpec, Trial
from loom_jupyter.pipeline.search.source import short, unwritten
from loom_jupyter.runs import cell_proposal
from loom_jupyter.runs.evidence import LEDGER
from loom_jupyter.runs.files import store
from loom_jupyter.runs.review import MAP

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index
    from loom_jupyter.context.ledger import Ledger
    from loom_jupyter.runs.run import Run

OFFERS = 8
# Units that the Explorer may have looked up beside these.
EXPANDED = 12
MOST_RANKED = 60
TOP_FILES = 10
# Functions that failing tests execute count as evidence; the check is run once more for them if it is quick.
EXECUTED = 8
WORTH_TRACING = 20.0
MAP_TOKENS = 8000
# A CPU reads about 90 tokens a second: more excerpts cost the user more time than they earn.
CPU_READING = 900
REPLY_TOKENS = 2048
# What a window keeps free at least: the request, and a reply of search and replace.
PATCH_TOKENS = 1200
DATA = (".toml", ".json")


@dataclass
class WorkspaceEnvironment:
    """Ranks, packs and tries for one run. Implements :class:`loom_jupyter.pipeline.interfaces.TaskEnvironment`."""

    run: Run
    index: Index
    model: Model
    staged: StagedCopy
    checker: Checker | None
    before: CheckResult | None = None
    executed: Evidence | None = None
    ledger: Ledger | None = None
    names: frozenset[str] = frozenset()
    expands: bool = False
    _offered: Sequence[Offer] = ()
    _expanded: list[Offer] = field(default_factory=list)
    _seen: dict[str, set[str]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The workspace."""
        return Path(self.run.request.root)

    def check_before(self) -> None:
        """Run the check on the code as it is: its failure is evidence, its success a warning."""
        if self.checker is None:
            return
        self.before = self._run_before(self.checker)
        if self.before.passed:
            self.run.emit(
                Noticed(
                    text="The check already passes, so it cannot verify a fix; the proposal is one that it still "
                    "passes with. Give a check that fails now, or read the proposal with care."
                )
            )
        elif (why := hopeless(self.before)) is not None:
            self.run.emit(Noticed(text=why))
        elif self.before.seconds < WORTH_TRACING:
            self.executed = self.checker.trace()

    def _run_before(self, checker: Checker) -> CheckResult:
        command = cells.SHOWN if checker.command == cells.COMMAND else checker.command
        self.run.emit(NodeStarted(node=Node.CHECK, note=command))
        self.run.emit(CheckStarted(command=command, stage="before"))
        found = _not_stopped(checker.before())
        self._told("before", found)
        return found

    def offers(self, spec: TaskSpec) -> Sequence[Offer]:
        """Rank the workspace for the user's words and offer its best units."""
        request = self.run.request
        seen = list(places(self.before.output, self.staged.root)) if self.before and not self.before.passed else []
        seen += self.executed.places(EXECUTED) if self.executed else []
        self.ledger = self.index.rank(
            request.asked, tagged=request.tagged, terms=spec.terms, places=seen, notebook=request.notebook
        )
        store(self.run.folder / LEDGER, self.ledger.to_json())
        self.run.emit(
            LedgerMade(
                files=[RankedFile.model_validate(entry) for entry in self.ledger.top(TOP_FILES)],
                total=len(self.ledger.scores),
            )
        )
        if spec.intent is Intent.EXPLAIN and (own := self._failed_cell()):
            return own
        operation = self._operation if spec.intent is not Intent.EXPLAIN else None
        if operation and (one := self._changeable(named(operation, self.index))):
            return one
        offers = self._changeable(self.index.offers(self.ledger, limit=MOST_RANKED))
        self._offered = whole((self._executed(offers) or offers)[:OFFERS], self.root)
        return self._offered

    @cached_property
    def _operation(self) -> Operation | None:
        """What is to be added or removed by name."""
        request = self.run.request
        return None if request.cell else resolve_operation(request.intent.operation, self.index)

    def _failed_cell(self) -> list[Offer]:
        """Return the cell that is to be explained, if the task is an exception whose cause lies in one.

        It is shown and not changed: the answer holds the corrected cell.
        """
        notebook = self.run.request.notebook
        failure = notebook.failure if notebook is not None and notebook.fix else None
        if failure is None or not failure.in_cell:
            return []
        name = f"In [{failure.cell.cell}]" if failure.cell is not None else "last exception"
        return [
            Offer(
                id="s1",
                path=NOTEBOOK,
                symbol=name,
                kind="cell",
                start=0,
                end=0,
                signature=failure.title,
                evidence="in the traceback",
                score=0.0,
            )
        ]

    def _executed(self, offers: Sequence[Offer]) -> list[Offer]:
        """Return the smallest offers that failing tests execute: the fault is among them, or in what they read."""
        ran = self.executed.functions if self.executed else []
        hit = [o for o in offers if any(o.path == f.path and o.start <= f.line <= o.end for f in ran)]
        if hit and self._tests_asked:
            hit = [o for o in offers if o in hit or o.path in self.judges]
        return [o for o in hit if not any(_within(other, o) for other in hit)]

    @property
    def judges(self) -> Judges:
        """What the check judges by; without a check, what a path alone tells."""
        return self.checker.judges if self.checker is not None else Judges()

    @cached_property
    def _tests_asked(self) -> bool:
        return self.run.request.intent.asks_for_tests(self.judges.files)

    def _fixed(self, path: str, *, new: bool = False) -> bool:
        """Whether a file is not to be changed: it judges, and the words do not ask for the tests."""
        if self._tests_asked or self._follows(path):
            return False
        if self.checker is None:
            return path in self.judges and path not in self.run.request.tagged
        return path in self.judges or (new and shadows(path))

    @property
    def _renamed(self) -> tuple[str, str] | None:
        return self.run.request.intent.renamed

    def _follows(self, path: str) -> bool:
        """Whether a file uses a name that is to be renamed: tests may follow, and change in nothing else."""
        if self._renamed is None or not (self.root / path).is_file():
            return False
        text = (self.root / path).read_text("utf-8", errors="replace")
        return re.search(rf"\b{re.escape(self._renamed[0])}\b", text) is not None

    def _only_follows(self, change: FileChange) -> bool:
        if self._renamed is None or change.before is None:
            return False
        before, after = (decode(change.path, data)[0] for data in (change.before, change.after))
        return only_renames(before, after, self._renamed)

    def _changeable(self, offers: Sequence[Offer]) -> list[Offer]:
        """Leave out what judges: what a check asks for is not to be changed, unless the user asks for that."""
        code = [offer for offer in offers if not self._fixed(offer.path)]
        if code or not offers or self.checker is None or self.run.request.ask:
            return code or list(offers)
        files = ", ".join(sorted({offer.path for offer in offers})[:3])
        self.run.emit(
            Noticed(
                text=f"Only {files} fits these words, and the check judges by it: that is not changed. "
                "Name the file of the program that is wrong, or ask for the tests to be changed."
            )
        )
        return []

    def map(self, spec: TaskSpec, chosen: Sequence[Offer]) -> ContextMap:
        """Pack the chosen units and what helps to read them into the budget of the window."""
        if self.ledger is None:
            raise RuntimeError("the map needs a ledger: offers come first")
        packed = self._doubted(self._packed(self.ledger, spec, chosen))
        store(self.run.folder / MAP, packed)
        self.run.emit(
            MapMade(
                targets=[place(t.path, t.symbol, t.start, t.end) for t in packed.targets],
                excerpts=[place(e.path, e.symbol, e.start, e.end) for e in packed.excerpts],
                omitted=len(packed.omitted),
                tokens=packed.tokens,
            )
        )
        return packed

    def _doubted(self, packed: ContextMap) -> ContextMap:
        """Tell the Coder which lines of the targets failing tests executed."""
        lines = self.executed.lines if self.executed else []

        def within(target: Target) -> tuple[int, ...]:
            return tuple(n.line for n in lines if n.path == target.path and target.start <= n.line <= target.end)

        targets = tuple(t.model_copy(update={"executed": tuple(sorted(within(t)))}) for t in packed.targets)
        return packed.model_copy(update={"targets": targets}) if lines else packed

    def _packed(self, ledger: Ledger, spec: TaskSpec, chosen: Sequence[Offer]) -> ContextMap:
        info = self.model.info
        budget = max(256, min(MAP_TOKENS, info.n_ctx - REPLY_TOKENS))
        reading = CPU_READING if info.device == "CPU" else MAP_TOKENS
        beside = excerpts(self.run.request.notebook, self.run.request.asked) if self.run.request.notebook else []
        files = [offer for offer in chosen if offer.path != NOTEBOOK]
        if not files:
            reading //= 2  # what a cell's fault is seldom stands in the workspace
        packed = self._fitted(ledger, files, budget, beside, reading)
        if spec.intent is Intent.CREATE and (path := new_file(self.run.request.intent, self.root)):
            packed = _for_new_file(packed, path)
        elif spec.intent is not Intent.EXPLAIN and self._operation is not None:
            packed = targeted(packed, self._operation)
        return packed if spec.intent is Intent.EXPLAIN else self._unfixed(packed)

    def _unfixed(self, packed: ContextMap) -> ContextMap:
        """Let what judges be read, not changed, however it came into the map.

        Raises
        ------
        LoomError
            If nothing would be left to be changed.
        """
        if self.checker is None:
            return packed
        kept = [t for t in packed.targets if not self._fixed(t.path, new=t.sha256 is None)]
        others = [target for target in packed.targets if target not in kept]
        if others and not kept:
            raise LoomError(
                f"{others[0].path} is what the check judges by and is not changed; name the file of the program "
                "that is wrong, or ask for the tests to be changed."
            )
        read = [readable(target) for target in others if target.text]
        return packed.model_copy(update={"targets": tuple(kept), "excerpts": (*packed.excerpts, *read)})

    def _fitted(
        self, ledger: Ledger, chosen: Sequence[Offer], budget: int, beside: Sequence[Excerpt], reading: int
    ) -> ContextMap:
        """Pack into the budget, or into a larger one where a unit needs that: it has to be read.

        Raises
        ------
        NoRoomError
            If the window cannot hold any of the units.
        """
        most = self.model.info.n_ctx - PATCH_TOKENS
        while True:
            try:
                return self.index.map(ledger, chosen, budget, self.model.count, beside, reading)
            except NoRoomError:
                if budget >= most:
                    raise
                budget = min(2 * budget, most)

    def expand(self, asked: Sequence[tuple[Offer, Relation]]) -> Sequence[Offer]:
        """Look units up in the index; each gets an id of its own, `EXPANDED` a run at most."""
        known = {(o.path, o.symbol, o.cell) for o in (*self._offered, *(unit for unit, _ in asked))}
        fresh: list[Offer] = []
        for unit, relation in asked:
            for found in self.index.related(unit, relation):
                if (found.path, found.symbol, found.cell) not in known and len(self._expanded) < EXPANDED:
                    known.add((found.path, found.symbol, found.cell))
                    self._expanded.append(found.model_copy(update={"id": f"e{len(self._expanded) + 1}"}))
                    fresh.append(self._expanded[-1])
        return fresh

    @property
    def checked(self) -> bool:
        """Whether a check can tell a repair from no repair."""
        return self.checker is not None and not (self.before is not None and self.before.passed)

    def trial(self, rewrites: Sequence[Rewrite]) -> Trial:
        """Gate the rewrites, then run the check on them in the staged copy."""
        try:
            changes = cell_proposal.changes(self.run, rewrites)
        except EditError as error:
            return Trial(passed=False, gate=True, reason=str(error))
        intent, checked = self.run.request.intent, self.checked
        reasons = (refusal(rewrite, intent, self.index, self._operation, checked=checked) for rewrite in rewrites)
        if reason := next(filter(None, reasons), None) or self._gate(changes):
            return Trial(passed=False, gate=True, reason=reason)
        if self.checker is None:
            return Trial(passed=None, reason="no check was given")
        result = _not_stopped(self._attempt(self.checker, changes))
        if result.passed:
            self._told("candidate", result)
        return verdict(result, self.before)

    def _attempt(self, checker: Checker, changes: Sequence[FileChange]) -> CheckResult:
        return checker.attempt(changes)

    def _gate(self, changes: Sequence[FileChange]) -> str | None:
        for change in changes:
            asked = self._tests_asked or self._only_follows(change)
            reason = self.judges.refusal(change, asked=asked) if self.checker is not None else None
            reason = reason or gate_change(
                change,
                self.names,
                judges=change.path in self.judges,
                may_end=self.checker is None or self.run.request.intent.asks_to_exit,
                may_know=self.checker is None or self.run.request.intent.asks_about_testing,
            )
            if reason:
                return reason
            known = self._seen.setdefault(change.path, set())
            key = canonical(change.path, change.after.decode("utf-8", "replace"))
            if key in known:
                return "tried before"
            known.add(key)
        return None

    def _told(self, stage: Literal["before", "candidate"], result: CheckResult) -> None:
        self.run.emit(
            CheckFinished(
                stage=stage,
                passed=result.passed,
                summary=result.summary,
                seconds=result.seconds,
                output=result.output,
            )
        )


def whole(offers: Sequence[Offer], root: Path) -> list[Offer]:
    """Offer a short file as one unit where its parts need each other.

    Functions that are yet to be written do, and so do the keys of a TOML or JSON file that does not parse.
    """
    kept: dict[tuple[str, str | None, int], Offer] = {}
    for offer in offers:
        known = offer.path.endswith((".py", *DATA))
        found = folder.read(root, offer.path) if known else None
        text = "" if found is None else found.data.decode("utf-8", "replace")
        broken = offer.path.endswith(DATA) and problem(offer.path, "", text) is not None
        if short(text) and (broken or (offer.path.endswith(".py") and unwritten(text))):
            unit = {"symbol": None, "kind": "file", "start": 1, "end": max(1, len(text.splitlines()))}
            kept.setdefault((offer.path, None, 1), offer.model_copy(update=unit))
        else:
            kept.setdefault((offer.path, offer.cell, offer.start), offer)
    return list(kept.values())


def _within(inner: Offer, outer: Offer) -> bool:
    if inner is outer or inner.path != outer.path or inner.cell != outer.cell:
        return False
    return (
        outer.start <= inner.start and inner.end <= outer.end and inner.end - inner.start < outer.end - outer.start
    )


def new_file(intent: RequestIntent, root: Path) -> str | None:
    """Return the first file that the user's words name and that does not exist yet."""
    return next((path for path in intent.files if not (root / path).exists()), None)


def _for_new_file(packed: ContextMap, path: str) -> ContextMap:
    """Make a new file the only target; what was chosen may be read."""
    target = Target(id="new", path=path, symbol=None, kind="file", start=0, end=0, sha256=None, text="")
    read = tuple(map(readable, packed.targets))
    return packed.model_copy(update={"targets": (target,), "excerpts": (*packed.excerpts, *read)})


def _not_stopped(result: CheckResult) -> CheckResult:
    if result.cancelled:
        raise Cancelled
    return result
