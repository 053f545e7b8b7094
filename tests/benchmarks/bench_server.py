"""Latency and memory of the server's event streams: 1,000 events a second to 20 listeners.

    python -m tests.benchmarks.bench_server [SECONDS] [follow]

Starts a real Jupyter server in a process of its own; the listeners are 20 HTTP connections in this one.
With `follow` they get the run's document instead of its events.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from loom_jupyter.events import NodeText, RunState, StateChanged
from loom_jupyter.pipeline.contracts import Node

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

LISTENERS, RATE = 20, 1_000


async def listen(url: str, received: Callable[[float, bytes], bool]) -> None:
    """Follow a run until `received` says of a line that it was the last."""
    client = AsyncHTTPClient(force_instance=True)
    done = asyncio.Event()
    rest = b""

    def take(chunk: bytes) -> None:
        nonlocal rest
        now = time.time()
        *lines, rest = (rest + chunk).split(b"\n")
        if any([received(now, line) for line in lines if line.startswith(b"data: {")]):
            done.set()

    request = HTTPRequest(url, streaming_callback=take, request_timeout=600, headers={"Authorization": "token t"})
    following = asyncio.ensure_future(client.fetch(request, raise_error=False))
    await done.wait()
    following.add_done_callback(lambda ended: ended.exception())  # the server ends first


async def measure(seconds: int, route: str) -> None:
    """Run the benchmark for a route, ``events`` or ``follow`` (documents), and print its figures."""
    from server_fixtures import Server  # type: ignore[import-not-found]

    server = Server(Path(tempfile.mkdtemp()))
    run_id, log = server.store(StateChanged(state=RunState.RUNNING))
    process, memory, latencies, sent = psutil.Process(server.process.pid), [], [], []
    total = seconds * RATE

    def write() -> None:
        begun = time.monotonic()
        for number in range(total):
            log.emit(NodeText(node=Node.CODER, text="def tariff(weight): "))
            time.sleep(max(0.0, begun + (number + 1) / RATE - time.monotonic()))
            if number % RATE == 0:
                memory.append(process.memory_info().rss)

        log.emit(StateChanged(state=RunState.REVIEW))

    def received(now: float, line: bytes) -> bool:
        sent.append(len(line))
        if route == "follow":
            return b'"state":"review"' in line
        event = json.loads(line[6:])
        latencies.append(now - event["ts"])
        return bool(event["seq"] > total + 2)

    url = f"http://127.0.0.1:{server.port}/loom/api/runs/{run_id}/{route}"
    listeners = [asyncio.ensure_future(listen(url, received)) for _ in range(LISTENERS)]
    await asyncio.sleep(1)
    spent = sum(process.cpu_times()[:2])
    writer = threading.Thread(target=write)
    writer.start()
    await asyncio.gather(*listeners)
    spent = sum(process.cpu_times()[:2]) - spent
    server.close()
    latencies.sort()
    quarter = len(memory) // 4
    print(f"{RATE} events/s to {LISTENERS} listeners for {seconds} s: {len(sent):,} messages delivered,")
    print(f"{sum(sent) / LISTENERS / seconds / 1024:.1f} KiB/s to each")
    if latencies:
        middle, most = latencies[len(latencies) // 2] * 1e3, latencies[int(len(latencies) * 0.95)] * 1e3
        print(f"latency p50 {middle:.0f} ms, p95 {most:.0f} ms")
    first, last = memory[quarter] / 2**20, memory[-1] / 2**20
    print(f"server memory {first:.1f} MiB after a quarter, {last:.1f} MiB at the end")
    print(f"server CPU {spent / seconds:.2f} cores")


if __name__ == "__main__":
    asyncio.run(
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 30, "follow" if "follow" in sys.argv else "events")
    )
