"""What happens when memory, or the device, goes while a model is being loaded."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.models import llamacpp
from loom_jupyter.models.allocation import Sizes
from loom_jupyter.models.device import Device
from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.models.memory import MemoryPlan
from loom_jupyter.models.protocol import ModelError

pytest.importorskip("llama_cpp")
GIB = 1 << 30


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[MemoryPlan]]:
    """Make the first loads fail as llama.cpp's do; return the plans they had."""

    def put(times: int, change: Callable[[MemoryPlan, int], MemoryPlan] = lambda p, _: p) -> list[MemoryPlan]:
        tried: list[MemoryPlan] = []
        real, planned = llamacpp._loaded, llamacpp.plan_with

        def load(child: Any, plan: MemoryPlan, *rest: Any) -> Any:
            tried.append(plan)
            if len(tried) <= times:
                raise llamacpp._LoadError("llama.cpp could not load the model (no memory).", plan)
            return real(child, plan, *rest)

        monkeypatch.setattr(llamacpp, "_loaded", load)
        monkeypatch.setattr(llamacpp, "plan_with", lambda *a, **o: change(planned(*a, **o), len(tried)))
        return tried

    return put


def test_it_is_tried_again_with_a_fresh_plan(tiny_gguf: Path, tmp_path: Path, trouble: Any) -> None:
    tried = trouble(1)
    model = LlamaCpp(tiny_gguf, log=tmp_path / "log")
    assert model.count("ab") == 2
    assert len(tried) == 2
    assert tried[0] is not tried[1]
    model.close()


def test_after_two_tries_it_is_said(tiny_gguf: Path, tmp_path: Path, trouble: Any) -> None:
    free = (8 * GIB, 2 * GIB)
    trouble(2, lambda plan, n: replace(plan, available=free[n]))
    with pytest.raises(ModelError, match=r"two tries, with 8.0 and 2.0 GiB free on CPU: close what else"):
        LlamaCpp(tiny_gguf, log=tmp_path / "log")


def test_a_fresh_plan_that_does_not_fit_is_not_tried(tiny_gguf: Path, tmp_path: Path, trouble: Any) -> None:
    tried = trouble(1, lambda plan, n: replace(plan, fits=n == 0, advice="Take a smaller one."))
    with pytest.raises(ModelError, match=r"Others took memory .* Take a smaller one"):
        LlamaCpp(tiny_gguf, log=tmp_path / "log")
    assert len(tried) == 1


def test_a_device_that_vanished_is_not_replaced_in_silence(tiny_gguf: Path, tmp_path: Path, trouble: Any) -> None:
    trouble(1, lambda plan, n: plan if n else replace(plan, device="RTX 4070"))
    with pytest.raises(ModelError, match=r"RTX 4070 vanished .*device = \"CPU\""):
        LlamaCpp(tiny_gguf, log=tmp_path / "log")


def test_a_worker_killed_while_it_loads_is_started_again(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victims, real = [], llamacpp._loaded

    def load(child: Any, *rest: Any) -> Any:
        if not victims:
            victims.append(child.pid)
            os.kill(child.pid, signal.SIGKILL)
        return real(child, *rest)

    monkeypatch.setattr(llamacpp, "_loaded", load)
    model = LlamaCpp(tiny_gguf, log=tmp_path / "log")
    assert model.pid not in victims
    model.close()


def test_a_file_that_is_cut_while_it_is_loaded_is_said_to_be(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(shutil.copy(tiny_gguf, tmp_path / "model.gguf"))
    real = llamacpp._loaded

    def load(*arguments: Any) -> Any:
        os.truncate(file, file.stat().st_size // 2)
        return real(*arguments)

    monkeypatch.setattr(llamacpp, "_loaded", load)
    with pytest.raises(ModelError, match=r"model\.gguf changed or was cut .*fetch it again") as caught:
        LlamaCpp(file, log=tmp_path / "log")
    assert "smaller" not in str(caught.value)
    assert "build" not in str(caught.value)


def test_a_loaded_model_needs_its_file_no_more(tiny_gguf: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(tiny_gguf, tmp_path / "model.gguf"))
    model = LlamaCpp(file, log=tmp_path / "log")
    os.truncate(file, 0)
    reply = model.chat([{"role": "user", "content": "a" * 500}], max_tokens=3)
    assert reply.usage.completion_tokens > 0
    model.close()


# What is advised


def measure(n_ctx: int, kv: str) -> Sizes:
    return Sizes(4 * GIB, n_ctx * (1 << 18) // (1 if kv == "f16" else 2), 0, 0, 0)


def advised(free: int, window: int, *, narrows: bool = True) -> str:
    from loom_jupyter.models.memory import advice

    return advice("Big", Device("CPU", free, 16 * GIB), measure, window, 0, narrows=narrows)


def test_choices_have_their_figures() -> None:
    said = advised(5 * GIB, 8192)
    assert "needs 6.0 GiB with a window of 8,192 tokens" in said
    assert "close programs that hold 1.0 GiB" in said
    assert 'kv="q8_0": 5.0 GiB' in said
    assert "smaller window (2,048 tokens: 4.5 GiB)" in said
    assert "smaller quantization (weights of at most 3.0 GiB)" in said
    assert "take qwen2.5-coder-1.5b (1.0 GiB)" in said


def test_what_would_not_help_is_not_advised() -> None:
    said = advised(1 * GIB, 2048, narrows=False)
    assert "q8_0" not in said
    assert "smaller window" not in said
    assert "take qwen2.5-coder-0.5b" in said
