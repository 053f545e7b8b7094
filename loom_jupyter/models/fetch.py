"""Finding a model's file, or getting it: ``python -m loom_jupyter.models.fetch NAME``."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from loom_jupyter.errors import Cancelled
from loom_jupyter.models import gguf
from loom_jupyter.models.catalogue import VARIABLE, Entry, entries, is_url, resolve_name
from loom_jupyter.models.protocol import ModelError

Progress = Callable[[str, float], None]

BLOCK = 1 << 22
SPARE = 200 << 20  # bytes that must stay free on the disk

_log = logging.getLogger(__name__)


def locate(
    model: str | Path | None = None, progress: Progress | None = None, cancel: threading.Event | None = None
) -> Path:
    """Return the path of a model's file, downloading it if need be.

    Parameters
    ----------
    model
        Catalogue name or path of a GGUF file; None takes ``LOOM_MODEL`` or the catalogue's default.
    progress
        Called with a phase (``"download"``, ``"verify"``) and the share done.
    cancel
        Set by another thread to stop; what was downloaded is kept for the next time.

    Raises
    ------
    ModelError
        If there is no such model, or no source gives its bytes.
    Cancelled
        If `cancel` was set.
    """
    name = resolve_name(str(model) if model is not None else None)
    if is_url(name):
        raise ModelError(f"{name} is a server, not a file; there is nothing to download.")
    entry = entries().get(name)
    if entry is None:
        return gguf.read(Path(name).expanduser()).path
    return Store(cache_dir(), progress or _silent, cancel).get(entry)


def cached(model: str | None = None) -> Path | None:
    """Return where a model's file lies, or None if it would have to be downloaded."""
    name = resolve_name(model)
    entry = entries().get(name)
    path = cache_dir() / entry.file if entry else Path(name).expanduser()
    return path if path.is_file() and (entry is None or path.stat().st_size == entry.size) else None


def name_of(path: Path) -> str:
    """Return the catalogue's name of a file, or its stem."""
    return next((e.name for e in entries().values() if e.file == path.name), path.stem)


def cache_dir() -> Path:
    """Folder of downloaded models."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("loom")) / "models"


class Store:
    """The folder of downloaded models.

    Parameters
    ----------
    folder
        Where they lie.
    progress, cancel
        See `locate`.
    """

    def __init__(self, folder: Path, progress: Progress, cancel: threading.Event | None = None) -> None:
        self.folder = folder
        self.progress = progress
        self.cancel = cancel

    def check(self) -> None:
        """Raise `Cancelled` if the caller asked for it."""
        if self.cancel is not None and self.cancel.is_set():
            raise Cancelled

    def get(self, entry: Entry) -> Path:
        """Return the verified file of `entry`, from the folder or downloaded into it."""
        from filelock import FileLock, Timeout

        path = self.folder / entry.file
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._is_good(entry, path):
                return path
            lock = FileLock(path.with_name(path.name + ".lock"))
            while True:
                try:
                    with lock.acquire(timeout=0.2):
                        return path if self._is_good(entry, path) else self._download(entry, path)
                except Timeout:  # another process downloads it
                    self.check()
        except OSError as error:
            raise ModelError(_disk_trouble(entry, self.folder, error)) from error

    def _is_good(self, entry: Entry, path: Path) -> bool:
        """Whether the file is there and its bytes were, at some time since it was written, found right."""
        if not path.is_file():
            return False
        stamp = _stamp(path)
        if _remembered(path) == [entry.sha256, *stamp]:
            return True
        if stamp[0] == entry.size and self.sha256(path) == entry.sha256:
            _remember(path, [entry.sha256, *stamp])
            return True
        path.unlink()
        _log.warning("%s was not the file that the catalogue pins; it was deleted and is downloaded again.", path)
        return False

    def _download(self, entry: Entry, path: Path) -> Path:
        from loom_jupyter.models.sources import SOURCES, SourceError

        free = shutil.disk_usage(self.folder).free
        if free < entry.size + SPARE:
            raise OSError(errno.ENOSPC, "no space")
        reasons = []
        for label, source in SOURCES.items():
            try:
                self.progress("download", 0.0)
                made = source(entry, self)
            except SourceError as error:
                reasons.append(f"{label}: {error}")
                continue
            if self.sha256(made) == entry.sha256:
                os.replace(made, path)  # noqa: PTH105 - the same on every system
                _remember(path, [entry.sha256, *_stamp(path)])
                shutil.rmtree(made.parent, ignore_errors=True)
                return path
            made.unlink()
            reasons.append(f"{label}: gave other bytes than the catalogue pins, which were deleted")
        raise ModelError(
            f"{entry.name} could not be downloaded ({'; '.join(reasons)}); "
            f"check the network, or set {VARIABLE} to a GGUF file that you have."
        )

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of a file, telling how far it is."""
        digest = hashlib.sha256()
        size, done = max(1, path.stat().st_size), 0
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                self.check()
                digest.update(block)
                done += len(block)
                self.progress("verify", done / size)
        return digest.hexdigest()


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".verified")


def _remembered(path: Path) -> object:
    try:
        return json.loads(_sidecar(path).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _remember(path: Path, what: list[str | int]) -> None:
    try:
        _sidecar(path).write_text(json.dumps(what), "utf-8")
    except PermissionError:
        _log.info("%s is not writable; the model is verified at every start.", path.parent)


def _disk_trouble(entry: Entry, folder: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"{folder} has no room for {entry.name} ({entry.size / 1e9:.1f} GB); make room there, "
            f"or set {VARIABLE} to a GGUF file on another disk."
        )
    return f"{folder} cannot be used ({error.strerror}); set {VARIABLE} to a GGUF file that you have."


def _silent(_phase: str, _fraction: float) -> None:
    pass


def main(argv: list[str] | None = None) -> int:
    """Fetch the models named on the command line, with a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    names = sys.argv[1:] if argv is None else argv
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    for name in names or [resolve_name(None)]:
        began = time.monotonic()
        try:
            with Progress(*columns, console=console, transient=True) as bar:
                task = bar.add_task(f"{name}", total=1.0)

                def tell(
                    phase: str, share: float, bar: Progress = bar, task: TaskID = task, name: str = name
                ) -> None:
                    bar.update(task, completed=share, description=f"{phase} {name}")

                path = locate(name, tell)
        except ModelError as error:
            console.print(f"[red]{error}", soft_wrap=True)
            return 1
        except KeyboardInterrupt:
            console.print("Stopped; what is complete is kept for the next time.")
            return 130
        console.print(f"{name_of(path)}: {path} ({time.monotonic() - began:.1f} s)", soft_wrap=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
