"""Follow a run's log for any number of listeners: the file is the only buffer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from loom_jupyter.runs.lines import LineReader

CHUNK = 256 * 1024
"""Bytes that are read, and sent, at a time: what one listener holds in memory at most, but for longer lines."""
INTERVAL, LAZY, PATIENCE = 0.04, 0.2, 10.0
"""Seconds between two looks at a log; of one in which nothing happened for `PATIENCE`; and that."""
KEEP_ALIVE = 15.0


class Growth:
    """Wakes those who wait for a file to grow. One look at the file serves them all, and none wait for nothing."""

    def __init__(self) -> None:
        self._waiting: dict[Path, set[asyncio.Future[None]]] = {}
        self._tasks: dict[Path, asyncio.Task[None]] = {}

    async def wait(self, file: Path, size: int, timeout: float) -> bool:
        """Wait until `file` is not `size` bytes long any more; False if `timeout` seconds passed first."""
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


async def follow(file: Path, start: int, growth: Growth) -> AsyncIterator[bytes]:
    """Yield server-sent events from number `start` on, many at a time; ends when the run is deleted.

    A comment comes now and then while nothing happens, so that a connection that is gone is noticed.
    """
    reader = LineReader(file)
    while file.parent.exists():
        size = _size(file)
        while lines := reader.read(CHUNK):
            if sent := b"".join(_message(line, start) for line in lines):
                yield sent
        if not await growth.wait(file, size, KEEP_ALIVE):
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


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return -1
