from dataclasses import replace
from pathlib import Path

import pytest

from loom_jupyter.models import allocation, overview
from loom_jupyter.models.allocation import Shape
from loom_jupyter.models.catalog import entries
from loom_jupyter.models.host import Host
from loom_jupyter.models.overview import Overview, Row, _from_shape, bars, best

pytest.importorskip("llama_cpp")
GIB = 1 << 30


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return overview.overview(device="CPU").rows


def test_models_that_are_not_here_are_planned_too(rows: list[Row]) -> None:
    assert [row.name for row in rows] == list(entries())
    for row in rows:
        assert not row.here
        assert not row.plan.measured
        assert row.note == "estimated"
        assert row.plan.weights == row.size
        assert row.plan.device == "CPU"
        assert row.plan.capacity > row.plan.available


def test_the_catalogue_s_figures_give_the_cache_of_the_model() -> None:
    header = _from_shape(entries()["qwen2.5-coder-1.5b"])
    assert allocation.kv_bytes(header, Shape(16_384)) == 469_762_048  # as llama.cpp allocates for the file itself


def test_the_best_is_the_largest_that_serves(rows: list[Row], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOM_MODEL", raising=False)
    fitting = [replace(row, plan=replace(row.plan, fits=True, n_ctx=16_384)) for row in rows]
    assert best(fitting) == "qwen2.5-coder-1.5b"
    assert best([replace(r, plan=replace(r.plan, device="RTX 4070")) for r in fitting]) == "qwen2.5-coder-7b"
    tight = [replace(r, plan=replace(r.plan, n_ctx=2048)) if r is not fitting[0] else r for r in fitting]
    assert best(tight) == "qwen2.5-coder-0.5b"


def test_a_file_of_the_user_s_own_is_planned_beside_the_catalogue(tiny_gguf: Path) -> None:
    found = overview.overview(str(tiny_gguf), device="CPU")
    (own,) = (row for row in found.rows if row.chosen)
    assert (own.name, own.trained, own.here, own.plan.measured) == ("tiny", 2048, True, True)
    assert found.title == "tiny · window 2,048 of 2,048 tokens · not loaded"
    loaded = overview.overview(str(tiny_gguf), device="CPU", loaded=replace(own.plan, n_ctx=512), held=1 << 20)
    assert "window 512 of 2,048 tokens · loaded" in loaded.title


def test_a_server_has_no_bar(rows: list[Row]) -> None:
    found = overview.overview("http://localhost:8080/v1#m", device="CPU")
    assert found.bars == []
    assert "localhost:8080" in found.title


def test_a_model_that_does_not_fit_is_said_so(rows: list[Row]) -> None:
    large = replace(rows[-1], chosen=True, plan=replace(rows[-1].plan, fits=False, advice="Take less."))
    found = Overview([*rows[:-1], large], "")
    assert large.window == 0
    assert "Take less." in found.notes


def test_the_bar_adds_up(rows: list[Row]) -> None:
    made = replace(rows[0].plan, capacity=24 * GIB, available=20 * GIB)
    ((device, capacity, segments),) = bars(made)
    assert (device, capacity) == ("CPU", 24 * GIB)
    assert [what for what, _ in segments] == ["others", "weights", "KV", "compute", "free"]
    assert dict(segments)["others"] == 4 * GIB
    assert sum(size for _, size in segments) == 24 * GIB


def test_several_gpus_have_a_bar_each(rows: list[Row]) -> None:
    made = replace(
        rows[-1].plan, spread=(("RTX A", 3 * GIB, 8 * GIB, 10 * GIB), ("RTX B", 2 * GIB, 12 * GIB, 12 * GIB))
    )
    found = bars(made)
    assert [(name, capacity) for name, capacity, _ in found] == [("RTX A", 10 * GIB), ("RTX B", 12 * GIB)]
    for _, capacity, segments in found:
        assert sum(size for _, size in segments) == capacity
    assert dict(found[0][2])["others"] == 2 * GIB
    assert sum(size for what, size in found[1][2] if what in ("weights", "KV", "compute")) == 2 * GIB


def test_auto_loads_the_best_and_keeps_it(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    class Found:
        best = str(tiny_gguf)

    monkeypatch.setattr("loom_jupyter.models.host.overview", lambda **_: asked.append(1) or Found)
    host = Host()
    for _ in range(2):
        with host.acquire("auto", log=tmp_path / "log") as model:
            assert model.info.name == "tiny"
    assert asked == [1]
    assert host.auto
    host.close()


def test_a_model_in_use_is_not_unloaded(tiny_gguf: Path, tmp_path: Path) -> None:
    host = Host()
    with host.acquire(tiny_gguf, log=tmp_path / "log"):
        assert host.unload(wait=False) is False
        assert host.model is not None
        assert host.model.held > 0  # type: ignore[union-attr]
    assert host.unload(wait=False) is True
    assert host.model is None
