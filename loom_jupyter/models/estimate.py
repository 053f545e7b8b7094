"""The closed form of what llama.cpp allocates, from a file's header alone.

It checks the dry run, and stands in where there is none. Source: llama.cpp's `llama_kv_cache`,
`llama_memory_recurrent` and `llama_hparams`. The cache's size is exact for the architectures that the tests name;
computation has no closed form, so its figure is a bound from above.
"""

from __future__ import annotations

from dataclasses import dataclass

from loom_jupyter.models.gguf import Header

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
