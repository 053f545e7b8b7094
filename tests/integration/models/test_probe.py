"""Whether a build of llama.cpp works on this processor: tried in a child process, remembered."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from broken_builds import EVERYTHING, REPACKED, dying

from loom_jupyter.errors import Cancelled
from loom_jupyter.models import probe
from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.models.memory import plan_memory
from loom_jupyter.models.probe import Finding
from loom_jupyter.models.process import Child
from loom_jupyter.models.protocol import BrokenBuildError, ModelDiedError, ModelError

Answers = list[dict[str, Any] | Exception]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test find out by itself."""
    monkeypatch.setattr(probe, "_found", {})
    monkeypatch.setattr(probe, "_slow", set())


@pytest.fixture
def scripted_child(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answers, Answers], list[bool]]:
    """Answer decodes with and without repacking; return which were asked."""

    def put(packed: Answers, plain: Answers) -> list[bool]:
        asked: list[bool] = []

        class Scripted:
            def __init__(self, log: Path) -> None:
                pass

            def get(self, request: dict[str, Any], cancel: threading.Event) -> Any:
                asked.append(request["extra_buffers"])
                said = (packed if request["extra_buffers"] else plain).pop(0)
                if isinstance(said, Exception):
                    raise said
                return said

            def close(self) -> None:
                pass

        monkeypatch.setattr(probe, "Child", Scripted)
        return asked

    return put


def reads(speed: float, **changes: Any) -> dict[str, Any]:
    """What a child says that decoded."""
    said = {
        "finite": True,
        "prefill": speed,
        "decode": 10.0,
        "system": "AVX = 1",
        "version": "0.3",
        "switch": True,
    }
    return {**said, **changes}


def crashed(how: str = "SIGSEGV") -> BrokenBuildError:
    return BrokenBuildError("It crashed.", how)


# With the build that is installed


def test_it_decodes_both_ways_once_and_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llama_cpp")
    found = probe.ensure()
    assert found is not None
    assert min(found.prefill, found.decode, found.other) > 0
    assert found.died == ""
    assert found.features
    monkeypatch.setattr(probe, "_found", {})  # another process
    monkeypatch.setattr(probe, "Child", None)  # which may start none
    assert probe.ensure() == found


@pytest.mark.parametrize("how", ["SIGILL", "SIGSEGV", "SIGBUS"])
def test_what_dies_of_repacked_weights_is_loaded_without(
    how: str, tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llama_cpp")
    monkeypatch.setenv("LD_PRELOAD", dying(tmp_path, REPACKED, how))
    found = probe.ensure()
    assert found is not None
    assert (found.extra_buffers, found.died) == (False, how)
    assert f"not repacked, because that died of {how}" in found.summary


def test_a_build_that_never_decodes_is_said_with_the_command_that_repairs_it(
    tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llama_cpp")
    monkeypatch.setenv("LD_PRELOAD", dying(tmp_path, EVERYTHING))
    with pytest.raises(BrokenBuildError, match=r"does not work on this processor.*SIGILL") as caught:
        LlamaCpp(tiny_gguf, log=tmp_path / "log")
    assert "python -m loom_jupyter.models.build --rebuild" in str(caught.value)
    assert "smaller" not in str(caught.value)
    assert probe.known() is None  # it may be repaired


def test_a_build_that_cannot_even_list_devices_is_said_the_same_way(
    tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llama_cpp")
    monkeypatch.setenv("LD_PRELOAD", dying(tmp_path, ["ggml_backend_cpu_reg"]))
    with pytest.raises(BrokenBuildError, match=r"loom_jupyter\.models\.build --rebuild"):
        plan_memory(tiny_gguf)


# A real model that dies although the small one does not


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Finding:
    """A finding from before the build became broken."""
    pytest.importorskip("llama_cpp")
    found = Finding(True, 100.0, 10.0)
    probe._remember(probe._key(), found)
    return found


@pytest.fixture
def quantized(tmp_path: Path) -> Path:
    """A model whose weights are repacked."""
    pytest.importorskip("llama_cpp")
    from loom_jupyter.models.selftest import write_model

    return write_model(tmp_path / "quantized.gguf")


def test_a_model_that_dies_before_its_first_token_is_loaded_without_repacking(
    trusted: Finding, quantized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", dying(tmp_path, REPACKED))
    model = LlamaCpp(quantized, log=tmp_path / "log")
    reply = model.chat([{"role": "user", "content": "hello"}], max_tokens=3)
    assert reply.usage.completion_tokens > 0
    model.close()
    monkeypatch.setattr(probe, "_found", {})
    known = probe.known()
    assert known is not None
    assert (known.extra_buffers, known.died) == (False, "SIGILL")


def test_trying_the_build_again_does_not_forget_what_a_real_model_died_of(trusted: Finding) -> None:
    probe.distrust("SIGSEGV")
    found = probe.examine()
    assert found is not None
    assert (found.extra_buffers, found.died) == (False, "SIGSEGV")
    probe.forget()
    assert probe.known() is None


@pytest.mark.parametrize("how", ["SIGILL", "SIGSEGV", "SIGBUS"])
def test_a_model_that_dies_both_ways_is_a_broken_build_and_not_too_large(
    how: str, trusted: Finding, tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", dying(tmp_path, EVERYTHING, how))
    model = LlamaCpp(tiny_gguf, log=tmp_path / "log")
    with pytest.raises(BrokenBuildError, match=rf"{how}.*loom_jupyter\.models\.build --rebuild") as caught:
        model.chat([{"role": "user", "content": "hello"}], max_tokens=3)
    assert "smaller" not in str(caught.value)
    assert not isinstance(caught.value, ModelDiedError)  # which would be tried again
    model.close()


def test_a_crash_after_the_first_token_is_no_broken_build(
    trusted: Finding, tiny_gguf: Path, tmp_path: Path
) -> None:
    model = LlamaCpp(tiny_gguf, log=tmp_path / "log")

    def kill(_text: str) -> None:
        if model.pid is not None:
            os.kill(model.pid, signal.SIGSEGV)

    with pytest.raises(ModelDiedError, match="SIGSEGV") as caught:
        model.chat([{"role": "user", "content": "hello"}], max_tokens=200, on_text=kill)
    assert "smaller" not in str(caught.value)
    model.close()


def test_a_kill_for_lack_of_memory_keeps_its_advice(trusted: Finding, tiny_gguf: Path, tmp_path: Path) -> None:
    child = Child(tmp_path / "log")
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(ModelDiedError, match=r"run out of memory: take a smaller model"):
        child.get({"op": "devices"})
    child.close()


# What is decided


def test_of_two_that_work_the_faster_is_kept(scripted_child: Any) -> None:
    asked = scripted_child([reads(100), reads(110)], [reads(140), reads(150)])
    found = probe.examine()
    assert (found.extra_buffers, found.prefill, found.other) == (False, 150, 110)
    assert asked == [True, False, True, False]
    assert "reads 110 tokens/s" in found.summary


def test_alike_is_repacked_as_llama_cpp_does(scripted_child: Any) -> None:
    asked = scripted_child([reads(100)], [reads(105)])
    assert probe.examine().extra_buffers
    assert asked == [True, False]


def test_one_slow_measurement_decides_nothing(scripted_child: Any) -> None:
    scripted_child([reads(50), reads(100)], [reads(100), reads(101)])
    assert probe.examine().extra_buffers


def test_a_version_that_cannot_be_told_is_measured_one_way(scripted_child: Any) -> None:
    asked = scripted_child([reads(100, switch=False)], [])
    assert probe.examine().extra_buffers
    assert asked == [True]


def test_a_version_that_cannot_be_told_and_dies_is_broken(scripted_child: Any) -> None:
    scripted_child([crashed("SIGILL")], [ModelError("This version always repacks.")])
    with pytest.raises(BrokenBuildError, match="SIGILL"):
        probe.examine()


def test_what_is_no_number_is_broken(scripted_child: Any) -> None:
    scripted_child([reads(100, finite=False)], [reads(90)])
    assert not probe.examine().extra_buffers
    scripted_child([reads(100, finite=False)], [reads(90, finite=False)])
    with pytest.raises(BrokenBuildError, match="no numbers"):
        probe.examine()


def test_an_abort_is_broken_too(scripted_child: Any) -> None:
    scripted_child([ModelDiedError("It ended.", "SIGABRT")], [reads(90)])
    assert probe.examine().died == "SIGABRT"


def test_a_process_that_somebody_killed_says_nothing(scripted_child: Any) -> None:
    scripted_child([ModelDiedError("It was killed.", "SIGKILL")], [])
    with pytest.raises(ModelDiedError):
        probe.examine()
    assert probe.known() is None


def test_a_process_killed_in_the_second_try_says_nothing_either(scripted_child: Any) -> None:
    scripted_child([crashed()], [ModelDiedError("It was killed.", "SIGKILL")])
    with pytest.raises(ModelDiedError, match="killed"):
        probe.examine()


def test_too_little_time_to_compare_keeps_what_decoded(scripted_child: Any) -> None:
    scripted_child([reads(100)], [Cancelled()])
    assert probe.examine().extra_buffers
    assert probe.known() is not None


def test_a_missing_package_is_said_as_it_is(scripted_child: Any) -> None:
    scripted_child([ModelError("llama-cpp-python cannot be used.")], [])
    with pytest.raises(ModelError, match="cannot be used"):
        probe.examine()


def test_a_decode_without_end_is_given_up_and_not_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("llama_cpp")
    monkeypatch.setattr(probe, "LIMIT", 0.0)
    assert probe.ensure() is None
    assert probe.known() is None
    monkeypatch.setattr(probe, "Child", None)  # it is not waited for again
    assert probe.ensure() is None


def test_stop_ends_the_trial() -> None:
    pytest.importorskip("llama_cpp")
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        probe.ensure(stop)


# What is remembered


def test_another_processor_or_build_is_tried_by_itself(
    scripted_child: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted_child([reads(100), reads(200)], [reads(100), reads(200)])
    assert probe.ensure().prefill == 100
    monkeypatch.setattr(probe, "processor_flags", lambda: frozenset({"amx_tile"}))
    assert probe.ensure().prefill == 200


def test_a_library_that_changed_is_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    empty = probe.build_digest()
    (tmp_path / "libggml-cpu.so").write_bytes(b"one")
    first = probe.build_digest()
    (tmp_path / "libggml-cpu.so.0").write_bytes(b"one")  # wheels hold each library under several names
    assert probe.build_digest() == first
    (tmp_path / "libggml-cpu.so").write_bytes(b"two")
    (tmp_path / "libggml-cpu.so.0").write_bytes(b"two")
    assert len({empty, first, probe.build_digest()}) == 3


@pytest.mark.parametrize("content", ["", "{", "[]", '{"prefill": 1}', '{"extra_buffers": true, "other_field": 1}'])
def test_a_damaged_note_is_made_again(content: str, scripted_child: Any) -> None:
    scripted_child([reads(100)], [reads(100)])
    file = probe._file(probe._key())
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert probe.ensure().prefill == 100
    assert json.loads(file.read_text())["prefill"] == 100


def test_without_a_data_folder_it_is_known_to_this_process(
    scripted_child: Any, private_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = private_data_dir / "file"
    blocked.write_text("")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(blocked))
    scripted_child([reads(100)], [reads(100)])
    assert probe.ensure().prefill == 100
    assert probe.ensure().prefill == 100


# The small model


def test_its_weights_fit_the_tiles_of_repacked_kernels(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    from loom_jupyter.models import gguf
    from loom_jupyter.models.selftest import write_model

    header = gguf.read(write_model(tmp_path / "one.gguf"))
    matrices = {name: t for name, t in header.tensors.items() if len(t.shape) == 2}
    assert all(t.shape[0] % 256 == 0 and t.shape[1] % 32 == 0 for t in matrices.values())
    assert {t.type for t in matrices.values()} == {2, 8, 12, 13, 14}  # Q4_0, Q8_0, Q4_K, Q5_K, Q6_K
    again = write_model(tmp_path / "two.gguf")
    assert again.read_bytes() == (tmp_path / "one.gguf").read_bytes()


def test_llama_cpp_repacks_them(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    for extra in (True, False):
        child = Child(tmp_path / f"log-{extra}")
        said = child.get({"op": "selftest", "extra_buffers": extra})
        child.close()
        log = (tmp_path / f"log-{extra}").read_text("utf-8", "replace")
        if "REPACK = 1" in said["system"]:
            assert ("_REPACK model buffer" in log or "AMX model buffer" in log) == extra


def test_libraries_are_not_taken_from_the_current_folder(
    tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    child = Child(tmp_path / "log")
    assert Path(psutil.Process(child.pid).cwd()) != tmp_path
    child.close()


def test_a_model_is_found_beside_the_notebook(
    tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llama_cpp")
    (tmp_path / "model.gguf").write_bytes(tiny_gguf.read_bytes())
    monkeypatch.chdir(tmp_path)
    model = LlamaCpp("model.gguf", log="model.log")
    model.log_to(Path("other.log"))
    assert model.count("ab") == 2
    model.close()
    assert (tmp_path / "other.log").exists()
