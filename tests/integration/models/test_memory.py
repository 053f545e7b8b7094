"""The plan against llama.cpp: its dry run, its real allocations, and the closed form, over many architectures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from architectures import MODELS, make
from hypothesis import given
from hypothesis import strategies as st
from synthetic_gguf import tiny

from loom_jupyter.models import allocation, gguf, memory, plan_memory
from loom_jupyter.models.allocation import Measure, Sizes, closed_form
from loom_jupyter.models.device import Device
from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.models.memory import choose
from loom_jupyter.models.process import Child
from loom_jupyter.models.protocol import ModelError

pytest.importorskip("llama_cpp")

KIB = 1024


def linear(weights: int, a_token: int) -> Measure:
    """Sizes of an imaginary model; q8_0 takes a bit more than half of f16."""

    def measure(n_ctx: int, kv: str) -> Sizes:
        return Sizes(weights, n_ctx * a_token * (34 if kv == "q8_0" else 64) // 64, 0, 0, 0)

    return measure


def within(room: int) -> Callable[[Sizes], bool]:
    return lambda sizes: sizes.total <= room


@given(room=st.integers(0, 10**9), weights=st.integers(0, 10**8), a_token=st.integers(1, 10**5))
def test_the_window_is_the_largest_that_fits(room: int, weights: int, a_token: int) -> None:
    measure = linear(weights, a_token)
    window, kv = choose(measure, within(room), 32_768, fixed=False, kv="f16")
    assert kv == "f16"
    assert window % 256 == 0
    assert 2048 <= window <= 32_768
    if window > 2048:
        assert measure(window, kv).total <= room
    if window < 32_768:
        assert measure(window + 256, kv).total > room


def test_the_cache_is_quantized_only_to_reach_a_useful_window() -> None:
    measure = linear(0, KIB)
    assert choose(measure, within(16_000 * KIB), 32_768, fixed=False, kv="auto") == (15_872, "f16")
    window, kv = choose(measure, within(6000 * KIB), 32_768, fixed=False, kv="auto")
    assert kv == "q8_0"
    assert window > 8192


def test_a_small_trained_window_is_not_exceeded() -> None:
    assert choose(linear(0, 1), within(10**9), 512, fixed=False, kv="auto") == (512, "f16")


def test_a_given_window_is_kept() -> None:
    assert choose(linear(0, KIB), within(100 * KIB), 4096, fixed=True, kv="f16") == (4096, "f16")
    assert choose(linear(0, KIB), within(3000 * KIB), 4096, fixed=True, kv="auto") == (4096, "q8_0")


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    child = Child(tmp_path_factory.mktemp("plan") / "log")
    yield child
    child.close()


@pytest.mark.parametrize("name", MODELS)
def test_the_closed_form_gives_the_cache_of_the_dry_run(name: str, worker: Child, tmp_path: Path) -> None:
    header = gguf.read(make(name, tmp_path))
    for n_ctx, kv in ((2048, "f16"), (8192, "q8_0"), (header.context_length, "f16")):
        if header.architecture == "mamba" and kv != "f16":
            continue
        found = memory.plan_with(worker, header, n_ctx=n_ctx, kv=kv)
        assert found.measured
        assert found.doubt == ""
        assert found.kv == allocation.kv_bytes(header, allocation.Shape(found.n_ctx, kv))
        guess = closed_form(header, 1)(found.n_ctx, kv)
        assert guess.weights == pytest.approx(found.weights, rel=0.1)
        if header.architecture != "mamba":  # has no attention, whose mask the bound counts
            assert 0.95 * found.compute < guess.compute < 2.6 * found.compute


@pytest.mark.parametrize("name", ["qwen2 0.5B", "gemma 3 1B", "mamba 130M", "granite 4 hybrid", "starcoder2 3B"])
def test_what_is_planned_is_what_is_allocated(name: str, tmp_path: Path) -> None:
    model = LlamaCpp(make(name, tmp_path), 4096, log=tmp_path / "log")
    real = {key: sum(row[key] for row in model.memory) for key in ("kv", "compute")}
    model.close()
    assert model.plan.measured
    assert real == {"kv": model.plan.kv, "compute": model.plan.compute}
    mebibytes = f"output buffer size = {model.plan.output / KIB**2:8.2f} MiB"
    assert mebibytes in (tmp_path / "log").read_text()


def test_the_plan_is_what_gets_loaded(tiny_gguf: Path) -> None:
    found = plan_memory(tiny_gguf, n_ctx=1024)
    assert (found.n_ctx, found.device, found.fits, found.layers) == (1024, "CPU", True, 2)
    assert found.total == found.weights + found.kv + found.compute + found.output + found.overhead
    assert found.load_params["n_ctx"] == 1024


def test_no_room_is_said_with_choices(tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "find", lambda *_: Device("CPU", 50 << 20, 1 << 30))
    found = plan_memory(tiny_gguf)
    assert not found.fits
    assert "smaller model" in found.advice
    with pytest.raises(ModelError, match="smaller model"):
        LlamaCpp(tiny_gguf, log=tmp_path / "log")


def test_what_cannot_be_planned(tiny_gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no KV cache type"):
        plan_memory(tiny_gguf, kv="q3")
    with pytest.raises(ModelError, match="CPU only"):
        plan_memory(tiny_gguf, device="Voodoo 2")
    with pytest.raises(ModelError, match="could not load"):
        plan_memory(tiny(tmp_path / "m.gguf", **{"general.architecture": "nonesuch"}))


def test_without_a_dry_run_the_closed_form_serves(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Child.get

    def get(self: Child, request: dict[str, Any], *rest: Any) -> Any:
        return None if request["op"] == "dry" else real(self, request, *rest)

    exact = plan_memory(tiny_gguf)
    monkeypatch.setattr(Child, "get", get)
    found = plan_memory(tiny_gguf)
    assert not found.measured
    assert found.kv == exact.kv
    assert found.n_ctx == exact.n_ctx
