"""Branches side by side against one after the other: ``python tests/benchmarks/bench_branch.py [MODEL]``.

Measured as processor time of the worker on one thread, which other processes disturb least.
"""

from __future__ import annotations

import statistics
import sys

import psutil

from loom_jupyter.models import fetch, llamacpp, plan
from loom_jupyter.models.protocol import Branch, Message

MESSAGES: list[Message] = [
    {"role": "system", "content": "You repair Python functions."},
    {"role": "user", "content": "tariff(weight) charges the 2-5 kg tariff for 2.0 kg; up to 2 kg is the small one."},
]
TEXT = '''def tariff(weight, express=False):
    """Return the price of a parcel in cents."""
    if weight <= 0:
        raise ValueError("a parcel weighs something")
    if weight < 2:
        price = 490
    elif weight < 5:
        price = 690
    else:
        price = 690 + 100 * math.ceil(weight - 5)
    return price * 2 if express else price
'''
PREFIX = "```python\n"


def main() -> None:
    llamacpp.SEQUENCES = 17
    plan.free_threads = lambda: 1
    model = llamacpp.LlamaCpp(fetch.locate(sys.argv[1] if len(sys.argv) > 1 else None))
    scores, usage = model.score(MESSAGES, TEXT, prefix=PREFIX)
    worker = psutil.Process(model.pid)
    doubts = sorted(
        ((a.logprob, Branch(s.index, a.token)) for s in scores for a in s.alternatives), key=lambda x: -x[0]
    )
    branches = [branch for _, branch in doubts[:32]]
    print(f"{model.info.name}: {len(scores)} tokens scored in {usage.decode_seconds:.2f} s")
    times: dict[int, list[float]] = {1: [], 4: [], 8: [], 16: []}
    texts: dict[int, dict[Branch, str]] = {}
    for _ in range(3):
        for width, seconds in times.items():
            llamacpp.WIDTH = width
            began = worker.cpu_times().user
            found = list(model.branch(MESSAGES, TEXT, branches, prefix=PREFIX))
            seconds.append(worker.cpu_times().user - began)
            texts[width] = {c.branch: c.text for c in found}
    for width, seconds in times.items():
        same = sum(texts[width][b] == texts[1][b] for b in branches)
        print(f"width {width:2}: {statistics.median(seconds):6.2f} s, {same} of {len(branches)} texts the same")
    model.close()


if __name__ == "__main__":
    main()
