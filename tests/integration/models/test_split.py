"""Several GPUs, simulated: this needs no device, and proves nothing about a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from architectures import make
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.models import allocation, gguf
from loom_jupyter.models.allocation import Shape
from loom_jupyter.models.device import GPU_RESERVE, find
from loom_jupyter.models.gguf import Header
from loom_jupyter.models.memory import MemoryPlan, by_memory, by_room, plan_with

GIB = 1 << 30


def gpu(n: int, free: float) -> dict[str, Any]:
    size = int(free * GIB)
    return {"id": f"CUDA{n}", "name": f"GPU {n}", "free": size, "total": size + GIB, "unified": False}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Header:
    return gguf.read(make("llama 3 8B", tmp_path_factory.mktemp("gguf")))


class Machine:
    """Stands in for the worker: several GPUs, and llama.cpp's way of putting layers on them.

    With `exact` it answers dry runs too, from the closed form; computation is a tenth more than expected.
    """

    def __init__(self, header: Header, *free: float, exact: bool = False) -> None:
        self.gpus = [gpu(n, size) for n, size in enumerate(free)]
        self._header, self._exact = header, exact
        self.splits: list[list[int]] = []

    def get(self, request: dict[str, Any], _cancel: Any = None) -> Any:
        if request["op"] == "devices":
            return self.gpus
        if request["op"] == "dry":
            self.splits.append(request["placement"]["tensor_split"])
            self._placement = request["placement"]
            return {"n_vocab": 128_256} if self._exact else None
        return self._rows(request["params"]["n_ctx"], request["kv"])

    def _rows(self, n_ctx: int, kv: str) -> list[dict[str, Any]]:
        weights = allocation.layer_weights(self._header)
        cache = [*allocation.layer_kv(self._header, Shape(n_ctx, kv, 17)), 0]
        if self._placement["split_mode"] == 0:
            counts = [0] * len(self.gpus)
            counts[self._placement["main_gpu"]] = len(weights)
        else:
            free = self._placement["tensor_split"] or [g["free"] for g in self.gpus]
            counts = list(by_memory(free, len(weights)))
        rows, begin = [{"device": "CPU", "weights": 99 << 20, "kv": 0, "compute": 1 << 20}], 0
        for found, count in zip(self.gpus, counts, strict=True):
            part = slice(begin, begin + count)
            compute = 300 << 20 if count else 0
            size = {"weights": sum(weights[part]), "kv": sum(cache[part]), "compute": compute}
            rows.append({"device": found["id"], **size})
            begin += count
        return rows


def plan(machine: Machine, **options: Any) -> MemoryPlan:
    return plan_with(machine, machine._header, **options)  # type: ignore[arg-type]


@given(free=st.lists(st.integers(1, 10**11), min_size=1, max_size=6), count=st.integers(1, 200))
def test_each_layer_has_its_place(free: list[int], count: int) -> None:
    counts = by_memory(free, count)
    assert len(counts) == len(free)
    assert sum(counts) == count
    assert all(n >= 0 for n in counts)


def test_llama_cpp_goes_by_free_memory() -> None:
    assert by_memory([8, 8], 32) == (16, 16)
    assert by_memory([24, 8], 33) == (25, 8)
    assert by_memory([1, 0], 10) == (10, 0)


@given(counts=st.lists(st.integers(0, 40), min_size=2, max_size=5).filter(lambda c: sum(c) > 0))
def test_a_split_by_counts_is_read_back_as_these_counts(counts: list[int]) -> None:
    assert by_memory(counts, sum(counts)) == tuple(counts)


@given(
    room=st.lists(st.integers(0, 1000), min_size=1, max_size=4),
    layers=st.lists(st.integers(1, 200), min_size=1, max_size=30),
    compute=st.integers(0, 100),
)
def test_what_is_placed_by_room_fits(room: list[int], layers: list[int], compute: int) -> None:
    counts = by_room(room, layers, compute)
    if counts is None:
        assert sum(layers) > sum(max(0, r - compute - max(layers) + 1) for r in room)
        return
    assert sum(counts) == len(layers)
    begin = 0
    for size, count in zip(room, counts, strict=True):
        part = layers[begin : begin + count]
        assert not part or sum(part) + compute <= size
        begin += count


@pytest.mark.parametrize("exact", [True, False])
def test_two_gpus_hold_what_neither_could(llama: Header, exact: bool) -> None:
    one = plan(Machine(llama, 6, exact=exact))
    two = plan(Machine(llama, 6, 6, exact=exact))
    assert one.fits
    assert two.fits
    assert two.n_ctx > 2 * one.n_ctx
    assert two.measured is exact
    shares = two.load_params["tensor_split"]
    assert sum(shares) == llama.layers + 1
    for _, size, free, total in two.spread:
        assert size <= free - GPU_RESERVE
        assert total > free


def test_a_window_more_would_not_fit_on_some_gpu(llama: Header) -> None:
    found = plan(Machine(llama, 5, 7, exact=True))
    assert found.fits
    assert not plan(Machine(llama, 5, 7, exact=True), n_ctx=found.n_ctx + 256, kv="f16").fits


def test_uneven_gpus_are_filled_though_the_plain_split_would_not_fit(llama: Header) -> None:
    """By free memory the small GPU gets layers that its computation leaves no room for."""
    found = plan(Machine(llama, 1.2, 7, exact=True))
    assert found.fits
    counts = found.load_params["tensor_split"]
    assert counts[0] < by_memory([12, 70], llama.layers + 1)[0]


def test_one_gpu_alone_where_it_holds_the_whole_window(llama: Header) -> None:
    found = plan(Machine(llama, 10, 80, exact=True))
    assert found.n_ctx == llama.context_length
    assert found.device == "GPU 1"
    assert (found.load_params["split_mode"], found.load_params["main_gpu"]) == (0, 1)
    assert "tensor_split" not in found.load_params


def test_a_named_gpu_gets_all_of_it(llama: Header) -> None:
    found = plan(Machine(llama, 10, 80, exact=True), device="CUDA0")
    assert found.device == "GPU 0"
    assert found.load_params["main_gpu"] == 0
    assert found.n_ctx < llama.context_length


def test_too_little_on_all_is_said_with_figures(llama: Header) -> None:
    found = plan(Machine(llama, 2, 1.5, exact=True))
    assert not found.fits
    assert "GPU 0 + GPU 1" in found.advice
    assert "smaller quantization" in found.advice


def test_shared_memory_counts_what_stays_with_the_cpu(
    llama: Header, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("loom_jupyter.models.device._ram", lambda: (100 * GIB, 128 * GIB))
    own = Machine(llama, 40, exact=True)
    shared = Machine(llama, 40, exact=True)
    shared.gpus[0]["unified"] = True
    assert find(shared.gpus).unified
    difference = plan(shared, n_ctx=8192).weights - plan(own, n_ctx=8192).weights
    assert difference == 99 << 20
