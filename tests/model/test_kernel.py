"""`%%loom` in a real kernel with a real model: the whole way, Stop, and a killed model process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
from jupyter_client.manager import KernelManager

from loom_jupyter.events import schema

TASK = "parcel_price(weight=2.0) charges the 2-5 kg tariff; up to and including 2 kg should cost the small one"


class Kernel:
    """A real kernel, and what its cells print."""

    def __init__(self, folder: Path) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self._manager.start_kernel(cwd=str(folder))
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def run(self, code: str, timeout: float = 300) -> str:
        """Run a cell; return what it printed, or raise with its error."""
        printed: list[str] = []

        def hear(message: dict) -> None:  # type: ignore[type-arg]
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        reply = self._client.execute_interactive(code, timeout=timeout, output_hook=hear)
        if reply["content"]["status"] != "ok":
            raise AssertionError("\n".join(reply["content"]["traceback"]))
        return "".join(printed).strip()

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(sample: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setenv("LOOM_MODEL", str(small_model))
    started = Kernel(sample)
    yield started
    started.close()


def test_the_whole_way(kernel: Kernel, sample: Path) -> None:
    before = (sample / "parcels/tariff.py").read_bytes()
    kernel.run("%load_ext loom_jupyter\nmine = [1, 2, 3]")
    kernel.run(f'%%loom --check "{sys.executable} -m pytest -q" --budget 20 job\n{TASK}')
    kernel.run("assert job.wait(280)")
    told = json.loads(
        kernel.run("import json; print(json.dumps([job.state.value, job.error, str(job.folder), len(mine)]))")
    )
    assert told[0] == "review", told[1]
    assert told[3] == 3
    events = [json.loads(line) for line in (Path(told[2]) / "progress.jsonl").read_text("utf-8").splitlines()]
    for event in events:
        jsonschema.validate(event, schema())
    nodes = [event["node"] for event in events if event["type"] == "node_finished"]
    assert nodes == ["architect", "explorer", "coder"]
    assert any(event["type"] == "candidate" for event in events)
    assert any(event["type"] == "usage" and event["reused_tokens"] > 0 for event in events)
    assert kernel.run("ledger = %loom ledger\nprint(ledger['path'].iloc[0])") == "parcels/tariff.py"
    assert (sample / "parcels/tariff.py").read_bytes() == before
    kernel.run("%loom accept")
    assert (sample / "parcels").is_dir()
    kernel.run("%loom undo")
    assert (sample / "parcels/tariff.py").read_bytes() == before


WAIT_FOR_THE_ARCHITECT = """
import time
while not any(e.type == "node_text" for e in job.events()) and job.state.at_work:
    time.sleep(0.01)
"""


def test_the_kernel_survives_its_models_process(kernel: Kernel) -> None:
    kernel.run("%load_ext loom_jupyter\nmine = {'a': 1}")
    kernel.run(f"%%loom --budget 5 job\n{TASK}")
    kernel.run(WAIT_FOR_THE_ARCHITECT)
    pid = int(kernel.run("from loom_jupyter.models import host\nprint(host.loaded().pid)"))
    os.kill(pid, 9)
    kernel.run("assert job.wait(200)")
    told = json.loads(kernel.run("import json; print(json.dumps([job.state.value, job.error, mine]))"))
    assert told[0] == "review", told[1]
    assert told[2] == {"a": 1}
    assert "SIGKILL" in kernel.run("print([e.note for e in job.events() if e.type == 'repaired'])")
    started = kernel.run("print([e.node.value for e in job.events() if e.type == 'node_started'])")
    assert started.count("architect") == 2


def test_stop_leaves_the_model_loaded(kernel: Kernel) -> None:
    kernel.run("%load_ext loom_jupyter")
    kernel.run(f"%%loom job\n{TASK}")
    kernel.run(WAIT_FOR_THE_ARCHITECT)
    seconds = float(
        kernel.run("s = time.monotonic(); job.stop(); assert job.wait(20); print(time.monotonic() - s)")
    )
    assert kernel.run("print(job.state.value)") == "stopped"
    assert seconds < 2
    kernel.run("from loom_jupyter.models import host\nassert host.loaded().pid is not None")
