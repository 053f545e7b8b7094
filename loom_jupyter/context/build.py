"""Gather: read the files that changed, in worker processes when there are many.

The workers are plain child processes that speak pickle over their pipes: the kernel's interpreter keeps its lock
for the user's own cell, nothing of the user's main module is imported again, and a grammar that crashes takes one
worker along, not the kernel.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from loom_jupyter.context import files
from loom_jupyter.context.batch import Batch, pack
from loom_jupyter.context.extract import Extracted, extract
from loom_jupyter.context.languages import language_of
from loom_jupyter.context.scan import Found
from loom_jupyter.context.term_index import Lexicon
from loom_jupyter.errors import Cancelled

ALONE = 1_500_000
CHUNK = 600_000
MOST_WORKERS = 8
BOOT = (
    "import pickle, sys; sys.path += pickle.load(sys.stdin.buffer); "
    "from loom_jupyter.context.build import main; main()"
)


def gather(root: Path, files: Sequence[Found], cancel: threading.Event | None = None) -> list[Batch]:
    """Read and extract `files`; one that went away meanwhile is left out.

    Raises
    ------
    Cancelled
        If `cancel` was set.
    """
    stop = cancel or threading.Event()
    chunks = _chunks(files)
    if sum(f.size for f in files) <= ALONE:
        return [read_all(root, chunk, stop) for chunk in chunks]
    workers = min(MOST_WORKERS, os.cpu_count() or 1, len(chunks))
    pending = iter(chunks)
    turn = threading.Lock()
    out: list[Batch] = []

    def work() -> None:
        alive = True
        while alive and not stop.is_set():
            with _worker(root) as child:
                alive = serve(child)

    def serve(child: subprocess.Popen[bytes]) -> bool:
        """Feed one child; True if it died and there may be more to do."""
        while not stop.is_set():
            with turn:
                chunk = next(pending, None)
            if chunk is None:
                return False
            batch = _ask(child, root, chunk, stop)
            if batch is None:
                out.extend(_halves(root, chunk, stop))
                return True
            out.append(batch)
        return False

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work) for _ in range(workers)]:
            done.result()
    if stop.is_set():
        raise Cancelled
    return out


def _chunks(files: Sequence[Found]) -> list[list[Found]]:
    """Cut into pieces of about equal size, the largest files first, so that no worker ends late."""
    out: list[list[Found]] = []
    size = 0
    for f in sorted(files, key=lambda f: (-f.size, f.path)):
        if not out or size + f.size > CHUNK or len(out[-1]) >= 400:
            out.append([])
            size = 0
        out[-1].append(f)
        size += f.size
    return out


def import_places(root: Path) -> list[str]:
    """List where a helper process imports from besides its own Python: nothing of the workspace, and Loom last."""
    here = root.resolve()
    own = Path(__file__).resolve().parents[2]
    places = [Path(entry).resolve() for entry in sys.path if entry]
    installed = [p for p in places if "site-packages" in p.parts or not p.is_relative_to(here)]
    return [str(place) for place in dict.fromkeys([*(p for p in installed if p != Path.cwd()), own])]


@contextmanager
def _worker(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-E", "-P", "-c", BOOT]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        pickle.dump(import_places(root), child.stdin)
        child.stdin.flush()
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def _ask(
    child: subprocess.Popen[bytes], root: Path, chunk: Sequence[Found], stop: threading.Event
) -> Batch | None:
    """Send a chunk and wait for its batch; None if the worker died of it."""
    assert child.stdin is not None
    assert child.stdout is not None
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            if stop.is_set():
                child.kill()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        pickle.dump((root, [tuple(f) for f in chunk]), child.stdin)
        child.stdin.flush()
        batch: Batch = pickle.load(child.stdout)
    except (EOFError, OSError, pickle.UnpicklingError):
        return None
    finally:
        done.set()
    return batch


def _halves(root: Path, chunk: Sequence[Found], stop: threading.Event) -> Iterator[Batch]:
    """Find the file that a worker died of by halving; it is named with that reason, the others are read."""
    if len(chunk) == 1:
        f = chunk[0]
        reason = "its grammar crashed while reading it"
        yield pack([(f.size, f.mtime_ns, Extracted(f.path, language_of(f.path), reason))], Lexicon())
        return
    for half in (chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :]):
        if stop.is_set():
            return
        with _worker(root) as child:
            batch = _ask(child, root, half, stop)
        if batch is not None:
            yield batch
        elif not stop.is_set():
            yield from _halves(root, half, stop)


# The worker's side of `gather`: files in, batches out, until the pipe closes.

NICE = 10
AGAIN = -1
"""Time of a file that could not be read for a reason that may pass, so that the next refresh tries again."""
_PASSING = frozenset(
    f"cannot be read: {os.strerror(number)}"
    for number in (
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.EIO,
        errno.EAGAIN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    )
)


def read_all(root: Path, wanted: Sequence[Found], stop: threading.Event, lexicon: Lexicon | None = None) -> Batch:
    """Read and extract some files; one that is gone is left out."""
    found = []
    for f in wanted:
        if stop.is_set():
            raise Cancelled
        got = _read(root, f)
        if got is not None:
            found.append((f.size, AGAIN if got.reason in _PASSING else f.mtime_ns, got))
    return pack(found, lexicon or Lexicon())


def _read(root: Path, file: Found) -> Extracted | None:
    try:
        data = files.read(root, file.path).data
    except FileNotFoundError:
        return None
    except OSError as error:
        return Extracted(file.path, language_of(file.path), f"cannot be read: {error.strerror}")
    got = extract(file.path, data)
    got.sha256 = hashlib.sha256(data).hexdigest()
    return got


def main() -> None:
    """Serve until standard input ends."""
    with suppress(OSError):
        os.nice(NICE)
    lexicon, never = Lexicon(), threading.Event()
    inlet, outlet = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            root, wanted = pickle.load(inlet)
        except EOFError:
            return
        batch = read_all(root, [Found(*f) for f in wanted], never, lexicon)
        pickle.dump(batch, outlet, protocol=pickle.HIGHEST_PROTOCOL)
        outlet.flush()
