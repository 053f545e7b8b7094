"""Follow a run's log for any number of listeners: the file is the only buffer."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from loom_jupyter.runs.compose import Composer
from loom_jupyter.runs.document import SECTIONS, Document, Text, to_json
from loom_jupyter.runs.log import PROGRESS, LineReader, parse
from loom_jupyter.runs.view import RunView, reduce

_logger = logging.getLogger(__name__)
CHUNK = 256 * 1024
"""Bytes that are read, and sent, at a time: what one listener holds in memory at most, but for longer lines."""
INTERVAL, LAZY, PATIENCE = 0.04, 0.2, 10.0
"""Seconds between two looks at a log; of one in which nothing happened for `PATIENCE`; and that."""
KEEP_ALIVE = 15.0
FRAME, CLOCK, QUIET = 0.1, 0.5, 3.0
"""Seconds between two documents, at least; at most, while a clock runs; and without an event, after which it is
worth asking whether the run's process still lives."""
OVERLAP = 256
"""Characters by which the end of a text is found again in the longer one."""


class FileTail:
    """Wakes those who wait for a file to grow. One look at the file serves them all, and none wait for nothing."""

    def __init__(self) -> None:
        self._waiting: dict[Path, set[asyncio.Future[None]]] = {}
        self._tasks: dict[Path, asyncio.Task[None]] = {}

    async def wait(self, file: Path, size: int, timeout: float) -> bool:
        """Wait until the length of `file` is not `size` bytes; False if `timeout` seconds passed first."""
        if _size(file) != size:
            return True
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(file, set())
        waiting.add(woken)
        if file not in self._tasks:
            self._tasks[file] = asyncio.create_task(self._look(file, size))
        try:
            await asyncio.wait_for(woken, timeout)
        except TimeoutError:
            return False
        finally:
            waiting.discard(woken)
            if not waiting and file not in self._tasks:
                self._waiting.pop(file, None)
        return True

    async def _look(self, file: Path, size: int) -> None:
        quiet = 0.0
        try:
            while self._waiting[file]:
                pause = INTERVAL if quiet < PATIENCE else LAZY
                await asyncio.sleep(pause)
                quiet += pause
                if _size(file) != size:
                    for woken in self._waiting[file]:
                        if not woken.done():
                            woken.set_result(None)
                    return
        finally:
            del self._tasks[file]
            if not self._waiting[file]:
                del self._waiting[file]


# --- events, as they are in the log ---


async def events(file: Path, start: int, tail: FileTail) -> AsyncGenerator[bytes]:
    """Yield server-sent events from number `start` on, many at a time; ends when the run is deleted.

    A comment comes now and then while nothing happens, so that a connection that is gone is noticed.
    """
    reader = LineReader(file)
    while file.parent.exists():
        size = _size(file)
        while lines := reader.read(CHUNK):
            if sent := b"".join(_message(line, start) for line in lines):
                yield sent
        if not await tail.wait(file, size, KEEP_ALIVE):
            yield b": nothing new\n\n"
    yield b"event: deleted\ndata: {}\n\n"


def _message(line: bytes, start: int) -> bytes:
    """Return the event of a line; empty for one that is not wanted, or no event."""
    try:
        event = json.loads(line)
    except ValueError:
        return b""
    seq = event.get("seq") if isinstance(event, dict) else None
    if not isinstance(seq, int) or seq < start:
        return b""
    return b"id: %d\ndata: %b\n\n" % (seq, line.strip())


# --- documents ---


class Feed:
    """The document of one run, made once for all who look at it.

    Parameters
    ----------
    folder
        The run's.
    is_alive
        Whether the process that works on the run lives.
    """

    def __init__(self, folder: Path, is_alive: Callable[[], bool]) -> None:
        self.file = folder / PROGRESS
        self.view = RunView()
        self.size = -1
        self._is_alive = is_alive
        self._alive, self._asked = True, 0.0
        self._reader = LineReader(self.file)
        self._composer = Composer()
        self._made: dict[str, tuple[Any, bytes]] = {}
        self._lock = asyncio.Lock()
        self._fresh = 0.0

    @property
    def ticks(self) -> bool:
        """Whether a clock runs."""
        return self.view.at_work and self._alive

    async def refresh(self, threads: Executor | None) -> None:
        """Read what is new and make the document, unless that was done a moment ago."""
        async with self._lock:
            if time.monotonic() - self._fresh >= FRAME:
                await asyncio.get_running_loop().run_in_executor(threads, self._refresh)
                self._fresh = time.monotonic()

    def document(self) -> Document:
        """Read what is new and return the document."""
        self.size = _size(self.file)
        while lines := self._reader.read(CHUNK):
            for line in lines:
                event = parse(line)
                if event is not None:
                    self.view = reduce(self.view, event)
        now = time.time()
        return self._composer.compose(self.view, now, alive=self._lives(now))

    def _refresh(self) -> None:
        document = self.document()
        for name in SECTIONS:
            section, kept = getattr(document, name), self._made.get(name)
            if kept is None or (kept[0] is not section and kept[0] != section):
                self._made[name] = section, to_json(section)

    def _lives(self, now: float) -> bool:
        if not self.view.at_work or now - self.view.last_ts < QUIET:
            self._alive = True
        elif now - self._asked > QUIET:
            self._alive, self._asked = self._is_alive(), now
        return self._alive

    def news(self, known: dict[str, Any]) -> bytes:
        """Return, as one JSON object, the sections that a listener does not know; empty if there are none.

        Of texts that go on only what was added is sent: what to keep of the one before (from `drop` to `keep`),
        and what follows.
        """
        parts = []
        for name, (section, made) in self._made.items():
            if name not in known or known[name] is not section:
                if name == "texts":
                    made = b"[%b]" % b",".join(_added(text, known.get(name, ())) for text in section)
                known[name] = section
                parts.append(b'"%b":%b' % (name.encode(), made))
        return b"{%b}" % b",".join(parts) if parts else b""


def _added(text: Text, known: tuple[Text, ...]) -> bytes:
    """Return a text as the change of the one that is known."""
    before = next((other.text for other in known if other.node is text.node), "")
    drop = before.find(text.text[:OVERLAP]) if len(text.text) >= OVERLAP else 0
    keep = _same(before, max(0, drop), text.text) if drop >= 0 else 0
    rest = to_json(Text(text.node, text.title, text.text[keep:]))
    return b'{"drop":%d,"keep":%d,%b' % (_units(before[: max(0, drop)]), _units(text.text[:keep]), rest[1:])


def _same(before: str, start: int, after: str) -> int:
    """Return how many characters `before` has from `start` on as `after` has them from its beginning."""
    pairs = zip(itertools.islice(before, start, None), after, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(before) - start, len(after)))


def _units(text: str) -> int:
    """Return the length of a text as JavaScript counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class Feeds:
    """The feeds of the runs that somebody looks at."""

    def __init__(self, threads: Executor | None = None) -> None:
        self.tail = FileTail()
        self._threads = threads
        self._feeds: dict[Path, Feed] = {}
        self._listeners: dict[Path, int] = {}

    async def follow(self, folder: Path, is_alive: Callable[[], bool]) -> AsyncGenerator[bytes]:
        """Yield server-sent messages: first a whole document, then the sections of it that change.

        A listener that is slow misses what came in between, never what came last. Ends when the run is deleted.
        """
        feed = self._feeds.setdefault(folder, Feed(folder, is_alive))
        self._listeners[folder] = self._listeners.get(folder, 0) + 1
        _logger.debug("run %s has %d listeners", folder.name, self._listeners[folder])
        known: dict[str, Any] = {}
        told = time.monotonic()
        try:
            while folder.exists():
                await feed.refresh(self._threads)
                if news := feed.news(known):
                    yield b"data: %b\n\n" % news
                    told = time.monotonic()
                elif time.monotonic() - told > KEEP_ALIVE:
                    yield b": nothing new\n\n"
                    told = time.monotonic()
                await asyncio.sleep(FRAME)
                await self.tail.wait(feed.file, feed.size, CLOCK - FRAME if feed.ticks else KEEP_ALIVE)
            yield b"event: deleted\ndata: {}\n\n"
        finally:
            self._listeners[folder] -= 1
            if not self._listeners[folder]:
                del self._listeners[folder], self._feeds[folder]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return -1
