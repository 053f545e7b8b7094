"""A copy of the workspace in which candidates are tried; the workspace itself is only read."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType

from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.errors import EditError
from loom_jupyter.edits.paths import resolve
from loom_jupyter.errors import Cancelled

BIG_FILE = 50 * 2**20
"""Files above this many bytes are linked, not copied."""
COPY_LIMIT = 2**30
"""Bytes copied at most; beyond it the largest files are linked."""

MANY_FILES, BULK = 5_000, 1_000
"""Above this many files, folders of so many files without code are linked."""
MOST_FILES = 200_000

_CODE = (
    *(".py", ".pyi", ".pyx", ".ipynb", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".rs", ".go", ".c", ".h"),
    *(".cc", ".cpp", ".hpp", ".java", ".kt", ".rb", ".php", ".sh", ".r", ".R", ".jl", ".sql", ".toml"),
)
_DROPPED = frozenset(
    {
        *(".git", ".hg", ".svn", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"),
        *(".ipynb_checkpoints", ".tox", ".nox", ".cache", ".coverage", ".DS_Store"),
    }
)
_LINKED = frozenset({"node_modules", ".venv", "venv", ".conda", ".pixi"})
# Caches and build outputs that a check may leave for the next one: their tools compare times or contents.
_KEPT = frozenset({"__pycache__", "target", "build", "dist", "node_modules", ".cargo", ".gradle", ".mypy_cache"})

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Mark:
    """What tells that a staged file was touched."""

    size: int
    mtime_ns: int
    mode: int

    @classmethod
    def of(cls, found: os.stat_result) -> _Mark:
        return cls(found.st_size, found.st_mtime_ns, found.st_mode)


@dataclass
class StagedCopy:
    """A workspace's files in a private folder, put back to their originals between trials.

    Use as a context manager: entering copies, leaving removes the folder.

    Parameters
    ----------
    workspace
        Never written.
    root
        Where the copy is made; must not exist or be empty. A temporary folder, if not given.
    cancel
        When set, copying ends with :class:`Cancelled` and leaves nothing behind.
    progress
        Called with files done and files in all.

    Attributes
    ----------
    linked
        Files and folders that the copy only points to: virtual environments, ``node_modules``, big data.
    skipped
        Files that could not be read.

    Notes
    -----
    Not copied: ``.git`` and caches. Hard links are never used, so nothing written in the copy reaches the
    workspace; a check could write through the links to big data, unless its sandbox forbids that
    (`check.run_check`).
    """

    workspace: Path
    root: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="loom-")))
    cancel: threading.Event | None = None
    progress: Progress | None = None
    linked: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    _marks: dict[str, _Mark] = field(default_factory=dict)
    _folders: set[str] = field(default_factory=set)
    _originals: dict[str, bytes | None] = field(default_factory=dict)
    _own: dict[str, bytes] = field(default_factory=dict)
    _copier: _Copier = field(default_factory=lambda: _Copier())

    def __enter__(self) -> StagedCopy:
        try:
            self._copy()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def put(self, changes: Iterable[FileChange]) -> None:
        """Write the changes' new bytes into the copy, after putting back what an earlier call wrote."""
        self._undo_puts()
        for change in changes:
            file = resolve(self.root, change.path)
            self._originals[change.path] = change.before
            file.parent.mkdir(parents=True, exist_ok=True)
            self._write(change.path, change.after)

    def add(self, path: str, data: bytes) -> None:
        """Add a file of Loom's own that stays between trials; its name must be free.

        Raises
        ------
        EditError
            If the workspace has a file of this name.
        """
        if (self.workspace / path).exists():
            raise EditError(f"{path} is a file of the workspace; the copy's own must have another name.")
        self._own[path] = data
        self._write(path, data)
        self._marks[path] = _Mark.of((self.root / path).lstat())

    def drop(self, path: str) -> None:
        """Take back what `add` added."""
        del self._own[path], self._marks[path]
        (self.root / path).unlink(missing_ok=True)

    def restore(self) -> None:
        """Put everything back: what was put, and what a check changed, deleted or left lying about.

        Caches and build outputs that a check made stay for the next one.
        """
        self._undo_puts()
        strange: list[str] = []

        def enter(path: str) -> bool:
            known = path in self._folders
            if not known and not _kept(path):
                strange.append(path)
            return known or not _kept(path)

        present = dict(_walk(str(self.root), "", enter))
        for path in present.keys() - self._marks.keys():
            if not _kept(path):
                (self.root / path).unlink(missing_ok=True)
        for path in reversed(strange):
            with contextlib.suppress(OSError):
                (self.root / path).rmdir()
        for path, mark in list(self._marks.items()):
            found = present.get(path)
            if found is None or _Mark.of(found) != mark:
                self._fetch(path)

    def _undo_puts(self) -> None:
        for path, before in self._originals.items():
            if before is None:
                (self.root / path).unlink(missing_ok=True)
                _forget_bytecode(self.root / path)
            else:
                self._write(path, before)
        self._originals.clear()

    def _write(self, path: str, data: bytes) -> None:
        file = self.root / path
        mode = stat.S_IMODE(file.lstat().st_mode) if file.exists() else None
        # Anew, for the file may be write-protected, or a check may have made it a link.
        file.unlink(missing_ok=True)
        file.write_bytes(data)
        if mode is not None:
            file.chmod(mode)
        # Python trusts bytecode whose source has the same size and the same second: candidates do.
        _forget_bytecode(file)
        if path in self._marks:
            self._marks[path] = _Mark.of(file.lstat())

    def _fetch(self, path: str) -> None:
        """Copy one file anew; the time of the copy is now, so that build tools see a change."""
        file = self.root / path
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)
        del self._marks[path]
        if path in self._own:
            self.add(path, self._own[path])
            return
        self._place(path, linked=path in self.linked)
        if path in self._marks and not file.is_symlink():
            os.utime(file)
            self._marks[path] = _Mark.of(file.lstat())
        _forget_bytecode(file)

    def _place(self, path: str, *, linked: bool) -> None:
        """Bring one file or link of the workspace into the copy, and remember how it looks."""
        source, file = self.workspace / path, self.root / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if linked:
                file.symlink_to(source)
            elif source.is_symlink():
                self._link_again(source, file)
            else:
                self._copier(source, file)
            self._marks[path] = _Mark.of(file.lstat())
        except OSError:
            file.unlink(missing_ok=True)
            self.skipped.append(path)

    def _copy(self) -> None:
        self.workspace = self.workspace.resolve()
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root = self.root.resolve()
        found = self._found()
        ceiling = _ceiling(found.values())
        for number, (path, info) in enumerate(sorted(found.items())):
            self._tell(number, len(found))
            big = stat.S_ISREG(info.st_mode) and info.st_size > ceiling
            if big:
                self.linked.append(path)
            self._place(path, linked=big)
        self._folders = {parent.as_posix() for path in self._marks for parent in Path(path).parents}
        self._tell(len(found), len(found))

    def _found(self) -> dict[str, os.stat_result]:
        """List what to copy; folders of thousands of files without any code are linked whole."""
        found: dict[str, os.stat_result] = {}
        for path, info in _walk(str(self.workspace), "", self._enter):
            found[path] = info
            if len(found) > MOST_FILES:
                raise EditError(
                    f"{self.workspace} holds more than {MOST_FILES:,} files, too many to copy for a check; "
                    "open Loom in the project's own folder."
                )
        if len(found) > MANY_FILES:
            for folder in _bulks(found):
                found = {path: info for path, info in found.items() if not path.startswith(folder + "/")}
                self.linked.append(folder)
                self._place(folder, linked=True)
        return found

    def _tell(self, done: int, total: int) -> None:
        self._stop_if_asked()
        if self.progress is not None and (done % max(1, total // 20) == 0 or done == total):
            self.progress(done, total)

    def _stop_if_asked(self) -> None:
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled("Stopped while the workspace was being copied; nothing was changed.")

    def _enter(self, path: str) -> bool:
        """Decide whether a folder of the workspace is copied; some are linked instead."""
        self._stop_if_asked()
        folder = self.workspace / path
        if folder == self.root or folder.name in _DROPPED or (folder / "CACHEDIR.TAG").exists():
            return False
        if folder.name in _LINKED or (folder / "pyvenv.cfg").exists():
            self.linked.append(path)
            self._place(path, linked=True)
            return False
        return True

    def _link_again(self, source: Path, file: Path) -> None:
        """Copy a link so that it leads into the copy where the original leads into the workspace."""
        goal = source.readlink()
        inside = (source.parent / goal).resolve().is_relative_to(self.workspace)
        if not goal.is_absolute() and inside:
            file.symlink_to(goal)
        elif inside:
            file.symlink_to(self.root / goal.resolve().relative_to(self.workspace))
        else:
            file.symlink_to((source.parent / goal).resolve())

    def _remove(self) -> None:
        if sys.version_info >= (3, 12):
            shutil.rmtree(self.root, onexc=_force)
        else:
            shutil.rmtree(self.root, onerror=_force)


class _Copier:
    """Copy files, sharing their blocks where the file system can (reflink), else by value."""

    def __init__(self) -> None:
        self._reflink = os.name == "posix" and hasattr(os, "sendfile")

    def __call__(self, source: Path, file: Path) -> None:
        if not (self._reflink and self._clone(source, file)):
            shutil.copyfile(source, file)
        shutil.copystat(source, file)

    def _clone(self, source: Path, file: Path) -> bool:
        import fcntl

        ficlone = 0x40049409
        with source.open("rb") as old, file.open("wb") as new:
            try:
                fcntl.ioctl(new.fileno(), ficlone, old.fileno())
            except OSError:
                self._reflink = False
        return self._reflink


def _walk(folder: str, prefix: str, enter: Callable[[str], bool]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file and link below a folder with its relative path; links are not followed."""
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return
    for entry in found:
        path = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            if enter(path):
                yield from _walk(entry.path, path + "/", enter)
        elif entry.name not in _DROPPED and (entry.is_symlink() or entry.is_file()):
            yield path, entry.stat(follow_symlinks=False)


def _kept(path: str) -> bool:
    return not _KEPT.isdisjoint(path.split("/")) or path.endswith((".o", ".so", ".pyc"))


def _ceiling(infos: Iterable[os.stat_result]) -> int:
    """Return the size above which files are linked, so that the copy stays within its limit."""
    total = 0
    for size in sorted(info.st_size for info in infos):
        total += size
        if size > BIG_FILE or total > COPY_LIMIT:
            return size - 1
    return BIG_FILE


def _bulks(paths: Iterable[str]) -> list[str]:
    """Return the topmost folders that hold thousands of files and no code: images, samples, exports."""
    counts: Counter[str] = Counter()
    code: set[str] = set()
    for path in paths:
        parents = [parent.as_posix() for parent in PurePosixPath(path).parents][:-1]
        counts.update(parents)
        if path.endswith(_CODE):
            code.update(parents)
    bulky = {folder for folder, count in counts.items() if count >= BULK and folder not in code}
    return sorted(f for f in bulky if not any(p.as_posix() in bulky for p in PurePosixPath(f).parents))


def _forget_bytecode(file: Path) -> None:
    cache = file.parent / "__pycache__"
    if file.suffix == ".py" and cache.is_dir():
        for stale in cache.iterdir():
            if stale.name.startswith(f"{file.stem}."):
                stale.unlink(missing_ok=True)


def _force(remove: Callable[..., object], path: str, _: object) -> None:
    """Remove what a check left without write permission."""
    if not os.path.lexists(path):
        return
    parent = Path(path).parent
    try:
        parent.chmod(0o700)
        if not Path(path).is_symlink():
            Path(path).chmod(0o700)
        remove(path)
    except OSError as failure:
        raise EditError(f"{path} cannot be removed ({failure.strerror}); delete it by hand.") from failure
