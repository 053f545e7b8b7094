"""The bytes of a window: asked of llama.cpp in a dry run, or computed from the file's header."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loom_jupyter.models.gguf import Header
from loom_jupyter.models.process import Child

# The closed form of what llama.cpp allocates, from a file's header alone.
#
# It checks the dry run, and stands in where there is none. Source: llama.cpp's `llama_kv_cache`,
# `llama_memory_recurrent` and `llama_hparams`. The cache's size is exact for the architectures that the tests
# name;
# computation has no closed form, so its figure is a bound from above.

PAD = 256
KV_BYTES = {"f16": (1, 2), "q8_0": (32, 34), "q4_0": (32, 18)}  # elements and bytes of a block
GGML_TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2}
# Every n-th layer looks at everything, the others through a sliding window.
SLIDING = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "gpt-oss": 2, "cohere2": 4, "exaone4": 4, "olmo2": 4}
RECURRENT = frozenset({"mamba", "mamba2", "rwkv6", "rwkv7", "rwkv6qwen2", "arwkv7"})
HYBRID = frozenset({"granitehybrid", "jamba", "nemotron_h", "lfm2", "falcon-h1", "qwen3next"})


@dataclass(frozen=True, slots=True)
class Shape:
    """How a model is loaded, as far as the sizes depend on it.

    Attributes
    ----------
    n_ctx
        Window in tokens.
    kv
        Type of the KV cache: ``f16``, ``q8_0`` or ``q4_0``.
    sequences
        Sequences that share the cache.
    ubatch
        Tokens that are computed together.
    """

    n_ctx: int
    kv: str = "f16"
    sequences: int = 1
    ubatch: int = 512


def padded(n: int) -> int:
    """Round up as llama.cpp does with windows."""
    return max(PAD, -(-n // PAD) * PAD)


def kv_bytes(header: Header, shape: Shape) -> int:
    """Return the bytes of the KV cache and of recurrent states."""
    return sum(layer_kv(header, shape))


def layer_kv(header: Header, shape: Shape) -> list[int]:
    """Return the bytes of each layer's cache or state."""
    heads = header.per_layer("attention.head_count_kv", (header.per_layer("attention.head_count", 1) or [1])[0])
    sliding = _sliding(header)
    shared = header.number("attention.shared_kv_layers")
    sizes = [0] * header.layers
    for layer in range(header.layers):
        if _is_recurrent(header, heads[layer]):
            sizes[layer] = shape.sequences * _state_bytes(header)
        elif layer < header.layers - shared:
            cell = _cell_bytes(header, heads[layer], shape.kv, sliding[layer])
            sizes[layer] = _cells(header, shape, sliding[layer]) * cell
    return sizes


def output_bytes(n_vocab: int, shape: Shape) -> int:
    """Return the bytes of the logits that llama.cpp keeps room for from the start."""
    return n_vocab * 4 * shape.sequences


def weight_bytes(header: Header) -> int:
    """Return the bytes of all tensors; an embedding that serves as the output too is kept twice."""
    tied = header.tensors.get("token_embd.weight") if "output.weight" not in header.tensors else None
    return sum(t.size for t in header.tensors.values()) + (tied.size if tied else 0)


def layer_weights(header: Header) -> list[int]:
    """Return the bytes of each layer's tensors, and of the output layer's at the end; the input layer's not."""
    sizes = [0] * (header.layers + 1)
    for name, tensor in header.tensors.items():
        kind, _, rest = name.partition(".")
        number = rest.partition(".")[0]
        if kind == "blk" and number.isdecimal() and int(number) < header.layers:
            sizes[int(number)] += tensor.size
        elif kind != "token_embd" or "output.weight" not in header.tensors:
            sizes[-1] += tensor.size
    return sizes


def compute_bytes(header: Header, n_vocab: int, shape: Shape, outputs: int) -> int:
    """Bound the bytes of intermediate results from above, with flash attention on."""
    width, inner = header.number("embedding_length"), max(header.per_layer("feed_forward_length"), default=0)
    heads = max(header.per_layer("attention.head_count", 1), default=1)
    experts = header.number("expert_used_count") * (2 * header.number("expert_feed_forward_length") + width)
    floats = 4 * width + max(3 * inner, experts) + 2 * heads * max(_head(header, "key"), _head(header, "value"))
    return shape.ubatch * (4 * floats + 2 * shape.n_ctx) + outputs * n_vocab * 4


def vocabulary(header: Header) -> int:
    """Return the number of tokens, as the embedding has rows."""
    embedding = header.tensors.get("token_embd.weight")
    return embedding.shape[1] if embedding and len(embedding.shape) > 1 else header.number("vocab_size", 32_000)


def quantizable(header: Header) -> bool:
    """Whether llama.cpp takes a quantized KV cache: heads must be made of whole blocks."""
    lengths = [_head(header, what, sliding) for what in ("key", "value") for sliding in (False, True)]
    return header.architecture not in RECURRENT and all(n % KV_BYTES["q8_0"][0] == 0 for n in lengths)


def plain(header: Header) -> bool:
    """Whether every layer looks at all that was read, so that more sequences need no more memory."""
    heads = header.per_layer("attention.head_count_kv", (header.per_layer("attention.head_count", 1) or [1])[0])
    recurrent = any(_is_recurrent(header, heads[layer]) for layer in range(header.layers))
    return not recurrent and not any(_sliding(header))


def _cells(header: Header, shape: Shape, sliding: bool) -> int:
    everything = padded(shape.n_ctx)
    if not sliding:
        return everything
    window = header.number("attention.sliding_window")
    return min(everything, padded(window * shape.sequences + shape.ubatch))


def _cell_bytes(header: Header, heads: int, kv: str, sliding: bool) -> int:
    elements, size = KV_BYTES[kv]
    k, v = _head(header, "key", sliding), _head(header, "value", sliding)
    if header.get("attention.key_length_mla") is not None:
        v = 0  # multi-head latent attention: the values are a part of the keys
    return heads * k // elements * size + heads * v // elements * size


def _head(header: Header, what: str, sliding: bool = False) -> int:
    heads = max(1, header.per_layer("attention.head_count", 1)[0] if header.layers else 1)
    width = header.number("embedding_length") // heads
    length = header.number(f"attention.{what}_length", width)
    return header.number(f"attention.{what}_length_swa", length) if sliding else length


def _sliding(header: Header) -> list[bool]:
    if not header.number("attention.sliding_window"):
        return [False] * header.layers
    pattern = header.get("attention.sliding_window_pattern")
    if isinstance(pattern, list) and len(pattern) >= header.layers:
        return [bool(p) for p in pattern[: header.layers]]
    every = pattern if isinstance(pattern, int) else SLIDING.get(header.architecture, 0)
    return [every > 0 and i % every < every - 1 for i in range(header.layers)]


def _is_recurrent(header: Header, kv_heads: int) -> bool:
    return header.architecture in RECURRENT or (header.architecture in HYBRID and kv_heads == 0)


def _state_bytes(header: Header) -> int:
    """Bytes of one sequence's state in one layer; always 32-bit floats."""
    inner, state = header.number("ssm.inner_size"), header.number("ssm.state_size")
    convolution = max(0, header.number("ssm.conv_kernel") - 1)
    groups = header.number("ssm.group_count")
    return 4 * (convolution * (inner + 2 * groups * state) + state * inner)


SMALLEST = 2048  # a window below this serves no task
OUTPUTS = 32  # positions whose logits the worker may ask for at once
PREFIXES = 128 << 20  # copies of KV prefixes, in the computer's memory
PROCESS = 100 << 20  # Python, numpy and llama.cpp itself


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes on the device for one window and one type of KV cache.

    Attributes
    ----------
    spread
        Bytes on each GPU, where there are several.
    split
        Layers on each of them.
    """

    weights: int
    kv: int
    compute: int
    output: int
    overhead: int
    spread: tuple[int, ...] = ()
    split: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """Their sum."""
        return self.weights + self.kv + self.compute + self.output + self.overhead


Measure = Callable[[int, str], Sizes]


class DryRunMeasure:
    """Sizes as llama.cpp says them, asked of the worker once a candidate.

    Parameters
    ----------
    child
        The worker.
    params
        Arguments for `llama_cpp.Llama`.
    sequences
        Sequences that share the cache.
    unified
        Whether what stays with the CPU counts too.
    """

    def __init__(
        self,
        child: Child,
        params: Mapping[str, Any],
        sequences: int,
        *,
        unified: bool = False,
        cancel: threading.Event | None = None,
    ) -> None:
        self._child, self._params, self._sequences, self._cancel = child, params, sequences, cancel
        self._unified = unified
        self._known: dict[tuple[int, str], Sizes] = {}
        self._split: tuple[int, ...] = ()
        self._vocabulary = 0

    def open(self, split: Sequence[int] = ()) -> bool:
        """Begin a dry run, with the layers split so among the GPUs; False where figures cannot be read."""
        request = {
            "op": "dry",
            "path": self._params["model_path"],
            "n_seq": self._sequences,
            "placement": {
                "n_gpu_layers": self._params["n_gpu_layers"],
                "split_mode": self._params.get("split_mode", 1),
                "main_gpu": self._params.get("main_gpu", 0),
                "tensor_split": list(split),
            },
        }
        facts = self._child.get(request, self._cancel)
        if facts is None:
            return False
        self._vocabulary, self._split = facts["n_vocab"], tuple(split)
        self._known.clear()
        return True

    def __call__(self, n_ctx: int, kv: str) -> Sizes:
        """Return the bytes on the device; on a GPU what stays in the host's memory is left out."""
        known = self._known.get((n_ctx, kv))
        if known is None:
            known = self._known[n_ctx, kv] = self._sizes(self.rows(n_ctx, kv), n_ctx, kv)
        return known

    def rows(self, n_ctx: int, kv: str) -> list[dict[str, Any]]:
        """Return the bytes in each kind of memory."""
        request = {"op": "measure", "params": {**self._params, "n_ctx": n_ctx}, "kv": kv}
        found: list[dict[str, Any]] = self._child.get(request, self._cancel)
        return found

    def split_sizes(self, split: Sequence[int], ids: Sequence[str], n_ctx: int, kv: str) -> Sizes:
        """Return the bytes with the layers split so among the GPUs of these short names."""
        if self._split != tuple(split):
            self.open(split)
        rows = self.rows(n_ctx, kv)
        found = self._sizes(rows, n_ctx, kv)
        spread = tuple(
            sum(r["weights"] + r["kv"] + r["compute"] for r in rows if r["device"] == identifier)
            for identifier in ids
        )
        return Sizes(found.weights, found.kv, found.compute, found.output, found.overhead, spread, tuple(split))

    def _sizes(self, rows: list[dict[str, Any]], n_ctx: int, kv: str) -> Sizes:
        on_gpu = [] if self._unified else [r for r in rows if r["device"] != "CPU"]
        weights, cache, compute = (sum(r[k] for r in on_gpu or rows) for k in ("weights", "kv", "compute"))
        output = 0 if on_gpu else output_bytes(self._vocabulary, Shape(n_ctx, kv, self._sequences))
        return Sizes(
            weights, cache, compute, output, 0 if on_gpu else _overhead(self._vocabulary, self._sequences)
        )


def closed_form(header: Header, sequences: int, batch: int = 512) -> Measure:
    """Return sizes from the header alone."""

    def measure(n_ctx: int, kv: str) -> Sizes:
        shape = Shape(n_ctx, kv, sequences, batch)
        n_vocab = vocabulary(header)
        return Sizes(
            weight_bytes(header),
            kv_bytes(header, shape),
            compute_bytes(header, n_vocab, shape, OUTPUTS),
            output_bytes(n_vocab, shape),
            _overhead(n_vocab, sequences),
        )

    return measure


def _overhead(vocabulary: int, sequences: int) -> int:
    """Bytes of the process itself, of kept prefixes, and of the logits that scoring a text will need."""
    return PROCESS + PREFIXES + max(0, OUTPUTS - sequences) * vocabulary * 4
