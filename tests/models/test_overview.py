from dataclasses import replace
from pathlib import Path

import pytest

from loom_jupyter.models import estimate
from loom_jupyter.models.catalogue import entries
from loom_jupyter.models.estimate import Shape
from loom_jupyter.models.overview import Row, _from_shape, bar, best, overview

pytest.importorskip("llama_cpp")
GIB = 1 << 30


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return overview("CPU")


def test_models_that_are_not_here_are_planned_too(rows: list[Row]) -> None:
    assert [row.entry.name for row in rows] == list(entries())
    for row in rows:
        assert row.path is None
        assert not row.plan.measured
        assert row.plan.weights == row.entry.size
        assert row.plan.device == "CPU"


def test_the_catalogue_s_figures_give_the_cache_of_the_model() -> None:
    header = _from_shape(entries()["qwen2.5-coder-1.5b"])
    assert estimate.kv_bytes(header, Shape(16_384)) == 469_762_048  # as llama.cpp allocates for the file itself


def test_the_best_is_the_largest_that_serves(rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOM_MODEL", raising=False)
    fitting = [replace(row, plan=replace(row.plan, fits=True, n_ctx=16_384)) for row in rows]
    assert best(fitting) == "qwen2.5-coder-1.5b"
    assert best([replace(r, plan=replace(r.plan, device="RTX 4070")) for r in fitting]) == "qwen2.5-coder-7b"
    tight = [replace(r, plan=replace(r.plan, n_ctx=2048)) if r is not fitting[0] else r for r in fitting]
    assert best(tight) == "qwen2.5-coder-0.5b"


def test_the_bar_adds_up(rows: list[Row]) -> None:
    segments = bar(rows[0].plan, 24 * GIB)
    assert [what for what, _ in segments] == ["others", "weights", "KV", "compute", "free"]
    assert sum(size for _, size in segments) == 24 * GIB
