import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from loom_jupyter.models import device
from loom_jupyter.models.device import free_threads, usable_cores


def test_there_is_always_one_core() -> None:
    assert usable_cores() >= 1


def test_a_container_s_quota_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_quota", lambda: 1)
    assert usable_cores() == 1


@pytest.mark.parametrize(("running", "expected"), [(1, 8), (4, 5), (9, 1), (30, 1), (0, 8)])
def test_threads_give_way_to_busy_neighbours(
    running: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = tmp_path / "loadavg"
    queue.write_text(f"0.10 0.20 0.30 {running}/400 1234\n")
    monkeypatch.setattr(device, "RUN_QUEUE", queue)
    monkeypatch.setattr(device.psutil, "cpu_count", lambda: 8)
    monkeypatch.setattr(device, "usable_cores", lambda: 8)
    assert free_threads() == expected


def test_without_a_run_queue_the_load_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "RUN_QUEUE", tmp_path / "none")
    monkeypatch.setattr(device.psutil, "cpu_percent", lambda interval: 50.0)
    monkeypatch.setattr(device.psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(device, "usable_cores", lambda: 4)
    assert free_threads() == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads the run queue of Linux")
def test_a_real_neighbour_is_seen() -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(psutil.cpu_count() or 1)]
    try:
        assert min(free_threads() for _ in range(10)) == 1
    finally:
        for child in busy:
            child.kill()
            child.wait()
