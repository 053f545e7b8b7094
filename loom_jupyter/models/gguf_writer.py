"""Writes small GGUF files: the model that a new build of llama.cpp has to decode, and the models of the tests."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy.typing as npt

ALIGNMENT = 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
# ggml type: (number, elements a block, bytes a block)
TYPES = {
    "F32": (0, 1, 4),
    "F16": (1, 1, 2),
    "Q4_0": (2, 32, 18),
    "Q8_0": (8, 32, 34),
    "Q4_K": (12, 256, 144),
    "Q5_K": (13, 256, 176),
    "Q6_K": (14, 256, 210),
    "MXFP4": (39, 32, 17),
}
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Tensor:
    """Shape in ggml's order (fastest dimension first) and type."""

    shape: tuple[int, ...]
    type: str = "F32"

    @property
    def size(self) -> int:
        """Bytes."""
        _, elements, size = TYPES[self.type]
        return prod(self.shape) // elements * size


Fill = Callable[[str, Tensor], "npt.NDArray[Any]"]


def write(
    path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, Tensor], fill: Fill | None = None
) -> Path:
    """Write a GGUF file.

    Parameters
    ----------
    fill
        Returns the bytes of each tensor, called in their order; without it the weights are holes in the file.
    """
    out = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
    for key, value in metadata.items():
        out += _string(key) + _typed(value)
    offsets, offset = {}, 0
    for name, tensor in tensors.items():
        offsets[name] = offset
        out += _string(name) + struct.pack("<I", len(tensor.shape))
        out += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
        out += struct.pack("<IQ", TYPES[tensor.type][0], offset)
        offset += _aligned(tensor.size)
    out += bytes(_aligned(len(out)) - len(out))
    with path.open("wb") as file:
        file.write(out)
        if fill is not None:
            for name, tensor in tensors.items():
                file.seek(len(out) + offsets[name])
                file.write(fill(name, tensor).tobytes())
        file.truncate(len(out) + offset)
    return path


def vocabulary(tokens: list[str], controls: int = 3) -> dict[str, Any]:
    """Return the tokenizer's metadata; the last `controls` tokens are control tokens."""
    types = [1] * (len(tokens) - controls) + [3] * controls
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": ["Ġ t", "h e"],
        "tokenizer.ggml.eos_token_id": len(tokens) - 1,
        "tokenizer.ggml.bos_token_id": len(tokens) - 3,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHATML,
    }


def byte_vocabulary(size: int = 0) -> list[str]:
    """Return GPT-2's 256 byte tokens, two merged ones, fillers up to `size`, and ChatML's three control tokens."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = [b for b in range(256) if b not in plain]
    tokens = [chr(b) for b in plain] + [chr(256 + i) for i in range(len(shifted))] + ["Ġt", "he"]
    tokens += [f"filler{i}" for i in range(size - len(tokens) - 3)]
    return [*tokens, "<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def qwen2(
    width: int, layers: int, heads: tuple[int, int], inner: int, tokens: list[str], context: int
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return metadata and tensors of a small qwen2; `heads` are those of queries and those of keys."""
    metadata: dict[str, Any] = {
        "general.architecture": "qwen2",
        "general.name": "Tiny",
        "general.file_type": 0,
        "qwen2.context_length": context,
        "qwen2.embedding_length": width,
        "qwen2.block_count": layers,
        "qwen2.feed_forward_length": inner,
        "qwen2.attention.head_count": heads[0],
        "qwen2.attention.head_count_kv": heads[1],
        "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
        "qwen2.rope.freq_base": 10000.0,
        **vocabulary(tokens),
    }
    tensors = {
        "token_embd.weight": Tensor((width, len(tokens))),
        "output_norm.weight": Tensor((width,)),
        "output.weight": Tensor((width, len(tokens))),
    }
    kv_width = width // heads[0] * heads[1]
    for i in range(layers):
        block = f"blk.{i}."
        for name, rows in (("attn_q", width), ("attn_k", kv_width), ("attn_v", kv_width)):
            tensors[f"{block}{name}.weight"] = Tensor((width, rows))
            tensors[f"{block}{name}.bias"] = Tensor((rows,))
        tensors[f"{block}attn_norm.weight"] = tensors[f"{block}ffn_norm.weight"] = Tensor((width,))
        tensors[f"{block}attn_output.weight"] = Tensor((width, width))
        tensors[f"{block}ffn_gate.weight"] = tensors[f"{block}ffn_up.weight"] = Tensor((width, inner))
        tensors[f"{block}ffn_down.weight"] = Tensor((inner, width))
    return metadata, tensors


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(value: Any) -> bytes:
    if isinstance(value, list):
        kind = _kind(value[0])
        return struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(
            _typed(v)[4:] if kind != I32 else struct.pack("<i", v) for v in value
        )
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _string(value)
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, float):
        return struct.pack("<If", F32, value)
    return struct.pack("<II", U32, value)


def _kind(value: Any) -> int:
    if isinstance(value, str):
        return STRING
    if isinstance(value, bool):
        return BOOL
    return F32 if isinstance(value, float) else I32
