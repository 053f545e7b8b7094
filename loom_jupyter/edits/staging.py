"""A copy of the workspace in which candidates are tried; the workspace itself is only read."""

from __future__ import annotations

import logging
import os
import stat
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import TracebackType

from loom_jupyter.edits import temporary
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.paths import jupyter_places, resolve
from loom_jupyter.edits.tree import Tree, chmod, open_folder, remove
from loom_jupyter.errors import Cancelled, EditError

BIG_FILE = 50 * 2**20
"""Files above this many bytes are linked, not copied."""
COPY_LIMIT = 2**30
"""Bytes copied at most; beyond it the largest files are linked."""

MANY_FILES, BULK = 5_000, 1_000
"""Above this many files, folders of so many files without code are linked."""
MOST_FILES = 200_000
DEEPEST = 100
"""Folders in this many others are not copied: only a repository that means harm has them."""

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
# Build outputs that a check may leave for the next one: their tools compare times or contents. Python's bytecode
# is not among them: it could run instead of the code that it says it was made of. Only what was there before the
# first change stays.
_KEPT = frozenset({"target", "build", "dist", "node_modules", ".cargo", ".gradle"})

Progress = Callable[[int, int], None]

_log = logging.getLogger(__name__)
_live: dict[str, StagedCopy] = {}
_swept = threading.Event()


@dataclass(frozen=True, slots=True)
class _Mark:
    """What tells that a staged file was touched; the time of the last change cannot be set by a check."""

    size: int
    mtime_ns: int
    ctime_ns: int
    mode: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> _Mark:
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode, found.st_ino)


@dataclass
class StagedCopy:
    """A workspace's files in a private folder, put back to their originals between trials.

    Use as a context manager: entering copies, leaving removes the folder. If the process ends in between, the
    folder is removed all the same (`temporary`).

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
    (`check.run_check`). A check may do to the copy what it likes: putting it back follows no link (`Tree`).
    """

    workspace: Path
    root: Path = field(default_factory=temporary.new_place)
    cancel: threading.Event | None = None
    progress: Progress | None = None
    linked: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    _marks: dict[str, _Mark] = field(default_factory=dict)
    _folders: dict[str, int] = field(default_factory=dict)
    _originals: dict[str, bytes | None] = field(default_factory=dict)
    _own: dict[str, bytes] = field(default_factory=dict)
    # Bytecode of the code as it is: to compile a large package in each trial would take seconds.
    _compiled: dict[str, _Mark] = field(default_factory=dict)
    _pristine: bool = True
    _outward: list[str] = field(default_factory=list)
    _private: tuple[str, ...] = ()
    _tree: Tree = field(init=False)
    _janitor: temporary.Janitor = field(init=False)

    def __enter__(self) -> StagedCopy:
        if not _swept.is_set():
            _swept.set()
            temporary.sweep()
        self.workspace = self.workspace.resolve()
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.root = self.root.resolve()
        self._tree = Tree(self.root)
        temporary.lock(self._tree.fd)
        self._janitor = temporary.Janitor(self.root)
        _live[str(self.root)] = self
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
        self._pristine = False
        self._undo_puts()
        for change in changes:
            resolve(self.root, change.path)
            self._originals[change.path] = change.before
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
        self._mark(path)

    def drop(self, path: str) -> None:
        """Take back what `add` added."""
        del self._own[path], self._marks[path]
        self._tree.remove(path)

    def restore(self, *, kept: bool = True) -> None:
        """Put everything back: what was put, and what a check changed, deleted or left lying about.

        Parameters
        ----------
        kept
            Leave build outputs that a check made for the next one. Without them no trial can see what an earlier
            one left.

        Raises
        ------
        EditError
            If the copy cannot be put back; it is not fit for another trial then.
        """
        if not self._tree.in_place:
            raise EditError("The check moved its copy of the workspace away; start the run again.")
        try:
            os.fchmod(self._tree.fd, 0o700)
            intact = self._tidy(self._tree.fd, "", kept)
            self._undo_puts()
            for path in self._marks.keys() - intact - self._rewritten():
                self._fetch(path)
        except OSError as error:
            raise EditError(f"The copy cannot be put back ({error}); start the run again.") from error
        finally:
            self._originals.clear()

    def _rewritten(self) -> set[str]:
        return {path for path, before in self._originals.items() if before is not None}

    def _tidy(self, fd: int, prefix: str, kept: bool) -> set[str]:
        """Remove what does not belong in an open folder of the copy; return the files that were not touched."""
        intact: set[str] = set()
        with os.scandir(fd) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        for name, info in found:
            path = prefix + name
            if stat.S_ISDIR(info.st_mode) and path in self._folders:
                if stat.S_IMODE(info.st_mode) != self._folders[path]:
                    chmod(fd, name, self._folders[path])
                with open_folder(fd, name) as inner:
                    intact |= self._tidy(inner, path + "/", kept)
            elif path in self._marks:
                if _Mark.of(info) == self._marks[path]:
                    intact.add(path)
            elif name == "__pycache__" and stat.S_ISDIR(info.st_mode):
                self._tidy_bytecode(fd, path)
            elif not (kept and _kept(path, info)):
                remove(fd, name)
        return intact

    def _tidy_bytecode(self, fd: int, path: str) -> None:
        """Remove bytecode but for what runs without any change have left, untouched since."""
        chmod(fd, "__pycache__", 0o755)
        with open_folder(fd, "__pycache__") as inner:
            with os.scandir(inner) as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
            for name, info in found:
                file, mark = f"{path}/{name}", _Mark.of(info)
                if self._pristine and stat.S_ISREG(info.st_mode) and self._is_bytecode(file):
                    self._compiled[file] = mark
                if self._compiled.get(file) != mark:
                    remove(inner, name)

    def _is_bytecode(self, file: str) -> bool:
        """Whether a file says that it was compiled from its source as that is now (PEP 552: time and size)."""
        cache, _, name = file.rpartition("/")
        source = self._marks.get(f"{cache.removesuffix('__pycache__')}{name.partition('.')[0]}.py")
        if source is None or not name.endswith(".pyc"):
            return False
        try:
            _, flags, when, size = struct.unpack("<4sIII", self._tree.read(file, 16))
        except (OSError, struct.error):
            return False
        now = (source.mtime_ns // 10**9 & 0xFFFFFFFF, source.size & 0xFFFFFFFF)
        return flags == 0 and (when, size) == now

    def _undo_puts(self) -> None:
        for path, before in self._originals.items():
            if before is None:
                self._tree.remove(path)
                self._forget_bytecode(path)
            else:
                self._write(path, before)

    def _write(self, path: str, data: bytes) -> None:
        mode = stat.S_IMODE(self._marks[path].mode) if path in self._marks else None
        self._tree.write(path, data, mode)
        # Python trusts bytecode whose source has the same size and the same second: candidates do.
        self._forget_bytecode(path)
        if path in self._marks:
            self._mark(path)

    def _mark(self, path: str) -> None:
        found = self._tree.stat(path)
        if found is None:
            raise OSError(f"{path} is not where it was put")
        self._marks[path] = _Mark.of(found)

    def _forget_bytecode(self, path: str) -> None:
        file = PurePosixPath(path)
        if file.suffix == ".py":
            self._tree.remove_named((file.parent / "__pycache__").as_posix(), f"{file.stem}.")

    def _fetch(self, path: str) -> None:
        """Copy one file again; the time of the copy is now, so that build tools see a change."""
        del self._marks[path]
        if path in self._own:
            self.add(path, self._own[path])
        else:
            self._place(path, linked=path in self.linked, now=True)
        self._forget_bytecode(path)

    def _place(self, path: str, *, linked: bool, now: bool = False) -> None:
        """Bring one file or link of the workspace into the copy, and remember how it looks."""
        source = self.workspace / path
        try:
            if linked:
                self._tree.link(path, str(source))
                self._outward.append(str(source))
            elif source.is_symlink():
                self._tree.link(path, self._goal(source))
            else:
                self._tree.copy(source, path, now=now)
            self._mark(path)
        except OSError as error:
            _log.info("%s is not in the copy: %s", path, error)
            self._tree.remove(path)
            self.skipped.append(path)

    def _copy(self) -> None:
        self._private = tuple(jupyter_places())
        found = self._found()
        ceiling = _ceiling(found.values())
        for number, (path, info) in enumerate(sorted(found.items())):
            self._tell(number, len(found))
            big = stat.S_ISREG(info.st_mode) and info.st_size > ceiling
            if big:
                self.linked.append(path)
            self._place(path, linked=big)
        folders = {parent.as_posix() for path in self._marks for parent in PurePosixPath(path).parents}
        self._folders = {
            path: stat.S_IMODE((self.root / path).lstat().st_mode) for path in folders - {".", *self.linked}
        }
        self._tell(len(found), len(found))

    def _found(self) -> dict[str, os.stat_result]:
        """List what to copy; folders of thousands of files without any code are linked whole."""
        found: dict[str, os.stat_result] = {}
        for path, info in _walk(str(self.workspace), "", self._enter):
            if not self._is_private(path):
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
        if (
            folder == self.root
            or self._is_private(path)
            or self._is_too_deep(path)
            or folder.name in _DROPPED
            or (folder / "CACHEDIR.TAG").exists()
        ):
            return False
        if folder.name in _LINKED or (folder / "pyvenv.cfg").exists():
            self.linked.append(path)
            self._place(path, linked=True)
            return False
        return True

    def _is_too_deep(self, path: str) -> bool:
        if path.count("/") < DEEPEST:
            return False
        self.skipped.append(path)
        return True

    def _is_private(self, path: str) -> bool:
        """Whether something never belongs in a copy: Jupyter's own files; in a home folder, what is hidden."""
        place = str(self.workspace / path)
        return place in self._private or (path.startswith(".") and str(self.workspace) == str(Path.home()))

    def _goal(self, source: Path) -> str:
        """Say where a link leads in the copy: into the copy where the original leads into the workspace."""
        goal = source.readlink()
        real = Path(os.path.realpath(source.parent / goal))  # unlike Path.resolve, it takes links in a circle
        if not real.is_relative_to(self.workspace):
            self._outward.append(str(real))
            return str(real)
        return str(self.root / real.relative_to(self.workspace) if goal.is_absolute() else goal)

    def _remove(self) -> None:
        _live.pop(str(self.root), None)
        try:
            self._tree.clear()
            if self._tree.in_place:
                self.root.rmdir()
        except OSError as error:
            raise EditError(f"{self.root} cannot be removed ({error.strerror}); delete it by hand.") from error
        finally:
            self._tree.close()
            self._janitor.dismiss()


def outward(root: Path) -> list[str]:
    """List the places outside a staged copy to which links of its workspace lead."""
    copy = _live.get(str(root))
    return [] if copy is None else list(dict.fromkeys(copy._outward))


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


def _kept(path: str, info: os.stat_result) -> bool:
    """Whether something that a check made stays: build outputs, never a link or what Python would import."""
    *folders, name = path.split("/")
    real = stat.S_ISDIR(info.st_mode) or (stat.S_ISREG(info.st_mode) and bool(_KEPT.intersection(folders)))
    return real and name != "__pycache__" and not _KEPT.isdisjoint(path.split("/"))


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
