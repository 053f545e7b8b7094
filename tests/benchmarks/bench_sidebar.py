"""Time from an event's being written to its standing on the screen of the sidebar.

    python -m tests.benchmarks.bench_sidebar [EVENTS]

A real JupyterLab in a real Chromium; the sidebar must be built (`make sidebar`).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

from lab import Lab
from playwright.sync_api import sync_playwright

from loom_jupyter.events import Noticed, RunState, Started, StateChanged
from loom_jupyter.runs.log import EventLog
from loom_jupyter.runs.request import Request, new_run_id

PACE = 0.08
WATCH = """() => {
  window.seen = {};
  new MutationObserver(() => {
    const text = [...document.querySelectorAll('.jp-Loom-notice')].at(-1)?.textContent ?? '';
    requestAnimationFrame(() => { window.seen[text] ??= Date.now() / 1000; });
  }).observe(document.querySelector('.jp-Loom'), { subtree: true, childList: true, characterData: true });
}"""


def measure(page: Any, log: EventLog, events: int) -> list[float]:
    """Write events at an even pace and return how long each took to be seen."""
    written = {}
    for number in range(events):
        written[f"event {number}"] = log.emit(Noticed(text=f"event {number}")).ts
        time.sleep(PACE)
    page.wait_for_timeout(1000)
    seen = page.evaluate("window.seen")
    # Two events of one look at the file are drawn at once: the earlier is seen when the later one is.
    times, late = [], None
    for text in reversed(written):
        late = seen.get(text, late)
        if late is not None:
            times.append(late - written[text])
    return sorted(times)


def main(events: int) -> None:
    """Run the benchmark and print its figures."""
    base = Path(tempfile.mkdtemp())
    lab = Lab(base, "Light")
    run_id = new_run_id()
    folder = lab.data / "loom" / "bench" / "runs" / run_id
    folder.mkdir(parents=True)
    request = Request(id=run_id, task="latency", root=str(lab.work), created=time.time())
    (folder / "run.json").write_text(request.model_dump_json())
    log = EventLog(folder, run_id)
    log.emit(Started(task="latency", root=request.root, model="none", budget=1))
    log.emit(StateChanged(state=RunState.RUNNING))
    with sync_playwright() as driver:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{lab.port}/lab?reset&token=t")
        page.wait_for_function("window.jupyterapp?.commands?.hasCommand('loom:focus')", timeout=60_000)
        page.evaluate("window.jupyterapp.commands.execute('loom:focus')")
        page.locator(".jp-Loom-asked", has_text="latency").wait_for()
        page.wait_for_timeout(1000)
        page.evaluate(WATCH)
        times = measure(page, log, events)
        browser.close()
    lab.close()
    middle, most = times[len(times) // 2] * 1e3, times[int(len(times) * 0.95)] * 1e3
    print(f"{len(times)} events: written to seen p50 {middle:.0f} ms, p95 {most:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
