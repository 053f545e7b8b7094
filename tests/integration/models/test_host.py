import os
import signal
import threading
import time
from pathlib import Path

import pytest
from synthetic_gguf import tiny

from loom_jupyter.errors import Cancelled
from loom_jupyter.models import probe
from loom_jupyter.models.host import Host
from loom_jupyter.models.protocol import ModelError

pytest.importorskip("llama_cpp")


def test_the_model_stays_loaded_between_runs(tiny_gguf: Path, tmp_path: Path) -> None:
    host, phases = Host(), []
    with host.acquire(tiny_gguf, lambda phase, _: phases.append(phase), log=tmp_path / "log") as first:
        assert first.count("ab") == 2
    assert "load" in phases
    phases.clear()
    with host.acquire(tiny_gguf, lambda phase, _: phases.append(phase), log=tmp_path / "log2") as second:
        assert second is first
    assert phases == []
    host.close()


def test_another_model_takes_its_place(tiny_gguf: Path, tmp_path: Path) -> None:
    host, other = Host(), tiny(tmp_path / "other.gguf", context=512)
    with host.acquire(tiny_gguf, log=tmp_path / "log"):
        assert host.model is not None
        old = host.model
    with host.acquire(other, log=tmp_path / "log") as model:
        assert model.info.n_ctx == 512
    assert old.pid is None
    host.unload()
    assert host.model is None


def test_one_run_at_a_time(tiny_gguf: Path, tmp_path: Path) -> None:
    host, order = Host(), []
    inside, go = threading.Event(), threading.Event()

    def first() -> None:
        with host.acquire(tiny_gguf, log=tmp_path / "log"):
            inside.set()
            go.wait(10)
            order.append("first")

    def second() -> None:
        with host.acquire(tiny_gguf, log=tmp_path / "log"):
            order.append("second")

    one = threading.Thread(target=first)
    one.start()
    inside.wait(20)
    two = threading.Thread(target=second)
    two.start()
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled), host.acquire(tiny_gguf, cancel=cancel):
        pass
    go.set()
    one.join()
    two.join()
    assert order == ["first", "second"]
    host.close()


def test_an_idle_model_is_unloaded_and_a_busy_one_is_not(tiny_gguf: Path, tmp_path: Path) -> None:
    host = Host()
    host.idle = 0.3
    with host.acquire(tiny_gguf, log=tmp_path / "log") as model:
        time.sleep(0.6)
        assert model.count("ab") == 2
    with host.acquire(tiny_gguf, log=tmp_path / "log") as again:
        assert again is model
    deadline = time.monotonic() + 5
    while host.model is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert host.model is None
    with host.acquire(tiny_gguf, log=tmp_path / "log") as fresh:
        assert fresh.count("ab") == 2
    host.close()


def test_a_dead_worker_is_replaced(tiny_gguf: Path, tmp_path: Path) -> None:
    host = Host()
    with host.acquire(tiny_gguf, log=tmp_path / "log"):
        assert host.model is not None
        assert host.model.pid is not None
        os.kill(host.model.pid, signal.SIGKILL)
    with host.acquire(tiny_gguf, log=tmp_path / "log") as model:
        assert model.count("a") == 1
    host.close()


def test_a_model_that_is_not_there_leaves_the_host_free(tiny_gguf: Path, tmp_path: Path) -> None:
    host = Host()
    with pytest.raises(ModelError), host.acquire(tmp_path / "none.gguf"):
        pass
    with host.acquire(tiny_gguf, log=tmp_path / "log") as model:
        assert model.info.name == "tiny"
    host.close()


def test_the_user_sees_something_before_the_build_is_tried(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, seen = Host(), list[str]()
    monkeypatch.setattr(probe, "ensure", lambda cancel: seen.append("probe"))
    with host.acquire(tiny_gguf, lambda phase, _: seen.append(phase), log=tmp_path / "log"):
        pass
    assert seen.index("plan") < seen.index("probe") < seen.index("load")
    host.close()
