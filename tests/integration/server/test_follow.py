"""Many listeners to one run."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from scripted_runs import whole

from loom_jupyter.events import NodeStarted, NodeText, RunState, StateChanged
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs.compose import compose
from loom_jupyter.runs.document import SECTIONS, as_data
from loom_jupyter.runs.log import PROGRESS, EventLog, read_events
from loom_jupyter.runs.view import view_of
from loom_jupyter.server import follow as module
from loom_jupyter.server.follow import Feeds, FileTail, events

T = TypeVar("T")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run in a thread of its own: a browser test before may have left its loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def numbers(messages: bytes) -> list[int]:
    return [json.loads(line[6:])["seq"] for line in messages.split(b"\n") if line.startswith(b"data: {")]


async def take(file: Path, start: int, tail: FileTail, last: int) -> list[int]:
    got: list[int] = []
    async for messages in events(file, start, tail):
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
        tail = FileTail()
        listeners = [take(tmp_path / "r" / PROGRESS, start, tail, 300) for start in (0, 1, 150, 300)]
        *got, _ = await asyncio.wait_for(asyncio.gather(*listeners, write()), 20)
        await asyncio.sleep(0.1)
        assert not tail._waiting
        assert not tail._tasks
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
        async for messages in events(tmp_path / "r" / PROGRESS, 0, FileTail()):
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
        return await anext(events(tmp_path / "r" / PROGRESS, 0, FileTail()))

    begun = time.monotonic()
    assert finished(first()).startswith(b":")
    assert time.monotonic() - begun < 5


# --- documents ---


def news(message: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.removeprefix(b"data: "))
    return found


def taken_in(document: dict[str, Any], fresh: dict[str, Any]) -> dict[str, Any]:
    """Take news in, as the sidebar does."""
    known = {text["node"]: text["text"].encode("utf-16-le") for text in document.get("texts", [])}
    for text in fresh.get("texts", []):
        drop, keep = text.pop("drop"), text.pop("keep")
        kept = known.get(text["node"], b"")[2 * drop : 2 * (drop + keep)].decode("utf-16-le")
        text["text"] = kept + text["text"]
    return {**document, **fresh}


async def until(feeds: Feeds, folder: Path, reached: Callable[[dict[str, Any]], bool]) -> list[bytes]:
    got: list[bytes] = []
    document: dict[str, Any] = {}
    async with aclosing(feeds.follow(folder, lambda: True)) as messages:
        async for message in messages:
            got.append(message)
            document = taken_in(document, news(message))
            if reached(document):
                break
    return [*got, json.dumps(document).encode()]


def composed(log: Path) -> Any:
    view = view_of(read_events(log))
    return as_data(compose(view, view.last_ts))


def test_a_document_comes_whole_and_then_in_the_sections_that_change(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "r", "r")
    events = whole()

    async def write() -> None:
        for event in events:
            log.emit(event)
            await asyncio.sleep(0.02)

    async def everything() -> list[list[bytes]]:
        feeds = Feeds()
        reached = lambda document: document["state"] == "review"  # noqa: E731
        listeners = [until(feeds, tmp_path / "r", reached) for _ in range(3)]
        *got, _ = await asyncio.wait_for(asyncio.gather(*listeners, write()), 20)
        assert not feeds._feeds
        assert not feeds._listeners
        return got

    for *messages, last in finished(everything()):
        first, *later = map(news, messages)
        assert set(first) == set(SECTIONS)
        assert later
        assert all(set(one) < set(SECTIONS) for one in later)
        assert json.loads(last) == composed(tmp_path / "r" / PROGRESS)


def test_of_a_text_that_grows_only_what_is_new_is_sent(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "r", "r")
    log.emit(StateChanged(state=RunState.RUNNING))
    log.emit(NodeStarted(node=Node.CODER))
    lines = [f"{n} 👩 words of a reply that streams\n" for n in range(1500)]

    async def write() -> None:
        for line in lines:
            log.emit(NodeText(node=Node.CODER, text=line))
            await asyncio.sleep(0.001)
        log.emit(StateChanged(state=RunState.FAILED))

    async def everything() -> list[bytes]:
        reached = lambda document: document["state"] == "failed"  # noqa: E731
        got, _ = await asyncio.wait_for(asyncio.gather(until(Feeds(), tmp_path / "r", reached), write()), 30)
        return got

    *messages, last = finished(everything())
    assert json.loads(last)["texts"] == composed(tmp_path / "r" / PROGRESS)["texts"]
    sent = sum(len(text["text"]) for message in messages for text in news(message).get("texts", []))
    assert sent < 2 * len("".join(lines))


def test_the_clock_of_a_run_goes_on_until_its_process_has_ended(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "QUIET", 0.3)
    log = EventLog(tmp_path / "r", "r")
    log.emit(StateChanged(state=RunState.RUNNING))
    alive = True

    async def watch() -> list[dict[str, Any]]:
        nonlocal alive
        got: list[dict[str, Any]] = []
        async with aclosing(Feeds().follow(tmp_path / "r", lambda: alive)) as messages:
            async for message in messages:
                got.append(news(message))
                alive = len(got) < 3
                if got[-1].get("notices"):
                    return got
        return got

    first, *later = finished(asyncio.wait_for(watch(), 20))
    assert not first["notices"]
    assert all(set(one) <= {"bar", "notices"} for one in later)
    assert later[-1]["notices"][0]["text"]["id"] == "process_ended"


def test_a_deleted_run_ends_its_stream(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "r", "r")
    log.emit(StateChanged(state=RunState.REJECTED))
    log.close()

    async def watch() -> list[bytes]:
        got = []
        async for message in Feeds().follow(tmp_path / "r", lambda: True):
            got.append(message)
            shutil.rmtree(tmp_path / "r", ignore_errors=True)
        return got

    assert finished(asyncio.wait_for(watch(), 20))[1:] == [b"event: deleted\ndata: {}\n\n"]
