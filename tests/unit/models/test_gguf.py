import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from synthetic_gguf import Tensor, byte_vocabulary, tiny, vocabulary, write

from loom_jupyter.models import gguf
from loom_jupyter.models.allocation import closed_form
from loom_jupyter.models.gguf import check_chat, read
from loom_jupyter.models.protocol import ModelError


def test_the_header_tells_what_the_loader_needs(tiny_gguf: Path) -> None:
    header = read(tiny_gguf)
    assert (header.architecture, header.name, header.context_length, header.layers) == ("qwen2", "Tiny", 2048, 2)
    assert header.quantization == "F32"
    assert header.chat_template
    assert header.per_layer("attention.head_count_kv") == [2, 2]
    assert header.size == tiny_gguf.stat().st_size


def test_numbers_that_differ_by_layer(tmp_path: Path) -> None:
    path = tiny(tmp_path / "m.gguf", **{"qwen2.attention.head_count_kv": [2, 1]})
    assert read(path).per_layer("attention.head_count_kv") == [2, 1]


def test_a_large_vocabulary_is_read_in_milliseconds(tmp_path: Path) -> None:
    tokens = byte_vocabulary(262_144)
    path = write(
        tmp_path / "m.gguf",
        {"general.architecture": "qwen2", **vocabulary(tokens), "tokenizer.ggml.merges": tokens},
        {},
    )
    read(path)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        assert read(path).chat_template
        times.append(time.perf_counter() - began)
    assert min(times) < 0.1  # 30 ms on an idle machine


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"GG", "not a GGUF"),
        (b"PK\x03\x04 a zip file", "not a GGUF"),
        (b"GGUF", "cut short"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "no architecture"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 62), "damaged"),
    ],
)
def test_what_is_no_model_is_refused_in_one_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=says) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="folder"):
        read(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / "none.gguf")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"general.architecture": "clip"}, "vision part"),
        ({"general.type": "mmproj"}, "vision part"),
        ({"general.architecture": "bert"}, "embeddings"),
        ({"qwen2.pooling_type": 1}, "embeddings"),
        ({"split.count": 3, "split.no": 1}, "first part"),
        ({"tokenizer.chat_template": None}, "no chat template"),
    ],
)
def test_models_of_another_kind_are_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        check_chat(read(tiny(tmp_path / "m.gguf", **changes)))


def test_a_chat_model_is_not(tiny_gguf: Path) -> None:
    check_chat(read(tiny_gguf))


def test_every_truncation_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    data = tiny_gguf.read_bytes()
    path = tmp_path / "cut.gguf"
    for size in [*range(1, 400, 7), 2_000, 5_000, len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(ModelError):
            read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=2000)
@given(edits=st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=9)), min_size=1, max_size=6))
def test_damage_is_read_or_refused_and_nothing_else(
    tiny_gguf: Path, tmp_path: Path, edits: list[tuple[int, bytes]]
) -> None:
    data = bytearray(tiny_gguf.read_bytes())
    for at, new in edits:
        data[at : at + len(new)] = new
    path = tmp_path / "damaged.gguf"
    path.write_bytes(data)
    try:
        header = read(path)
    except ModelError:
        return
    assert header.architecture
    assert header.layers >= 0
    assert header.context_length
    header.per_layer("attention.head_count_kv")


def test_a_file_without_its_tensors_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "m.gguf", {"general.architecture": "llama"}, {"a": Tensor((64, 64))})
    read(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 64 * 64 * 4)
    with pytest.raises(ModelError, match="cut short"):
        read(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(strings=st.lists(st.text(max_size=300), min_size=1, max_size=400), repeat=st.integers(1, 20))
def test_strings_of_any_kind_are_skipped_exactly(tmp_path: Path, strings: list[str], repeat: int) -> None:
    metadata = {"general.architecture": "qwen2", "a": strings * repeat, "tokenizer.chat_template": "after"}
    assert read(write(tmp_path / "m.gguf", metadata, {})).values["tokenizer.chat_template"] == "after"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    key=st.sampled_from(
        ["block_count", "context_length", "embedding_length", "attention.head_count", "attention.head_count_kv"]
    ),
    value=st.one_of(
        st.integers(0, 2**32 - 1), st.floats(width=32), st.booleans(), st.just("text"), st.just([1, 2])
    ),
)
def test_hostile_figures_are_planned_or_refused(tmp_path: Path, key: str, value: Any) -> None:
    path = tiny(tmp_path / "m.gguf", **{f"qwen2.{key}": value})
    try:
        sizes = closed_form(read(path), 1)(2048, "f16")
    except ModelError:
        return
    assert sizes.total >= 0


def test_a_file_that_is_cut_while_it_is_read_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    file = tmp_path / "cut.gguf"
    whole = tiny_gguf.stat().st_size
    file.write_bytes(tiny_gguf.read_bytes()[:600])
    with file.open("rb") as data, pytest.raises(ModelError, match="was cut while it was read"):
        gguf._Reader(file, data, whole).header()


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelError, match="is not a file"):
        gguf.read(tmp_path / "pipe.gguf")
