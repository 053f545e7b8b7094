"""What llama.cpp would allocate, from llama.cpp itself. Runs in the worker process only.

A model loaded with ``no_alloc`` reads the file's metadata and simulates its allocations: some 50 ms for the
model, then a few for each window. The sizes come from `llama_get_memory_breakdown`, which is C++ and returns
a ``std::map``; its memory is read here as libstdc++ lays it out, so this works on Linux and elsewhere the
closed form must do.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as lib

from loom_jupyter.models.allocation import GGML_TYPES
from loom_jupyter.models.device import shares_memory
from loom_jupyter.models.engine import context_defaults
from loom_jupyter.models.protocol import ModelError

SYMBOL = "_Z26llama_get_memory_breakdownPK13llama_context"
READABLE = (
    sys.platform.startswith("linux")
    and hasattr(lib._lib, SYMBOL)
    and any(name == "no_alloc" for name, *_ in lib.llama_model_params._fields_)
)
MOST_NODES = 256
GPU_KINDS = (1, 2)  # ggml_backend_dev_type: a GPU of its own, or one that shares the memory


class _Map(ctypes.Structure):
    """``std::map`` of libstdc++: comparator, header node, count."""

    _fields_ = [
        ("compare", ctypes.c_void_p),
        ("color", ctypes.c_void_p),
        ("root", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("last", ctypes.c_void_p),
        ("count", ctypes.c_size_t),
    ]


class _Node(ctypes.Structure):
    """A node of it: buffer type, then the bytes of weights, cache and computation there."""

    _fields_ = [
        ("color", ctypes.c_void_p),
        ("parent", ctypes.c_void_p),
        ("left", ctypes.c_void_p),
        ("right", ctypes.c_void_p),
        ("buffer_type", ctypes.c_void_p),
        ("model", ctypes.c_size_t),
        ("context", ctypes.c_size_t),
        ("compute", ctypes.c_size_t),
    ]


class DryRun:
    """A model that is there in numbers only.

    Parameters
    ----------
    path
        The GGUF file.
    placement
        As it would be loaded: ``n_gpu_layers``, ``split_mode``, ``main_gpu``, ``tensor_split``.
    n_seq
        Sequences that share the cache.
    """

    def __init__(self, path: str, placement: Mapping[str, Any], n_seq: int) -> None:
        if not READABLE:
            raise NotImplementedError("llama.cpp's memory breakdown can be read on Linux only")
        lib.llama_backend_init()
        params = lib.llama_model_default_params()
        params.no_alloc = True
        params.load_mode = lib.LLAMA_LOAD_MODE_NONE  # llama.cpp refuses to map a file that it does not load
        layers = placement["n_gpu_layers"]
        params.n_gpu_layers = layers if layers >= 0 else 0x7FFFFFFF
        params.split_mode, params.main_gpu = placement["split_mode"], placement["main_gpu"]
        if placement["tensor_split"]:
            self._shares = (ctypes.c_float * lib.llama_max_devices())(*placement["tensor_split"])
            params.tensor_split = self._shares
        self._n_seq = n_seq
        self._model = lib.llama_model_load_from_file(path.encode(), params)
        if not self._model:
            raise ModelError(
                f"llama.cpp could not load {Path(path).name}: its architecture may be newer than this "
                "llama-cpp-python (update it), or the file is damaged; its log says which."
            )

    def measure(self, load_params: Mapping[str, Any], kv: str) -> list[dict[str, Any]]:
        """Return the bytes in each kind of memory for one window and one type of KV cache.

        Raises
        ------
        ModelError
            If llama.cpp refuses this combination.
        """
        params = context_defaults(self._n_seq)
        for name in ("n_ctx", "n_batch", "n_ubatch", "n_threads", "n_threads_batch", "swa_full"):
            setattr(params, name, load_params[name])
        params.flash_attn_type = int(load_params["flash_attn"])
        params.type_k = params.type_v = GGML_TYPES[kv]
        context = lib.llama_init_from_model(self._model, params)
        if not context:
            raise ModelError(f"llama.cpp refused a window of {load_params['n_ctx']:,} with a {kv} cache.")
        try:
            return breakdown(context)
        finally:
            lib.llama_free(context)

    def facts(self) -> dict[str, Any]:
        """Return what only llama.cpp knows of the model."""
        return {
            "n_vocab": lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self._model)),
            "n_ctx_train": lib.llama_model_n_ctx_train(self._model),
            "size": lib.llama_model_size(self._model),
        }

    def close(self) -> None:
        """Forget the model."""
        lib.llama_model_free(self._model)


def devices() -> list[dict[str, Any]]:
    """Return the GPUs that this build of llama.cpp would use, with their free and total bytes.

    It passes over GPUs that share the computer's memory where there are others.
    """
    ggml, found = _ggml(), []
    for i in range(ggml.ggml_backend_dev_count()):
        device = ggml.ggml_backend_dev_get(i)
        kind = ggml.ggml_backend_dev_type(device)
        if kind in GPU_KINDS:
            free, total = ctypes.c_size_t(), ctypes.c_size_t()
            ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
            identifier = ggml.ggml_backend_dev_name(device).decode()
            row = {
                "id": identifier,
                "name": ggml.ggml_backend_dev_description(device).decode(),
                "free": free.value,
                "total": total.value,
                "unified": shares_memory(kind, identifier),
            }
            found.append((kind, row))
    own = [row for kind, row in found if kind == GPU_KINDS[0]]
    return own or [row for _, row in found]


def breakdown(context: Any) -> list[dict[str, Any]]:
    """Return the bytes in each kind of memory that a context, real or simulated, takes; none if unreadable."""
    return [_named(node) for node in _nodes(context)] if READABLE else []


def _nodes(context: Any) -> Iterator[_Node]:
    function = getattr(lib._lib, SYMBOL)
    function.argtypes, function.restype = [ctypes.c_void_p], _Map
    found = function(context)
    if found.count > MOST_NODES:
        raise NotImplementedError("llama.cpp's memory breakdown is laid out in another way")
    waiting = [found.root]
    while waiting:
        address = waiting.pop()
        if address:
            node = _Node.from_address(address)
            waiting += [node.left, node.right]
            yield node


def _named(node: _Node) -> dict[str, Any]:
    ggml = _ggml()
    device = ggml.ggml_backend_buft_get_device(node.buffer_type)
    on_gpu = (
        device
        and not ggml.ggml_backend_buft_is_host(node.buffer_type)
        and ggml.ggml_backend_dev_type(device) in GPU_KINDS
    )
    return {
        "buffer": ggml.ggml_backend_buft_name(node.buffer_type).decode(),
        "device": ggml.ggml_backend_dev_name(device).decode() if on_gpu else "CPU",
        "weights": node.model,
        "kv": node.context,
        "compute": node.compute,
    }


@cache
def _ggml() -> Any:
    """Return ggml's library with the prototypes of what is called here."""
    folder = Path(os.environ.get("LLAMA_CPP_LIB_PATH") or Path(llama_cpp.__file__).parent / "lib")
    names = ("libggml.so", "libggml.dylib", "ggml.dll")
    found = next((folder / n for n in names if (folder / n).exists()), None)
    # conda's package has no folder of its own: there ggml is what libllama is linked with.
    ggml = ctypes.CDLL(str(found)) if found is not None else lib._lib
    pointer, size = ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)
    for name, result, *arguments in (
        ("ggml_backend_dev_count", ctypes.c_size_t),
        ("ggml_backend_dev_get", pointer, ctypes.c_size_t),
        ("ggml_backend_dev_type", ctypes.c_int, pointer),
        ("ggml_backend_dev_name", ctypes.c_char_p, pointer),
        ("ggml_backend_dev_description", ctypes.c_char_p, pointer),
        ("ggml_backend_dev_memory", None, pointer, size, size),
        ("ggml_backend_buft_name", ctypes.c_char_p, pointer),
        ("ggml_backend_buft_is_host", ctypes.c_bool, pointer),
        ("ggml_backend_buft_get_device", pointer, pointer),
    ):
        function = getattr(ggml, str(name))
        function.restype, function.argtypes = result, arguments
    return ggml
