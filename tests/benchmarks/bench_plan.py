"""The plan beside what llama.cpp allocates and what others predict.

``python -m tests.benchmarks.bench_plan [--real] [--write]``: `--real` loads what fits into memory, `--write` puts
the tables into docs/scaling.md. Synthetic models: true hyperparameters, tensors that are holes in the file.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

from architectures import MODELS, make

from loom_jupyter.models import allocation, gguf
from loom_jupyter.models.allocation import DryRunMeasure, Sizes
from loom_jupyter.models.device import GPU_RESERVE, find
from loom_jupyter.models.gguf import Header
from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.models.memory import _load_params, sequences
from loom_jupyter.models.process import Child
from tests.benchmarks import predictions as others
from tests.benchmarks.predictions import GIB, MIB

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
WINDOW = 8192
CARDS = (8, 16, 24)
CONTEXT = 330 * MIB  # what CUDA takes in a process, as others report
SHOWN = ("qwen2 7B", "llama 3 8B", "gemma 2 9B", "gemma 3 1B", "phi 3 mini", "deepseek 2 lite", "gpt-oss 20B")
SHOWN += ("qwen3moe 30B",)


def measure_of(child: Child, header: Header) -> DryRunMeasure:
    found = DryRunMeasure(child, _load_params(header, find([], "CPU")), sequences(header, gpu=False))
    if not found.open():
        raise SystemExit("This build of llama.cpp cannot be asked; see loom_jupyter/models/dryrun.py.")
    return found


def need(sizes: Sizes) -> int:
    """Bytes of weights, cache, computation, output and CUDA itself: what a card would have to hold."""
    return sizes.total - sizes.overhead + CONTEXT


def sizes_table(child: Child, headers: dict[str, Header], real: bool) -> Iterator[str]:
    yield f"| window {WINDOW:,}, MiB | weights | KV | compute + output | really allocated | Ollama's KV + graph |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name, header in headers.items():
        window = min(WINDOW, header.context_length)
        plan = measure_of(child, header)(window, "f16")
        cache, graph = others.ollama(header, window)
        ours = plan.kv + plan.compute + plan.output
        off = (cache + graph) / ours - 1
        yield (
            f"| {name} | {mib(plan.weights)} | {mib(plan.kv)} | {mib(plan.compute + plan.output)} "
            f"| {reality(header, window, plan) if real else 'not loaded'} | {mib(cache + graph)} ({off:+.0%}) |"
        )


def reality(header: Header, window: int, plan: Sizes) -> str:
    """Load the model and compare what it allocated with the plan, byte by byte."""
    if need(plan) + plan.weights > psutil.virtual_memory().available - 2 * GIB:
        return "too large for this machine"
    with tempfile.TemporaryDirectory() as folder:
        model = LlamaCpp(header.path, window, log=Path(folder) / "log")
        rows = model.memory
        model.close()
    kv, compute = (sum(row[part] for row in rows) for part in ("kv", "compute"))
    off = abs(kv - plan.kv) + abs(compute - plan.compute)
    return "the same bytes" if off == 0 else f"{off:,} bytes off"


def windows_table(child: Child, headers: dict[str, Header]) -> Iterator[str]:
    yield "| model | card | plan | Ollama's formula | Ollama's default | 1.2 × weights |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name in SHOWN:
        header = headers[name]
        measure = measure_of(child, header)
        for card in CARDS:
            vram = card * GIB
            ours = largest(header, lambda n, v=vram, m=measure: need(m(n, "f16")) <= v - GPU_RESERVE)
            formula = largest(header, lambda n, v=vram, h=header: others.ollama_total(h, n) <= v)
            thumb = header.context_length if others.rule_of_thumb(header) <= vram else 0
            chosen = (ours, formula, others.ollama_default(header, vram), thumb)
            cells = " | ".join(told(measure, n, vram) for n in chosen)
            yield f"| {name} | {card} GB | {cells} |"


def largest(header: Header, fits: Callable[[int], bool]) -> int:
    """Return the largest window in steps of 256 up to the trained one; 0 if none fits."""
    low, high = 0, header.context_length // allocation.PAD
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle * allocation.PAD) else (low, middle - 1)
    return low * allocation.PAD


def told(measure: DryRunMeasure, n: int, vram: int) -> str:
    if n == 0:
        return "none"
    over = need(measure(n, "f16")) - vram
    return f"{n:,}" if over <= 0 else f"{n:,}: {over / GIB:.1f} GB too much"


def mib(size: int) -> str:
    return f"{size / MIB:,.1f}"


def put(page: Path, name: str, lines: list[str]) -> None:
    """Replace what stands between the page's marks of that name."""
    text = page.read_text("utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(before + begin + "\n".join(lines) + "\n" + end + after, "utf-8")


def main(words: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        headers = {name: gguf.read(make(name, Path(folder))) for name in MODELS}
        child = Child(Path(folder) / "log")
        try:
            tables: dict[str, Any] = {
                "sizes": list(sizes_table(child, headers, "--real" in words)),
                "windows": list(windows_table(child, headers)),
            }
        finally:
            child.close()
    for name, lines in tables.items():
        print("\n".join(lines), end="\n\n")
        if "--write" in words:
            put(PAGE, name, lines)


if __name__ == "__main__":
    main(sys.argv[1:])
