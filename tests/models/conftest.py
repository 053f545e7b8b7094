"""Models for the tests of this room: a synthetic one that loads in milliseconds, and the small real one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

from synthetic_gguf import tiny

from loom_jupyter.models.llamacpp import LlamaCpp


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file of half a megabyte with random weights."""
    return tiny(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def tiny_model(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    """The synthetic model, loaded."""
    pytest.importorskip("llama_cpp")
    model = LlamaCpp(tiny_gguf, log=tmp_path_factory.mktemp("log") / "model.log")
    yield model
    model.close()


@pytest.fixture(scope="module")
def real_model(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCpp]:
    """The small real model, loaded."""
    model = LlamaCpp(small_model, log=tmp_path_factory.mktemp("log") / "model.log")
    yield model
    model.close()
