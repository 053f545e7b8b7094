"""Loading, speed and Stop of a local model: ``python tests/benchmarks/bench_model.py [MODEL]``.

Speed is a ratio to what `llama_cpp.Llama` gives for the same prompt in the same process, measured in turns on one
thread and in processor time, so that other load on the machine disturbs neither.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from pathlib import Path

from loom_jupyter.errors import Cancelled
from loom_jupyter.models import download, gguf
from loom_jupyter.models.device import find
from loom_jupyter.models.engine import Engine
from loom_jupyter.models.generate import Sampler, reply
from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.models.memory import _load_params
from loom_jupyter.models.protocol import Message
from loom_jupyter.models.stop import Stop

CODE = "def area(width, height):\n    return width * height\n\n\n"
LONG: list[Message] = [{"role": "user", "content": CODE * 1400}]  # some 20,000 tokens
SHORT: list[Message] = [{"role": "user", "content": "Explain quicksort in detail."}]
TOKENS = 48


def main() -> None:
    path = download.locate(sys.argv[1] if len(sys.argv) > 1 else None)
    header_ms = min(_timed(lambda: gguf.read(path)) for _ in range(5)) * 1e3
    print(f"header read in {header_ms:.0f} ms")
    _speed(path)
    began = time.perf_counter()
    model = LlamaCpp(path, 24_576)
    print(f"planned and loaded in {time.perf_counter() - began:.1f} s")
    _stops(model, path)
    model.close()


def _speed(path: Path) -> None:
    params = {**_load_params(gguf.read(path), find([], "CPU")), "n_ctx": 4096, "verbose": False}
    engine = Engine({**params, "n_threads": 1, "n_threads_batch": 1}, 1, Stop(), lambda _: True)
    prompt = engine.tokenize(CODE * 30)
    ours: dict[str, list[float]] = {"prefill": [], "decode": []}
    theirs: dict[str, list[float]] = {"prefill": [], "decode": []}
    for _ in range(5):
        engine.keep(0)
        began = time.process_time()
        engine.prefill(prompt)
        ours["prefill"].append(time.process_time() - began)
        sampler = Sampler(engine.vocab)
        began = time.process_time()
        reply(engine, prompt, max_tokens=TOKENS, sampler=sampler, stop=(), on_text=lambda _: None)
        ours["decode"].append(time.process_time() - began)
        engine.keep(0)
        llama = engine._llama
        llama.reset()
        began = time.process_time()
        tokens = llama.generate(prompt, temp=0.0, repeat_penalty=1.0)
        next(tokens)
        theirs["prefill"].append(time.process_time() - began)
        began = time.process_time()
        for _ in range(TOKENS):
            next(tokens)
        theirs["decode"].append(time.process_time() - began)
        tokens.close()
    for phase, count in (("prefill", len(prompt)), ("decode", TOKENS)):
        mine, other = statistics.median(ours[phase]), statistics.median(theirs[phase])
        print(
            f"{phase:7} {count / mine:6.1f} tokens a processor second, "
            f"llama-cpp-python {count / other:6.1f}: {other / mine:.1%}"
        )


def _stops(model: LlamaCpp, path: Path) -> None:
    print(f"stop while it reads a long prompt: {_stop(model, LONG, after=2.0)}")
    print(f"stop while it writes:              {_stop(model, SHORT, after=1.0)}")
    latencies = []
    for after in (0.05, 0.3, 0.6, 0.9):
        cancel, pressed = threading.Event(), [0.0]
        _press(cancel, pressed, after).start()
        try:
            LlamaCpp(path, 24_576, cancel=cancel).close()
        except Cancelled:
            latencies.append((time.perf_counter() - pressed[0]) * 1e3)
    print(f"stop while it loads:               {_shown(latencies)}")


def _stop(model: LlamaCpp, messages: list[Message], after: float) -> str:
    latencies = []
    for i in range(5):
        cancel, pressed = threading.Event(), [0.0]
        _press(cancel, pressed, after).start()
        try:
            model.chat([{"role": "system", "content": str(i)}, *messages], max_tokens=2000, cancel=cancel)
        except Cancelled:
            latencies.append((time.perf_counter() - pressed[0]) * 1e3)
    return _shown(latencies)


def _shown(latencies: list[float]) -> str:
    if not latencies:
        return "never reached"
    return f"median {statistics.median(latencies):.0f} ms, worst {max(latencies):.0f} ms of {len(latencies)}"


def _press(cancel: threading.Event, pressed: list[float], after: float) -> threading.Timer:
    def press() -> None:
        pressed[0] = time.perf_counter()
        cancel.set()

    return threading.Timer(after, press)


def _timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
