"""Index: one workspace's Context Loom. Refresh, rank, offer, pack."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from loom_jupyter.context import history, pack
from loom_jupyter.context.build import gather
from loom_jupyter.context.context_map import ContextMap, Excerpt, Offer, Relation
from loom_jupyter.context.history import Commit, CommitLog, Past, Tracked
from loom_jupyter.context.ledger import Ledger
from loom_jupyter.context.query import read
from loom_jupyter.context.rank import QueryInputs, collect, notebook_rows
from loom_jupyter.context.repository import NoGitError
from loom_jupyter.context.rules import rules
from loom_jupyter.context.scan import Found, Skipped, scan
from loom_jupyter.context.snapshot import Snapshot
from loom_jupyter.context.store import Damaged, NotSaved, Store, Stored
from loom_jupyter.context.symbols import rank_symbols
from loom_jupyter.errors import LoomError
from loom_jupyter.notebook_state import NotebookState
from loom_jupyter.settings import Settings, data_dir

if TYPE_CHECKING:
    import pandas as pd

_logger = logging.getLogger(__name__)
WORTH_SAVING = 16


class TagError(LoomError):
    """A tagged path is not in the workspace."""


@dataclass(frozen=True, slots=True)
class RefreshReport:
    """What a refresh did.

    Attributes
    ----------
    files
        Files in the index now.
    changed, removed
        Files that were read again, and files that went.
    seconds
        Time it took.
    skipped
        Files that are not indexed, each with the reason.
    notices
        What the user should know.
    """

    files: int
    changed: int
    removed: int
    seconds: float
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _State:
    """What a refresh leaves behind, replaced as a whole so that a ranking beside it sees one moment."""

    snapshot: Snapshot
    changed: dict[str, str]
    past: Past | None
    head: str


class Index:
    """The index of the workspace `root`, kept in `folder`. Safe to use from several threads and processes."""

    def __init__(self, root: Path, settings: Settings, folder: Path) -> None:
        self.root = root.resolve()
        self.use_rules(settings.rules)
        self._store = Store(folder)
        self._lock = threading.Lock()
        self._state: _State | None = None
        self._tracked = Tracked(str(self.root))
        self._apart = tuple(_inside(self.root, (folder, data_dir().parent)))
        self._log = CommitLog()
        self._unsaved: set[str] = set()
        self._damaged = False
        self._untold: list[Commit] = []

    def use_rules(self, points: Mapping[str, float]) -> None:
        """Rank with these points from now on.

        Raises
        ------
        SettingsError
            If one of them is for no rule.
        """
        self.rules = rules(points)

    def refresh(self, cancel: threading.Event | None = None) -> RefreshReport:
        """Bring the index up to date; only files whose size or time changed are read.

        Raises
        ------
        Cancelled
            If `cancel` was set; the index stays as it was.
        LoomError
            If the workspace is gone, or the system gives no memory, files or processes; the index stays as it was.
        """
        if not self.root.is_dir():
            raise LoomError(f"The workspace {self.root} is not there any more; open the folder where it is now.")
        try:
            return self._refresh(cancel)
        except (OSError, MemoryError, RuntimeError) as error:
            why = str(error) or type(error).__name__
            raise LoomError(
                f"{self.root} cannot be indexed ({why}); free memory, disk space or open files and try again."
            ) from error

    def _refresh(self, cancel: threading.Event | None) -> RefreshReport:
        start = time.perf_counter()
        with self._lock:
            notices: list[str] = []
            before = self._state.snapshot if self._state is not None else self._load(notices)
            seen = scan(self.root, cancel, self._tracked, self._apart)
            known = {f.path: (f.size, f.mtime_ns) for f in before.batch.files}
            stale = [f for f in seen.files if known.get(f.path) != (f.size, f.mtime_ns)]
            gone = known.keys() - {f.path for f in seen.files}
            after = before
            with ThreadPoolExecutor(1) as beside:
                new = seen.git and (self._state is None or seen.head != self._state.head)
                told = beside.submit(self._commits, seen.head, notices) if new else None
                if stale or gone:
                    after = before.merged(gone, gather(self.root, stale, cancel))
                found = told.result() if told is not None else None
            past = self._look_back(after, found) if seen.git else None
            self._state = _State(after, seen.changed, past, seen.head)
            self._unsaved |= gone.union(f.path for f in stale)
            worth = max(len(self._unsaved), len(self._untold))
            if worth >= WORTH_SAVING or (self._unsaved and (self._damaged or not self._store.exists)):
                self._save(self._state.snapshot, notices)
            unread = [Skipped(f.path, f.reason) for f in after.batch.files if f.reason]
            report = RefreshReport(
                after.indexed,
                len(stale),
                len(gone),
                time.perf_counter() - start,
                tuple(sorted([*seen.skipped, *unread])),
                (*seen.notices, *notices),
            )
            _logger.info(
                "index refreshed: %d files, %d changed, %d removed, %d skipped, %d notices, %.2f s",
                report.files,
                report.changed,
                report.removed,
                len(seen.skipped) + len(unread),
                len(report.notices),
                report.seconds,
            )
            return report

    def _commits(self, head: str, notices: list[str]) -> list[Commit]:
        at = self._tracked.repository
        if at is None or not head:
            return []
        try:
            return history.commits(at, self.root, self._log.commits)
        except NoGitError as error:
            notices.append(f"{error}: the evidence 'history' is missing")
            return []

    def _look_back(self, snapshot: Snapshot, found: Sequence[Commit] | None) -> Past:
        """Take in the commits before; None where they are those of the last time."""
        before = self._state.past if self._state is not None else None
        if found is None and before is not None:
            return replace(before, number=snapshot.number) if before.number is not snapshot.number else before
        found = found or ()
        self._untold += [c for c in found if c.sha not in self._log.commits]
        self._log.add(found)
        return Past(self._log, tuple(c.sha for c in found), snapshot.number)

    def _load(self, notices: list[str]) -> Snapshot:
        try:
            stored = self._store.load()
        except Damaged as damage:
            notices.append(f"the index {damage}")
            _logger.warning("the stored index is damaged and is made again")
            self._damaged = True
            stored = None
        if stored is None:
            return Snapshot()
        self._log.add(stored.commits)
        return Snapshot().merged((), [stored.batch])

    def _save(self, snapshot: Snapshot, notices: list[str]) -> None:
        fresh = sorted(self._unsaved & snapshot.number.keys())
        whole = len(fresh) > len(snapshot.paths) // 2
        part = snapshot.part(snapshot.number if whole else fresh)
        try:
            gone = self._unsaved - snapshot.number.keys()
            told = list(self._log.commits.values()) if whole else self._untold
            if self._store.save(part, gone, told, whole=whole):
                self._damaged = False
                self._unsaved.clear()
                self._untold.clear()
        except NotSaved as error:
            _logger.warning("the index could not be saved (%s)", type(error.__cause__ or error).__name__)
            notices.append(f"the index could not be saved, the next start has to read everything again: {error}")

    def _current(self) -> _State:
        """Return the state of the last refresh; there is one afterwards."""
        if self._state is None:
            self.refresh()
        assert self._state is not None
        return self._state

    @property
    def snapshot(self) -> Snapshot:
        """The index as it is; refreshed first if that never happened."""
        return self._current().snapshot

    def rank(
        self,
        text: str,
        tagged: Sequence[str] = (),
        terms: Sequence[str] = (),
        places: Sequence[tuple[str, int, str]] = (),
        notebook: NotebookState | None = None,
    ) -> Ledger:
        """Rank the workspace's files for a request. No model is involved.

        Parameters
        ----------
        tagged
            Paths relative to the workspace that must count.
        terms
            Further words, from the Architect; they add evidence and never remove any.
        places
            Path, line and reason of places that a check's output names.
        notebook
            What the notebook knows that the request comes from.

        Raises
        ------
        TagError
            If a tagged path is not in the index.
        """
        state = self._current()
        snapshot = state.snapshot
        given = QueryInputs(
            read(text),
            tuple(self._path(t, snapshot) for t in tagged),
            state.changed,
            tuple((self._relative(p), line, why) for p, line, why in places),
            tuple(terms),
            state.past,
            notebook,
        )
        pieces = collect(snapshot, given, self.rules)
        _logger.debug("ranked %d files by %d pieces of evidence", len(snapshot.paths), len(pieces))
        return Ledger.of(
            text,
            snapshot,
            pieces,
            lambda ledger: rank_symbols(self.root, snapshot, given, ledger),
            notebook_rows(given, self.rules),
        )

    def _relative(self, path: str) -> str:
        """Return a path as the index spells it."""
        whole = Path(path)
        if whole.is_absolute():
            whole = whole.resolve()
            return whole.relative_to(self.root).as_posix() if whole.is_relative_to(self.root) else path
        return whole.as_posix()

    def _path(self, tag: str, snapshot: Snapshot) -> str:
        path = self._relative(tag)
        if path in snapshot.number:
            return path
        base = path.rsplit("/", 1)[-1]
        near = get_close_matches(path, snapshot.paths, 3, 0.6)
        near += [p for p in snapshot.paths if p.rsplit("/", 1)[-1] == base and p not in near][:3]
        hint = f"did you mean {' or '.join(near[:3])}?" if near else "give its path relative to the workspace."
        raise TagError(f"The tagged file '{tag}' is not in the index of {self.root}: {hint}")

    def offers(self, ledger: Ledger, limit: int = 8) -> list[Offer]:
        """Return the units that the Explorer may choose from, best first, with ids from ``s1`` on."""
        return pack.offers(ledger, limit)

    def defined(self, name: str) -> list[Offer]:
        """Return the units of code that are called so, by their qualified or their own name."""
        return pack.named(self.snapshot, name)

    def related(self, offer: Offer, relation: Relation) -> list[Offer]:
        """Return what stands in a relation to a unit, nearest first; the offers have no ids yet."""
        return pack.related(self.root, self.snapshot, offer, relation)

    def naming(self, word: str) -> list[str]:
        """Return the paths of the code files whose text holds a word."""
        snapshot = self.snapshot
        numbers = sorted(set(snapshot.lookup(word.lower().strip("_")).file.tolist()))
        return [snapshot.paths[n] for n in numbers if snapshot.roles[n] in ("source", "test")]

    def map(
        self,
        ledger: Ledger,
        offers: Sequence[Offer],
        budget: int,
        count: Callable[[str], int] | None = None,
        beside: Sequence[Excerpt] = (),
        reading: int | None = None,
    ) -> ContextMap:
        """Pack the chosen offers and what helps to read them into `budget` tokens.

        Parameters
        ----------
        count
            Tells the tokens of a text; an estimate is used where no model is loaded.
        beside
            Excerpts that are in no file; they may take a third of what is read.
        reading
            Tokens up to which excerpts are added; None: as long as there is room.
        """
        return pack.Packer(self.root, self.snapshot, ledger, budget, count, reading).pack(offers, beside)

    def sql(self, query: str, frames: Mapping[str, pd.DataFrame] | None = None) -> pd.DataFrame:
        """Run SQL over the tables files, symbols, imports and terms, and over `frames` by name."""
        snapshot = self.snapshot
        with self._lock:
            if self._unsaved or self._untold:
                self._save(snapshot, [])
            unsaved = Stored(snapshot.part(snapshot.number), ()) if self._unsaved else None
        return self._store.sql(query, frames or {}, unsaved)


def _inside(root: Path, folders: Sequence[Path]) -> Iterator[str]:
    """Yield those of the folders that lie in the workspace: what Loom and Jupyter keep is not the user's work."""
    for folder in folders:
        place = folder.resolve()
        if place != root and place.is_relative_to(root):
            yield f"{place.relative_to(root).as_posix()}/"


__all__ = ["Found", "Index", "RefreshReport", "TagError"]
