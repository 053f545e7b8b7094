import subprocess
import sys
import time

import pytest

from loom_jupyter.models import threads
from loom_jupyter.models.threads import Threads, usable_cores


def test_there_is_always_one_core() -> None:
    assert usable_cores() >= 1


def test_a_container_s_quota_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_quota", lambda: 1)
    assert usable_cores() == 1


def test_threads_give_way_to_busy_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    chooser = Threads()
    chooser._cores = 8
    monkeypatch.setattr(threads.psutil, "cpu_count", lambda: 8)
    used = chooser._others()
    for busy, expected in ((0.0, 8), (3.0, 5), (8.0, 1), (20.0, 1)):
        chooser._at, chooser._busy = time.monotonic() - 1.0, used
        monkeypatch.setattr(chooser, "_others", lambda busy=busy: used + busy)
        assert chooser.choose() == expected


def test_our_own_work_does_not_count() -> None:
    chooser = Threads()
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        before, began = chooser._others(), time.process_time()
        while time.process_time() - began < 0.5:
            pass
        assert chooser._others() - before > 0.1  # the neighbour's
    finally:
        child.kill()
        child.wait()
