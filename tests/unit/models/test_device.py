"""Devices that this machine need not have: lists as llama.cpp would give them."""

from __future__ import annotations

import importlib.util
import shutil
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.models import device
from loom_jupyter.models.device import GPU_RESERVE, find, shares_memory
from loom_jupyter.models.protocol import ModelError

GIB = 1 << 30


def gpu(
    identifier: str, free: int, total: int, *, name: str = "RTX 4070", unified: bool = False
) -> dict[str, Any]:
    return {"id": identifier, "name": name, "free": free * GIB, "total": total * GIB, "unified": unified}


TWO = [gpu("CUDA0", 10, 12), gpu("CUDA1", 22, 24, name="RTX 3090")]


def test_all_gpus_are_taken_unless_one_is_named() -> None:
    both = find(TWO)
    assert (both.name, both.free, both.total, both.only) == ("RTX 4070 + RTX 3090", 32 * GIB, 36 * GIB, False)
    assert both.reserve == GPU_RESERVE
    for wanted in ("CUDA1", "RTX 3090"):
        one = find(TWO, wanted)
        assert (one.free, one.only, one.gpus[0].index) == (22 * GIB, True, 1)


def test_twins_of_one_name_are_told_apart() -> None:
    twins = [gpu("CUDA0", 10, 12), gpu("CUDA1", 11, 12)]
    assert len(find(twins, "RTX 4070").gpus) == 2
    assert find(twins, "CUDA1").gpus[0].free == 11 * GIB


def test_the_cpu_may_be_asked_for() -> None:
    cpu = find(TWO, "CPU")
    assert (cpu.name, cpu.gpu) == ("CPU", False)
    assert 0 < cpu.free < cpu.total


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(ModelError, match=r"no device 'CUDA7'.*CPU, RTX 4070, RTX 3090"):
        find(TWO, "CUDA7")


def test_a_gpu_in_the_computer_s_memory_gets_no_more_than_is_free_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_ram", lambda: (9 * GIB, 16 * GIB))
    metal = find([gpu("Metal", 12, 12, name="Apple M3", unified=True)])
    assert (metal.free, metal.unified) == (9 * GIB, True)
    assert metal.reserve > GPU_RESERVE  # the system lives there too
    roomy = find([gpu("Metal", 6, 12, name="Apple M3", unified=True)])
    assert roomy.free == 6 * GIB  # never more than Metal would give


def test_which_gpus_share_memory() -> None:
    assert shares_memory(2, "Vulkan0")
    assert shares_memory(1, "Metal")
    assert not shares_memory(1, "CUDA0")


def test_what_a_loaded_model_holds_counts_as_free() -> None:
    again = find(TWO).regained(4 * GIB)
    assert again.free == 36 * GIB
    assert [g.free for g in again.gpus] == [12 * GIB, 24 * GIB]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of llama-cpp-python on a machine with an NVIDIA GPU."""
    (tmp_path / "lib").mkdir()
    spec = ModuleSpec("llama_cpp", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    return tmp_path / "lib"


def test_a_gpu_that_the_build_cannot_use_is_said(here: Path) -> None:
    (here / "libggml-cpu.so").touch()
    assert "-DGGML_CUDA=on" in device.unused_gpu()
    (here / "libggml-cuda.so").touch()
    assert device.unused_gpu() == ""


def test_no_gpu_no_hint(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert device.unused_gpu() == ""


def test_ggml_is_found_where_the_package_has_no_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llama_cpp")
    from loom_jupyter.models import dryrun

    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    dryrun._ggml.cache_clear()
    try:
        assert isinstance(dryrun.devices(), list)
    finally:
        dryrun._ggml.cache_clear()
