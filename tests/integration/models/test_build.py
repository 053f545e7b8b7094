"""Building llama.cpp until something decodes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from broken_builds import EVERYTHING, REPACKED, dying
from rich.console import Console

from loom_jupyter.models import build, probe
from loom_jupyter.models.build import NATIVE, Recipe, build_until_it_decodes, recipes
from loom_jupyter.models.protocol import ModelError


def test_a_first_build_whose_process_dies_of_a_signal_is_followed_by_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llama_cpp")
    monkeypatch.setattr(probe, "_found", {})
    monkeypatch.setattr(build, "installed", lambda: False)
    broken, made, said = dying(tmp_path, EVERYTHING), list[str](), io.StringIO()

    def compile_(_console: Console, recipe: Recipe, *, fresh: bool) -> bool:
        made.append(recipe.name)
        if recipe == NATIVE:
            monkeypatch.setenv("LD_PRELOAD", broken)
        else:
            monkeypatch.delenv("LD_PRELOAD")
        return True

    monkeypatch.setattr(build, "build", compile_)
    found = build_until_it_decodes(Console(file=said, width=300))
    assert made == [NATIVE.name, recipes()[1].name]
    assert found is not None
    assert found.recipe == made[1]
    assert "This build of llama.cpp does not work on this processor" in said.getvalue()
    assert "SIGILL" in said.getvalue()
    assert "smaller" not in said.getvalue()
    assert said.getvalue().splitlines()[-1].startswith("llama-cpp-python")


def test_a_build_that_dies_of_repacking_needs_no_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llama_cpp")
    monkeypatch.setattr(probe, "_found", {})
    monkeypatch.setenv("LD_PRELOAD", dying(tmp_path, REPACKED, "SIGSEGV"))
    said = io.StringIO()
    found = build_until_it_decodes(Console(file=said, width=300))
    assert found is not None
    assert not found.extra_buffers
    assert said.getvalue().count("\n") == 1
    assert "weights are not repacked, because that died of SIGSEGV" in said.getvalue()


def test_pip_that_fails_is_said_with_ready_made_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_command", lambda fresh: ["false"])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(ModelError, match=r"C\+\+ compiler.*--only-binary llama-cpp-python.*conda install"):
        build.build(Console(file=io.StringIO()))
