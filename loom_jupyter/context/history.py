"""What git knows of a workspace: files that differ now, and the commits before."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loom_jupyter.context import git
from loom_jupyter.context.repository import Repository
from loom_jupyter.context.terms import Splitter, tokens
from loom_jupyter.secrets import masked

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW = 2000
LONGEST_MESSAGE = 4000
STATES = {
    "M": "modified", "A": "added", "D": "deleted", "R": "renamed", "C": "copied", "U": "in conflict",
    "T": "type changed",
}  # fmt: skip
# A message may hold the signs that divide the answer, so a commit begins where its id follows.
_BEGINS = re.compile(rb"\x01(?=[0-9a-f]{40,64}\x02)")


class Commit(NamedTuple):
    """A commit that is no merge.

    Attributes
    ----------
    time
        Author's time in seconds since the epoch.
    touched
        Paths relative to the workspace, as the commit named them.
    renamed
        Old and new path of each file that it only moved.
    """

    sha: str
    time: int
    message: str
    touched: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...] = ()


class Working(NamedTuple):
    """How a git work tree differs from the last commit.

    Attributes
    ----------
    changed
        Files that differ, with how.
    untracked
        Those of them that git does not track but would; a nested repository is one name.
    head
        Id of the current commit; empty where there is none.
    """

    changed: dict[str, str]
    untracked: list[str]
    head: str


class Tracked:
    """The files below a workspace that git tracks; listed again only when git's own index was written."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.repository: Repository | None = None
        self._stamp: object = None
        self._names: list[str] = []

    @property
    def prefix(self) -> str:
        """The workspace's folder within its repository, with a slash; empty at the top."""
        top = self.repository.top if self.repository is not None else self.root
        return f"{os.path.relpath(self.root, top)}/" if top != self.root else ""

    def look(self) -> Repository | None:
        """Return the workspace's repository as it is now; None without one.

        Raises
        ------
        NoGitError
            There is one that git cannot or may not be asked about.
        """
        self.repository = git.find(self.root)
        return self.repository

    def names(self) -> list[str]:
        """Return their names, each once.

        Raises
        ------
        NoGitError
            Git does not answer.
        """
        at = self.repository
        if at is None:
            return []
        stamp = _stamp(at)
        if stamp is None or stamp != self._stamp:
            self._names = list(dict.fromkeys(_split(git.ask(at, "ls-files", "-z", cwd=self.root))))
            self._stamp = stamp
        return self._names


def _stamp(at: Repository) -> object:
    """Return what changes when git's index is written, or another repository takes over."""
    try:
        info = Path(at.folder, "index").stat()
    except OSError:
        return None
    return at.folder, info.st_mtime_ns, info.st_size, info.st_ino


class Status:
    """A running ``git status``, which takes most of a refresh; other work can be done meanwhile."""

    def __init__(self, at: Repository, root: str) -> None:
        flags = ["--porcelain=v2", "--branch", "-z", "-uall", "--no-renames", "--ignore-submodules=all"]
        self._call = git.Call(at, "status", *flags, "--", ".", cwd=root)

    def finish(self, prefix: str) -> Working:
        """Wait for the answer.

        Parameters
        ----------
        prefix
            The workspace's folder within its repository, with a slash; empty at the top.

        Raises
        ------
        NoGitError
            Git refuses or does not answer.
        """
        changed, untracked, head = dict[str, str](), list[str](), ""
        for entry in _split(self._call.finish()):
            kind, _, rest = entry.partition(" ")
            if kind == "#" and rest.startswith("branch.oid "):
                head = rest.removeprefix("branch.oid ").replace("(initial)", "")
            elif kind in ("1", "u", "?"):
                path = rest.split(" ", {"1": 7, "u": 9, "?": 0}[kind])[-1].removeprefix(prefix)
                changed[path] = "untracked" if kind == "?" else STATES.get(rest[:2].strip(".")[:1], "changed")
                if kind == "?":
                    untracked.append(path)
        return Working(changed, untracked, head)

    def stop(self) -> None:
        """End git if it is still at it."""
        self._call.stop()


def _split(answer: bytes) -> list[str]:
    return [os.fsdecode(part) for part in answer.split(b"\0") if part]


def commits(at: Repository, root: Path, known: Mapping[str, Commit]) -> list[Commit]:
    """Return the last commits that touch the workspace, newest first; those in `known` are not read again.

    Raises
    ------
    NoGitError
        Git cannot read them.
    """
    listing = git.ask(at, "rev-list", "--no-merges", "-n", str(WINDOW), "HEAD", "--", ".", cwd=os.fspath(root))
    shas = listing.decode().split()
    missing = [sha for sha in shas if sha not in known]
    found = dict(known)
    if missing:
        found |= {c.sha: c for c in _details(at, root, missing)}
    return [found[sha] for sha in shas if sha in found]


def _details(at: Repository, root: Path, shas: Iterable[str]) -> list[Commit]:
    output = git.ask(
        at, "log", "--no-walk=unsorted", "--stdin", "-z", "--name-status", "-M100%", "--relative",
        "--no-ext-diff", "--no-textconv", "--no-show-signature", "--no-mailmap", "--encoding=UTF-8",
        "--format=%x01%H%x02%at%x02%B%x03", cwd=os.fspath(root), stdin="\n".join(shas).encode(),
    )  # fmt: skip
    return list(_commits(output))


def _commits(output: bytes) -> Iterator[Commit]:
    """Read what ``git log`` says; a message may hold any bytes, and so may a name."""
    for part in _BEGINS.split(output)[1:]:
        # Nothing that comes before can hold a zero byte.
        text, _, names = part.partition(b"\x03\0")
        sha, _, rest = text.decode("utf-8", "replace").partition("\x02")
        when, _, message = rest.partition("\x02")
        touched, renamed = _names([os.fsdecode(name) for name in names.strip(b"\0\n").split(b"\0") if name])
        yield Commit(sha, _seconds(when), masked(message.strip())[:LONGEST_MESSAGE], touched, renamed)


def _seconds(when: str) -> int:
    # A crafted commit can hold any number; the store takes 64 bits.
    return int(when) if when.isdigit() and len(when) <= 15 else 0


def _names(parts: list[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Read the list of status and names; names that are not UTF-8 are left out, for no indexed file has one."""
    touched: list[str] = []
    renamed: list[tuple[str, str]] = []
    rest = iter(parts)
    for status in rest:
        name = next(rest, "")
        if status.lstrip("\n")[:1] in "RC":
            renamed.append((name, next(rest, "")))
        elif name:
            touched.append(name)
    return tuple(filter(is_utf8, touched)), tuple(pair for pair in renamed if all(map(is_utf8, pair)))


def is_utf8(name: str) -> bool:
    """Whether a name of a file is valid UTF-8."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# The commits before, as evidence: which files each touched, and which words its message used.

WIDEST = 30
FADED = 8
K1 = 1.2
LENGTH = 0.75
OTHER_FORM = 0.7


class CommitLog:
    """Every commit met so far, with the words of its message. It only grows."""

    def __init__(self) -> None:
        self.commits: dict[str, Commit] = {}
        self.words: list[int] = []
        self._serial: dict[str, int] = {}
        self._naming: dict[str, list[int]] = {}
        self._split = Splitter()

    def add(self, commits: Sequence[Commit]) -> None:
        """Take in commits; those known already are skipped."""
        for commit in commits:
            if commit.sha in self._serial:
                continue
            serial = self._serial[commit.sha] = len(self._serial)
            self.commits[commit.sha] = commit
            found: set[str] = set()
            count = 0
            for token in tokens(commit.message):
                terms = self._split(token)
                count += len(terms)
                found.update(terms)
            self.words.append(count)
            for term in found:
                self._naming.setdefault(term, []).append(serial)

    def serials(self, shas: Sequence[str]) -> NDArray[np.int64]:
        """Return the serial numbers of commits, in their order."""
        return np.array([self._serial[sha] for sha in shas], np.int64)

    def naming(self, term: str) -> list[int]:
        """Return the serial numbers of the commits whose message has `term`."""
        return self._naming.get(term, [])

    def __len__(self) -> int:
        return len(self._serial)


@dataclass
class Past:
    """The last commits before one moment, against the files of one snapshot.

    Attributes
    ----------
    shas
        Newest first.
    number
        File numbers by path.
    """

    log: CommitLog
    shas: tuple[str, ...]
    number: Mapping[str, int]

    @cached_property
    def _touches(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """File numbers of all commits in a row, and where each commit's begin. Renames are followed backwards."""
        now: dict[str, str] = {}
        files: list[int] = []
        starts = [0]
        for sha in self.shas:
            commit = self.log.commits[sha]
            for path in commit.touched:
                found = self.number.get(now.get(path, path))
                if found is not None:
                    files.append(found)
            for old, new in commit.renamed:
                now[old] = now.get(new, new)
            starts.append(len(files))
        return np.array(files, np.int32), np.array(starts, np.int64)

    @cached_property
    def _position(self) -> NDArray[np.int64]:
        """Position in the window by serial number; -1 for commits outside."""
        out = np.full(len(self.log), -1, np.int64)
        out[self.log.serials(self.shas)] = np.arange(len(self.shas))
        return out

    def lately(self, half: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return how much the last commits touched each file, and how many of them did.

        Parameters
        ----------
        half
            Commits after which a touch counts half; those more than eight times as far back do not count, nor
            those that touched very many files.
        """
        files, starts = self._touches
        sizes = np.diff(starts)
        age = np.repeat(np.arange(sizes.size), sizes)
        near = (age < half * FADED) & np.repeat(sizes <= WIDEST, sizes)
        files, age = files[near], age[near]
        weight = np.bincount(files, 0.5 ** (age / half), len(self.number)).astype(np.float64)
        return weight, np.bincount(files, minlength=len(self.number)).astype(np.int64)

    @cached_property
    def words(self) -> NDArray[np.float64]:
        """Words of the messages of the commits that touched each file."""
        files, starts = self._touches
        lengths = np.array(self.log.words, np.float64)[self.log.serials(self.shas)]
        return np.bincount(files, np.repeat(lengths, np.diff(starts)), len(self.number)).astype(np.float64)

    def naming(self, term: str) -> NDArray[np.int64]:
        """Return positions of the commits whose message has `term`, newest first."""
        serials = [s for s in self.log.naming(term) if s < len(self._position)]
        found = self._position[np.array(serials, np.int64)]
        return np.sort(found[found >= 0])

    def title(self, position: int) -> str:
        """Return a commit's short id and the first line of its message."""
        commit = self.log.commits[self.shas[position]]
        return f"{commit.sha[:8]} {commit.message.partition(chr(10))[0][:80]}"

    def likeness(self, words: Sequence[tuple[Sequence[str], float]]) -> NDArray[np.float64]:
        """Return BM25 of each commit's message for words, given with their other forms and a weight."""
        size = len(self.shas)
        out = np.zeros(size)
        if not size:
            return out
        lengths = np.array(self.log.words, np.float64)[self.log.serials(self.shas)]
        norm = 1 - LENGTH + LENGTH * lengths / max(float(lengths.mean()), 1.0)
        for forms, weight in words:
            times = np.zeros(size)
            for place, form in enumerate(forms):
                times[self.naming(form)] += OTHER_FORM if place else 1.0
            holders = int(np.count_nonzero(times))
            if holders:
                rarity = math.log(1 + (size - holders + 0.5) / (holders + 0.5))
                out += weight * rarity * times / (times + K1 * norm)
        return out

    def files(self, position: int) -> NDArray[np.int32]:
        """Return the files of one commit; none of a commit that touched very many."""
        files, starts = self._touches
        part = files[starts[position] : starts[position + 1]]
        return part if part.size <= WIDEST else part[:0]

    def mentions(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Count, for each file, the commits among `positions` that touched it."""
        files, starts = self._touches
        parts = [files[starts[p] : starts[p + 1]] for p in positions.tolist()]
        parts = [p for p in parts if 0 < p.size <= WIDEST]
        if not parts:
            return np.zeros(len(self.number), np.int64)
        return np.bincount(np.concatenate(parts), minlength=len(self.number))
