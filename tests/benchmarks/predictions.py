"""How others predict memory, in own words: Ollama's estimate, its default window, and rules of thumb.

Ollama's figures follow what its sources compute (``fs/ggml/ggml.go``, ``llm/memory.go``): a cache of two bytes an
element, and a graph that is a formula for a few architectures and a share of the cache for all others.
"""

from __future__ import annotations

from loom_jupyter.models import allocation
from loom_jupyter.models.gguf import Header

MIB, GIB = 1 << 20, 1 << 30
BATCH = 512
MINIMUM = 457 * MIB  # what Ollama leaves for a CUDA context
RULE = 1.2  # "a fifth more than the file"


def ollama(header: Header, n_ctx: int) -> tuple[int, int]:
    """Return the bytes of cache and graph that Ollama would expect."""
    cache = _cache(header, n_ctx)
    graph = _graph(header, n_ctx)
    if graph is None:
        heads, kv_heads = _heads(header)
        graph = (heads // max(1, kv_heads)) * sum(cache) // 6
    return sum(cache), graph


def ollama_total(header: Header, n_ctx: int) -> int:
    """Return the bytes that Ollama wants free to put all of the model on one GPU."""
    weights = allocation.layer_weights(header)
    cache, graph = ollama(header, n_ctx)
    buffer = weights[0] + cache // max(1, header.layers)  # one layer more than there are
    return sum(weights) + cache + graph + MINIMUM + buffer


def ollama_default(header: Header, vram: int) -> int:
    """Return the window that Ollama takes when it is not told one."""
    tier = 262_144 if vram >= 47 * GIB else 32_768 if vram >= 23 * GIB else 4096
    return min(tier, header.context_length)


def rule_of_thumb(header: Header) -> int:
    """Return a fifth more than the weights, whatever the window."""
    return int(RULE * sum(allocation.layer_weights(header)))


def _heads(header: Header) -> tuple[int, int]:
    heads = max(header.per_layer("attention.head_count"), default=0)
    return heads, max(header.per_layer("attention.head_count_kv", heads), default=0)


def _cache(header: Header, n_ctx: int) -> list[int]:
    heads = max(1, _heads(header)[0])
    width = header.number("embedding_length") // heads
    k = header.number("attention.key_length", width)
    v = header.number("attention.value_length", width)
    sizes = []
    for layer, kv_heads in enumerate(header.per_layer("attention.head_count_kv", heads)):
        cells = _cells(header, layer, n_ctx)
        sizes.append(2 * cells * (k + v) * kv_heads if kv_heads and _heads(header)[0] else _state(header))
    return sizes


def _cells(header: Header, layer: int, n_ctx: int) -> int:
    if header.architecture == "gemma3" and (layer + 1) % 6:
        return header.number("attention.sliding_window") + BATCH
    if header.architecture == "gpt-oss" and layer % 2 == 0:
        return 4096 + BATCH
    return n_ctx


def _state(header: Header) -> int:
    inner, state = header.number("ssm.inner_size"), header.number("ssm.state_size")
    convolution = max(0, header.number("ssm.conv_kernel") - 1)
    return 4 * (convolution * (inner + 2 * header.number("ssm.group_count") * state) + state * inner)


def _graph(header: Header, n: int) -> int | None:
    """Return the graph's bytes where Ollama has a formula for the architecture."""
    heads, kv_heads = _heads(header)
    width, vocab = header.number("embedding_length"), allocation.vocabulary(header)
    key = header.number("attention.key_length", width // max(1, heads))
    scores = n * (1 + heads)
    floats = {
        "llama": max(1 + 4 * width + scores, width + vocab),
        "qwen2": max(1 + 2 * width + scores, width + vocab),
        "gemma2": max(2 + 2 * width + scores + 2 * key * heads, width + vocab),
        "gemma3": max(2 + 2 * width + scores + 2 * key * heads, width + vocab),
        "deepseek2": max(2 + 3 * width + n * (1 + kv_heads) + 2 * key * kv_heads, 3 * width + vocab),
    }
    if header.architecture == "gpt-oss":
        return (114 + (n >> 10)) * MIB
    found = floats.get(header.architecture)
    return None if found is None else 4 * BATCH * found
