"""Many listeners to one run."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from loom_jupyter.events import NodeText
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs.log import PROGRESS, EventLog
from loom_jupyter.server import follow as module
from loom_jupyter.server.follow import Growth, follow

T = TypeVar("T")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run in a thread of its own: a browser test before may have left its loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def numbers(messages: bytes) -> list[int]:
    return [json.loads(line[6:])["seq"] for line in messages.split(b"\n") if line.startswith(b"data: {")]


async def take(file: Path, start: int, growth: Growth, last: int) -> list[int]:
    got: list[int] = []
    async for messages in follow(file, start, growth):
        got += numbers(messages)
        if got and got[-1] >= last:
            break
    return got


def test_every_listener_gets_every_event_once_and_in_order(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "r", "r")

    async def write() -> None:
        for _ in range(300):
            log.emit(NodeText(node=Node.CODER, text="x"))
            await asyncio.sleep(0.001)

    async def everything() -> list[list[int]]:
        growth = Growth()
        listeners = [take(tmp_path / "r" / PROGRESS, start, growth, 300) for start in (0, 1, 150, 300)]
        *got, _ = await asyncio.wait_for(asyncio.gather(*listeners, write()), 20)
        await asyncio.sleep(0.1)
        assert not growth._waiting
        assert not growth._tasks
        return got

    found = finished(everything())
    assert [got[0] for got in found] == [1, 1, 150, 300]
    assert all(got == list(range(got[0], 301)) for got in found)


def test_a_listener_is_not_sent_more_than_a_chunk_at_once(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "r", "r")
    for _ in range(300):
        log.emit(NodeText(node=Node.CODER, text="x" * 10_000))

    async def sizes() -> list[int]:
        out: list[int] = []
        async for messages in follow(tmp_path / "r" / PROGRESS, 0, Growth()):
            out.append(len(messages))
            if 300 in numbers(messages):
                break
        return out

    found = finished(sizes())
    assert sum(found) > 3_000_000
    assert max(found) < 2 * module.CHUNK


def test_a_connection_is_kept_alive_while_nothing_happens(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE", 0.1)
    (tmp_path / "r").mkdir()

    async def first() -> bytes:
        return await anext(follow(tmp_path / "r" / PROGRESS, 0, Growth()))

    begun = time.monotonic()
    assert finished(first()).startswith(b":")
    assert time.monotonic() - begun < 5
