"""Building llama.cpp until something decodes."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from loom_jupyter.models import build, probe
from loom_jupyter.models.build import NATIVE, WITHOUT_AMX, Recipe, build_until_it_decodes, portable, recipes
from loom_jupyter.models.probe import Finding
from loom_jupyter.models.protocol import BrokenBuildError, ModelError, broken_build

AMX = frozenset({"sse4_2", "avx", "avx2", "fma", "f16c", "bmi2", "avx512f", "amx_tile", "amx_int8"})


@pytest.mark.parametrize(
    ("line", "share"),
    [("[3/12] Building", 0.25), ("  [ 50%] Building CXX object", 0.5), ("-- Configuring done", None)],
)
def test_how_far_a_build_is(line: str, share: float | None) -> None:
    assert build.fraction(line) == share


# What is built


def test_amx_is_left_out_only_where_it_is() -> None:
    assert [r.name for r in recipes(AMX)] == [NATIVE.name, WITHOUT_AMX.name, "portable"]
    assert [r.name for r in recipes(AMX - {"amx_tile", "amx_int8"})] == [NATIVE.name, "portable"]


def test_the_portable_build_asks_for_common_instructions_that_are_here() -> None:
    assert {"-DGGML_NATIVE=OFF", "-DGGML_AVX2=ON", "-DGGML_FMA=ON"} <= set(portable(AMX).cmake)
    old = set(portable(frozenset({"sse4_2", "avx"})).cmake)
    assert {"-DGGML_AVX=ON", "-DGGML_AVX2=OFF", "-DGGML_FMA=OFF", "-DGGML_F16C=OFF"} <= old
    assert all(option.endswith("=OFF") for option in portable(frozenset()).cmake)


def test_the_flags_of_the_user_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_CUDA=on")
    monkeypatch.setenv("CFLAGS", "-O2")
    monkeypatch.delenv("CXXFLAGS", raising=False)
    environment = build._environment(WITHOUT_AMX)
    assert environment["CMAKE_ARGS"].startswith("-DGGML_CUDA=on -DGGML_AMX_TILE=OFF")
    assert environment["CFLAGS"] == "-O2 -mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
    assert environment["CXXFLAGS"] == "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
    assert "CXXFLAGS" not in build._environment(NATIVE)


def test_a_second_build_takes_no_wheel_from_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "installed", lambda: True)
    assert "--no-deps" in build._command(fresh=True)
    monkeypatch.setattr(build, "installed", lambda: False)
    assert "--no-deps" not in build._command(fresh=True)
    assert "--no-cache-dir" in build._command(fresh=True)
    assert "--no-cache-dir" not in build._command(fresh=False)
    assert build._command(fresh=False)[1:4] == ["-P", "-m", "pip"]  # nothing of the current folder is imported


# Until it decodes


class Machine:
    """Builds nothing: what "installed" and "decodes" mean is told by the test."""

    def __init__(self, installed: bool, ends: dict[str, str], cached: str = "") -> None:
        self.installed, self.ends, self.cached = installed, ends, cached
        self.now = "installed"
        self.made: list[tuple[str, bool]] = []
        self.said = io.StringIO()
        self.console = Console(file=self.said, width=200)

    def build(self, console: Console, recipe: Recipe, *, fresh: bool) -> bool:
        self.made.append((recipe.name, fresh))
        self.installed, from_cache = True, bool(self.cached) and not fresh
        self.now = self.cached if from_cache else recipe.name
        return not from_cache

    def examine(self, recipe: str = "") -> Finding:
        if self.now in self.ends:
            raise broken_build(self.ends[self.now], "decoded no token of a small test model")
        return Finding(True, 100.0, 10.0, version="0.3", recipe=recipe)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Machine]:
    def make(ends: dict[str, str] | None = None, *, installed: bool = False, cached: str = "") -> Machine:
        made = Machine(installed, ends or {}, cached)
        monkeypatch.setattr(build, "installed", lambda: made.installed)
        monkeypatch.setattr(build, "build", made.build)
        monkeypatch.setattr(probe, "examine", made.examine)
        monkeypatch.setattr(probe, "ensure", made.examine)
        monkeypatch.setattr(probe, "processor_flags", lambda: AMX)
        return made

    return make


def test_what_decodes_is_left_alone(machine: Any) -> None:
    here = machine(installed=True)
    build_until_it_decodes(here.console)
    assert here.made == []
    assert "decoded a small test model" in here.said.getvalue()


def test_what_dies_is_built_with_less_and_each_step_is_said(machine: Any) -> None:
    here = machine({NATIVE.name: "SIGSEGV", WITHOUT_AMX.name: "SIGILL"})
    found = build_until_it_decodes(here.console)
    assert here.made == [(NATIVE.name, False), (WITHOUT_AMX.name, True), ("portable", True)]
    assert found is not None
    assert found.recipe == "portable"
    lines = here.said.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[1].startswith("This build of llama.cpp does not work on this processor")
    assert "SIGSEGV" in lines[1]
    assert lines[2].startswith(f"Building llama-cpp-python: {WITHOUT_AMX.name}")


def test_the_next_environment_begins_with_what_worked_here(machine: Any) -> None:
    build_until_it_decodes(machine({NATIVE.name: "SIGSEGV"}).console)
    again = machine()
    build_until_it_decodes(again.console)
    assert again.made == [(WITHOUT_AMX.name, True)]
    other = machine()
    build_until_it_decodes(other.console, rebuild=True)
    assert other.made == [(NATIVE.name, True)]


def test_an_environment_of_another_processor_is_built_for_this_one(machine: Any) -> None:
    here = machine({"installed": "SIGILL"}, installed=True)
    build_until_it_decodes(here.console)
    assert here.made == [(NATIVE.name, True)]


def test_a_cached_wheel_of_another_processor_is_compiled(machine: Any) -> None:
    here = machine({"cached": "SIGILL"}, cached="cached")
    build_until_it_decodes(here.console)
    assert here.made == [(NATIVE.name, False), (NATIVE.name, True)]


def test_when_nothing_decodes_it_is_said_with_other_ways(machine: Any) -> None:
    here = machine({NATIVE.name: "SIGSEGV", WITHOUT_AMX.name: "SIGSEGV", "portable": "SIGILL"})
    with pytest.raises(ModelError, match=r"portable: SIGILL.*--extra-index-url.*conda-forge") as caught:
        build_until_it_decodes(here.console)
    assert "smaller" not in str(caught.value)


def test_a_way_that_does_not_compile_is_passed_over(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine({NATIVE.name: "SIGSEGV"})
    real = here.build

    def compile_(console: Console, recipe: Recipe, *, fresh: bool) -> bool:
        if recipe is WITHOUT_AMX:
            raise ModelError("llama-cpp-python could not be built; unknown option -mno-amx-tile.")
        return bool(real(console, recipe, fresh=fresh))

    monkeypatch.setattr(build, "build", compile_)
    build_until_it_decodes(here.console)
    assert [name for name, _ in here.made] == [NATIVE.name, "portable"]


def test_portable_on_request_is_the_only_way_tried(machine: Any, capsys: pytest.CaptureFixture[str]) -> None:
    here = machine(installed=True)
    assert build.main(["--portable"]) == 0
    assert here.made == [("portable", True)]
    assert build.main([]) == 0
    assert len(here.made) == 1


# With real processes


def test_the_errors_of_a_broken_build_are_one_kind() -> None:
    assert issubclass(BrokenBuildError, ModelError)
    assert os.linesep not in str(broken_build("SIGILL"))
