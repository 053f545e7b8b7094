"""A small model that shows whether llama.cpp works on this processor. Runs in the worker process only.

A build that links may still die at its first decode: compiled for another processor, or with instructions that its
compiler got wrong. So a model is loaded and decodes a prompt and single tokens. Its weights are quantized in the
types that catalog models have, and its matrices fit the tiles of llama.cpp's repacked kernels (AMX: rows a
multiple of 32, columns of 256), so that it takes the code path of a real one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from loom_jupyter.models import gguf_writer
from loom_jupyter.models.engine import Engine, takes_extra_buffers
from loom_jupyter.models.gguf_writer import TYPES, Tensor
from loom_jupyter.models.process import passing_file
from loom_jupyter.models.stop import Stop

WIDTH, LAYERS, HEADS, INNER, VOCABULARY = 512, 2, (8, 4), 1536, 512
PROMPT, TOKENS = 256, 24  # tokens of the prompt, and those decoded one by one
TRIES = 4  # the best of so many prompts counts: something else may use the processor
# Where a block of each type holds its scales (16-bit floats), and values that keep the weights near 0.1.
SCALES = {
    "Q4_0": ((0, 0.01),),
    "Q8_0": ((0, 0.001),),
    "Q4_K": ((0, 2e-4), (2, 1.5e-3)),
    "Q5_K": ((0, 1e-4), (2, 1.5e-3)),
    "Q6_K": ((208, 3e-5),),
}
# What Q4_K_M files have, and one layer of what else is repacked.
KINDS = (
    {"attn_v": "Q6_K", "ffn_down": "Q6_K", "attn_output": "Q5_K"},
    {"attn_q": "Q4_0", "attn_k": "Q8_0", "ffn_gate": "Q4_0", "ffn_up": "Q8_0"},
)


def write_model(path: Path) -> Path:
    """Write the model: the same bytes each time, about 5 MB."""
    tokens = gguf_writer.byte_vocabulary(VOCABULARY)
    metadata, plain = gguf_writer.qwen2(WIDTH, LAYERS, HEADS, INNER, tokens, 2 * PROMPT)
    tensors = {name: Tensor(tensor.shape, _kind(name, tensor)) for name, tensor in plain.items()}
    noise = np.random.default_rng(1)
    return gguf_writer.write(path, metadata, tensors, lambda _, tensor: _weights(tensor, noise))


def decode(extra_buffers: bool, threads: int, stop: Stop) -> dict[str, Any]:
    """Load the model and decode with it.

    Parameters
    ----------
    extra_buffers
        Whether llama.cpp may repack weights for faster kernels.
    threads
        How many to decode with once (two at least); measured is with one, in processor time, so that other work
        on the machine does not count.

    Returns
    -------
    dict
        ``finite`` (whether it computed numbers), ``prefill`` and ``decode`` in tokens a second of one core,
        ``system`` (llama.cpp's own words), ``version``, ``switch`` (whether this version can be told not to
        repack).

    Raises
    ------
    ModelError
        If this version cannot be told not to repack.
    """
    with passing_file("selftest.gguf") as file:
        params = {
            "model_path": str(write_model(file)),
            "n_ctx": 2 * PROMPT,
            "n_batch": PROMPT,
            "n_ubatch": PROMPT,
            "n_gpu_layers": 0,
            "flash_attn": True,
            "n_threads": max(2, threads),
            "n_threads_batch": max(2, threads),
            "verbose": True,
        }
        engine = Engine(params, 1, stop, lambda _: True, extra_buffers=extra_buffers)
        try:
            _prefill(engine)
            finite = bool(np.isfinite(engine.logits()).all())
            engine.set_threads(1)
            prefill = max(_prefill(engine) for _ in range(TRIES))
            return {
                "finite": finite,
                "prefill": prefill,
                "decode": _decode(engine),
                "system": lib.llama_print_system_info().decode().strip(" |"),
                "version": llama_cpp.__version__,
                "switch": takes_extra_buffers(),
            }
        finally:
            engine.close()


def _prefill(engine: Engine) -> float:
    """Read the prompt again; return tokens a second."""
    engine.keep(0)
    began = time.process_time()
    engine.prefill([i % VOCABULARY for i in range(PROMPT)])
    return PROMPT / (time.process_time() - began)


def _decode(engine: Engine) -> float:
    began = time.process_time()
    for _ in range(TOKENS):
        engine.extend([int(engine.logits().argmax())])
    return TOKENS / (time.process_time() - began)


def _kind(name: str, tensor: Tensor) -> str:
    if len(tensor.shape) < 2:
        return tensor.type
    if not name.startswith("blk."):
        return "Q6_K"
    _, layer, part, _ = name.split(".")
    return KINDS[int(layer) % len(KINDS)].get(part, "Q4_K")


def _weights(tensor: Tensor, noise: np.random.Generator) -> npt.NDArray[Any]:
    if tensor.type == "F32":
        return np.ones(tensor.shape, np.float32)
    block = TYPES[tensor.type][2]
    data = noise.integers(0, 256, (tensor.size // block, block), np.uint8)
    for at, scale in SCALES[tensor.type]:
        data[:, at : at + 2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
    return data
