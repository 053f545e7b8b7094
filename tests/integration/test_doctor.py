"""The self-test."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken_builds import EVERYTHING, dying

from loom_jupyter.checks import command
from loom_jupyter.doctor import examine
from loom_jupyter.models import build, probe
from loom_jupyter.models.probe import Finding


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode nothing."""
    system = "CPU : AVX = 1 | AVX512 = 0 | REPACK = 1"
    found = Finding(True, 7000.0, 900.0, system=system, version="0.3", recipe="portable")
    monkeypatch.setattr(build, "installed", lambda: True)
    monkeypatch.setattr(probe, "examine", lambda: found)


def rows(folder: Path) -> dict[str, tuple[bool, str]]:
    return {name: (fine, text) for name, fine, text in examine(folder, folder, None)}


@pytest.mark.parametrize(("level", "said"), [("none", "not isolated: "), ("user", "isolated: ")])
@pytest.mark.usefixtures("quick")
def test_says_what_holds_a_check(level: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "isolation", lambda: level)
    assert rows(tmp_path)["checks run"][1].startswith(said)


@pytest.mark.usefixtures("quick")
def test_names_build_flags_instruction_sets_and_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "processor_flags", lambda: frozenset({"amx_tile", "avx2", "fpu"}))
    found = rows(tmp_path)
    assert "7,000 tokens/s read and 900 written" in found["llama-cpp-python"][1]
    assert found["llama.cpp build"] == (True, "portable: AVX, REPACK")
    assert found["processor"][1].endswith("amx_tile, avx2")


def test_decodes_for_real(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    fine, said = rows(tmp_path)["llama-cpp-python"]
    assert fine or "GPU" in said
    assert "decoded a small test model" in said or "GPU" in said


def test_a_broken_build_is_said_with_its_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llama_cpp")
    monkeypatch.setattr(probe, "_found", {})
    monkeypatch.setenv("LD_PRELOAD", dying(tmp_path, EVERYTHING))
    fine, said = rows(tmp_path)["llama-cpp-python"]
    assert not fine
    assert "SIGILL" in said
    assert "python -m loom_jupyter.models.build --rebuild" in said


def test_without_llama_cpp_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "installed", lambda: False)
    fine, said = rows(tmp_path)["llama-cpp-python"]
    assert not fine
    assert 'pip install "loom-jupyter[local]"' in said
    assert "conda-forge" in said
