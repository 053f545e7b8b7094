"""See to it that what judges is, in the staged copy, what the workspace holds: before a verdict and after it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from loom_jupyter.checks.judges import Judges, shadows
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import EditError

# Never entered: what is linked cannot be written, and these hold nothing that judges.
_LEFT_OUT = frozenset({".git", ".hg", ".svn", "node_modules", ".pytest_cache", ".mypy_cache", ".ruff_cache"})
_BYTECODE = (".pyc", ".pyo")
# What tests write for themselves: changing it does not change what they assert.
_WRITTEN = (
    ".db",
    ".sqlite",
    ".sqlite3",
    ".log",
    ".lock",
    ".tmp",
    ".pid",
    ".coverage",
    ".cache",
    ".out",
    ".db-wal",
)
_SETTINGS = re.compile(
    r"(?:pyproject\.toml|setup\.cfg|package\.json|\.?pytest\.(?:ini|toml)|tox\.(?:ini|toml)|conftest\.py)"
)


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What no process can keep when it writes a file: the time of the last change of its inode is the system's."""

    inode: int
    changed: int
    size: int

    @classmethod
    def of(cls, found: os.stat_result) -> _Stamp:
        return cls(found.st_ino, found.st_ctime_ns, found.st_size)


@dataclass
class Untouched:
    """Watches, in a staged copy, the files that judge and what Python would read instead of them.

    Code that is being checked runs with the rights of the check: it could rewrite a test before it is collected,
    leave a ``conftest.py``, or plant bytecode that a later trial would run.

    Parameters
    ----------
    staged
        As it was copied, before anything ran in it.
    judges
        Tells what judges; asked again each time, because a check's first run tells more.
    """

    staged: StagedCopy
    judges: Callable[[], Judges]
    _stamps: dict[str, _Stamp] = field(default_factory=dict)
    _bytecode: dict[str, _Stamp] = field(default_factory=dict)
    _usual: set[str] = field(default_factory=set)
    _own: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Remember every file, for what judges is not known yet."""
        for path, found in self._files():
            if path.endswith(_BYTECODE):
                continue
            self._stamps[path] = _Stamp.of(found)
            if not (self.staged.workspace / path).exists():
                self._own[path] = _bytes(self.staged.root / path)

    @property
    def paths(self) -> Collection[str]:
        """The files of the copy as it was made."""
        return self._stamps.keys()

    def learn(self) -> None:
        """Note what the check does by itself, after it ran on the code as it is: no candidate did that."""
        self._usual |= set(self._touched(()))

    def trust(self) -> None:
        """Keep the bytecode that runs on the code as it is have left; what comes later is removed."""
        self._bytecode = {path: _Stamp.of(found) for path, found in self._files() if path.endswith(_BYTECODE)}

    def restore(self) -> None:
        """Put back what judges, byte for byte, and remove what would be read in its place.

        The copy must be pristine but for that: no change of a candidate may be in it.

        Raises
        ------
        EditError
            If a file that judges cannot be put back as it was.
        """
        if self._cleaned():
            self.staged.restore()
            self._cleaned()
            if (left := next(self._touched(()), None)) is not None:
                raise EditError(f"{left} cannot be put back in the copy as it was; run the task again.")

    def touched(self, changed: Collection[str]) -> str | None:
        """Return a file that judges and that a run of the check changed or made, though nobody proposed that.

        Parameters
        ----------
        changed
            Paths that the candidate itself changes.
        """
        return next((path for path in self._touched(changed) if path not in self._usual), None)

    def outdated(self) -> str | None:
        """Return a file that judges and that the user changed since the copy was made; None if none was."""
        judges = self.judges()
        known = sorted(path for path in self._stamps if path not in self._own and self._judging(path, judges))
        return next((path for path in known if not self._original(path)), None)

    def _touched(self, changed: Collection[str]) -> Iterator[str]:
        judges, present = self.judges(), dict(self._files())
        for path, found in present.items():
            if path in changed or path.endswith(_BYTECODE):
                continue
            stamp = self._stamps.get(path)
            if stamp is None:
                changed_now = _decides(path)
            else:
                changed_now = stamp != _Stamp.of(found) and self._judging(path, judges)
                changed_now = changed_now and (_is_code(path) or not self._original(path))
            if changed_now:
                yield path
        gone = self._stamps.keys() - present.keys() - set(changed)
        yield from (path for path in sorted(gone) if self._judging(path, judges))

    def _cleaned(self) -> bool:
        """Remove what judges and is not as it was, and a candidate's bytecode; True if any of the former was."""
        judges, removed = self.judges(), False
        for path, found in list(self._files()):
            stamp = _Stamp.of(found)
            if path.endswith(_BYTECODE):
                wrong = self._bytecode.get(path) != stamp
            elif path not in self._stamps:
                wrong = shadows(path) or path in judges
            elif self._stamps[path] == stamp or not self._judging(path, judges):
                continue
            else:
                wrong = not self._original(path)
                self._stamps[path] = stamp
            if wrong:
                (self.staged.root / path).unlink(missing_ok=True)
                removed = removed or not path.endswith(_BYTECODE)
        return removed

    @staticmethod
    def _judging(path: str, judges: Judges) -> bool:
        return path in judges or _SETTINGS.fullmatch(PurePosixPath(path).name) is not None

    def _original(self, path: str) -> bool:
        """Whether a file of the copy has the bytes of the workspace's, or those that Loom gave it."""
        try:
            own = self._own.get(path)
            wanted = _bytes(self.staged.workspace / path) if own is None else own
            return _bytes(self.staged.root / path) == wanted
        except OSError:
            return False

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        yield from _walk(str(self.staged.root), "")


def _bytes(file: Path) -> bytes:
    """Return what a regular file holds; a link or a device is none."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a regular file")
        return opened.read()


def _decides(path: str) -> bool:
    """Whether a new file has a say in which tests run, and how."""
    name = PurePosixPath(path).name
    return shadows(path) or _SETTINGS.fullmatch(name) is not None


def _is_code(path: str) -> bool:
    """Whether a file is read as a program or as settings: no test writes such a file for itself."""
    if _SETTINGS.fullmatch(PurePosixPath(path).name):
        return True
    return not path.endswith(_WRITTEN) and path.endswith(
        (
            ".py",
            ".js",
            ".ts",
            ".jsx",
            ".tsx",
            ".go",
            ".rs",
            ".java",
            ".rb",
            ".sh",
            ".ini",
            ".cfg",
            ".R",
            ".jl",
            ".php",
        )
    )


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files below a folder; links are neither followed nor named."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in _LEFT_OUT:
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield prefix + entry.name, entry.stat(follow_symlinks=False)
