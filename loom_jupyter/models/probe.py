"""Whether this build of llama.cpp works on this processor: tried in a child process, then remembered.

A build may die at its first decode (of instructions that this processor lacks, or that the compiler got wrong),
and the processor's name does not tell. So a small model is decoded in a child process, with and without repacked
weights: what does not die is used, and of two ways that work the one that reads a prompt faster. The finding is
kept in the data folder by a digest of the build and one of the processor, so that it is made once.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import logging
import os
import platform
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.process import Child, passing_file
from loom_jupyter.models.protocol import BrokenBuildError, ModelDiedError, ModelError, broken_build
from loom_jupyter.settings import data_dir

logger = logging.getLogger(__name__)

LIMIT = 60.0  # seconds for all of it; a machine under load takes four
ROUNDS = 2  # times that each way is measured where the usual one looks slower
NOTICEABLE = 1.1  # repacking is given up where reading without it is faster by more than this
LIBRARY, SHARED = re.compile(r"\.(so|dylib|dll)\b"), re.compile(r"lib(llama|ggml)")
LARGEST_HASHED = 64 << 20  # bytes; of larger libraries (CUDA kernels) the size must do


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of the small model.

    Attributes
    ----------
    extra_buffers
        Whether weights are to be repacked for faster kernels.
    prefill, decode
        Tokens a second that one core read and wrote, this way.
    other
        Tokens a second that it read the other way; 0 where that does not work or cannot be chosen.
    died
        How the other way ended (``"SIGSEGV"``); empty if it works or was not tried.
    system
        Instruction sets and options of the build, in llama.cpp's own words.
    version
        Of llama-cpp-python.
    recipe
        How Loom built it; empty for a build of somebody else's.
    """

    extra_buffers: bool
    prefill: float
    decode: float
    other: float = 0.0
    died: str = ""
    system: str = ""
    version: str = ""
    recipe: str = ""

    @property
    def features(self) -> list[str]:
        """Instruction sets and options that llama.cpp was built with."""
        parts = (part.rpartition(":")[2].partition("=") for part in self.system.split("|"))
        return [name.strip() for name, _, value in parts if value.strip() not in ("", "0")]

    @property
    def summary(self) -> str:
        """One line: what decoded, how fast, and what had to be left out."""
        speed = f"{self.prefill:,.0f} tokens/s read and {self.decode:,.0f} written on one core"
        if self.extra_buffers:
            how = ""
        elif self.died:
            how = f"; weights are not repacked, because that died of {self.died}"
        else:
            how = f"; weights are not repacked, because that reads {self.other:,.0f} tokens/s"
        return f"llama-cpp-python {self.version} decoded a small test model: {speed}{how}"


def ensure(cancel: threading.Event | None = None) -> Finding | None:
    """Return what is known of this build on this processor; try it if nothing is.

    Returns
    -------
    Finding or None
        None if the small model took so long that nothing can be said.

    Raises
    ------
    BrokenBuildError
        If no way of loading works.
    ModelError
        If llama-cpp-python is not there.
    Cancelled
        If `cancel` was set.
    """
    found = known()
    return examine(cancel) if found is None and _key() not in _slow else found


def known() -> Finding | None:
    """Return what was found of this build on this processor, if it was tried."""
    key = _key()
    if key not in _found:
        finding = _read(key)
        if finding is None:
            return None
        _found[key] = finding
    return _found[key]


def examine(cancel: threading.Event | None = None, recipe: str = "") -> Finding | None:
    """Try this build on this processor now, and remember what works; see `ensure`."""
    key, before = _key(), known()
    try:
        finding = _try_both(_Deadline(cancel, LIMIT))
    except _TooSlowError:
        logger.warning("The small test model took longer than %.0f s; nothing was learnt from it.", LIMIT)
        _slow.add(key)
        return None
    finding = replace(finding, recipe=recipe or (before.recipe if before else ""))
    if before is not None and not before.extra_buffers and before.died and finding.extra_buffers:
        # A real model died of it although the small one does not.
        finding = replace(finding, extra_buffers=False, died=before.died)
    _remember(key, finding)
    return finding


def distrust(died: str) -> None:
    """Remember that a real model died with repacked weights and works without them."""
    found = known()
    if found is not None:
        _remember(_key(), replace(found, extra_buffers=False, died=died))


def forget() -> None:
    """Forget what was found of this build on this processor."""
    key = _key()
    _found.pop(key, None)
    try:
        _file(key).unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s could not be removed: %s", _file(key), error)


def processor_flags() -> frozenset[str]:
    """Return the instruction sets that the system reports, by Linux's names; none where it does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    return frozenset(f for name, _, value in lines if name.strip() in ("flags", "Features") for f in value.split())


# One decode after the other


def _try_both(end: _Deadline) -> Finding:
    with _child() as child:
        try:
            first = _decode(child, end, extra_buffers=True)
            return _faster(child, first, end) if first["switch"] else _finding(first, extra_buffers=True)
        except BrokenBuildError as error:
            died = error.how
    return _try_without(died, end)


def _try_without(died: str, end: _Deadline) -> Finding:
    """Try again in a child of its own, where weights stay as they are in the file."""
    with _child() as child:
        try:
            result = _decode(child, end, extra_buffers=False)
        except (BrokenBuildError, ModelDiedError):
            raise
        except ModelError as error:
            raise broken_build(died, f"decoded no token of a small test model ({error})") from error
    return replace(_finding(result, extra_buffers=False), died=died)


def _faster(child: Child, first: dict[str, Any], end: _Deadline) -> Finding:
    """Measure the other way too and return the one that reads a prompt faster; repacking if they are alike."""
    packed, plain = first, None
    try:
        for turn in range(ROUNDS):
            if turn > 0:
                packed = _better(packed, _decode(child, end, extra_buffers=True))
            plain = _better(plain, _decode(child, end, extra_buffers=False))
            if plain["prefill"] <= NOTICEABLE * packed["prefill"]:
                break  # nothing that would have to be confirmed
    except _TooSlowError:
        return _finding(first, extra_buffers=True)
    except BrokenBuildError as error:  # the plain way dies, the usual one does not
        return replace(_finding(packed, extra_buffers=True), died=error.how)
    if plain is not None and plain["prefill"] > NOTICEABLE * packed["prefill"]:
        return replace(_finding(plain, extra_buffers=False), other=packed["prefill"])
    return replace(_finding(packed, extra_buffers=True), other=plain["prefill"] if plain else 0.0)


def _better(one: dict[str, Any] | None, other: dict[str, Any]) -> dict[str, Any]:
    return other if one is None or other["prefill"] > one["prefill"] else one


class _TooSlowError(Exception):
    """The time was over before the small model had decoded."""


def _decode(child: Child, end: _Deadline, *, extra_buffers: bool) -> dict[str, Any]:
    """Ask for one decode.

    Raises
    ------
    BrokenBuildError
        If the child died, or computed no numbers.
    _TooSlowError
        If the time was over before.
    """
    try:
        result: dict[str, Any] = child.get({"op": "selftest", "extra_buffers": extra_buffers}, end)
    except ModelDiedError as error:
        if error.how == "SIGKILL":  # out of memory, or somebody's hand: says nothing about the build
            raise
        raise broken_build(error.how, "decoded no token of a small test model") from error
    except Cancelled as error:
        if end.passed:
            raise _TooSlowError from error
        raise
    if not result["finite"]:
        raise broken_build("NaN", "computed no numbers in a small test model")
    return result


class _Deadline(threading.Event):
    """Set when the caller's own event is, or when the time is over."""

    def __init__(self, other: threading.Event | None, seconds: float) -> None:
        super().__init__()
        self._other, self._end = other, time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether it was the time."""
        return not (self._other is not None and self._other.is_set())

    def is_set(self) -> bool:
        return not self.passed or time.monotonic() > self._end


@contextmanager
def _child() -> Iterator[Child]:
    with passing_file("probe.log") as log:
        child = Child(log)
        try:
            yield child
        finally:
            child.close()


def _finding(result: dict[str, Any], *, extra_buffers: bool) -> Finding:
    return Finding(
        extra_buffers,
        float(result["prefill"]),
        float(result["decode"]),
        system=str(result["system"]),
        version=str(result["version"]),
    )


# What is remembered

_found: dict[str, Finding] = {}
_slow: set[str] = set()  # what this process does not wait for a second time


def _remember(key: str, finding: Finding) -> None:
    """Keep a finding for this process and, if the data folder can be written, for all later ones."""
    _found[key] = finding
    file = _file(key)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
        made.write_text(json.dumps(asdict(finding), indent=1), "utf-8")
        made.replace(file)
    except OSError as error:
        logger.warning("%s could not be written, so the test is made again next time: %s", file, error)


def _read(key: str) -> Finding | None:
    try:
        data = json.loads(_file(key).read_text("utf-8"))
        return Finding(**data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        logger.warning("%s could not be read, so the test is made again: %s", _file(key), error)
        return None


def _file(key: str) -> Path:
    return data_dir() / "llama" / f"{key}.json"


def _key() -> str:
    return f"{build_digest()}-{processor_digest()}"


def processor_digest() -> str:
    """Return a digest of what this processor can do."""
    facts = [platform.system(), platform.machine(), *sorted(processor_flags())]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def build_digest() -> str:
    """Return a digest of llama.cpp's libraries; of nothing where they are not found."""
    files = sorted(_libraries())
    return _digest(tuple((str(f), s.st_size, s.st_mtime_ns) for f in files if (s := _stat(f)) is not None))


@functools.lru_cache(maxsize=4)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    """Hash names and bytes, each library once although wheels hold it under several names."""
    digest, seen = hashlib.sha256(), set[tuple[str, int]]()
    for path, size, _ in files:
        name = Path(path).name.partition(".")[0]
        if (name, size) in seen:
            continue
        seen.add((name, size))
        digest.update(f"{name} {size}\n".encode())
        if size <= LARGEST_HASHED:
            digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]


def _libraries() -> list[Path]:
    """Return the libraries that llama-cpp-python loads: its own, or those that it shares (conda)."""
    folder, spec = os.environ.get("LLAMA_CPP_LIB_PATH"), importlib.util.find_spec("llama_cpp")
    if folder is None and spec is not None and spec.origin is not None:
        folder = str(Path(spec.origin).parent / "lib")
    own = [f for f in Path(folder).glob("*") if LIBRARY.search(f.name)] if folder else []
    shared = Path(sys.prefix) / "lib"
    found = own or [f for f in shared.glob("lib*") if LIBRARY.search(f.name) and SHARED.match(f.name)]
    return [f for f in found if f.is_file()]


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None
