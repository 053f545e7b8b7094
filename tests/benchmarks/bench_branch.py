"""Branches side by side against one after the other: ``python tests/benchmarks/bench_branch.py [MODEL]``.

Measured as processor time of the worker, which other processes disturb less than they do the clock.
"""

from __future__ import annotations

import statistics
import sys

import psutil

from loom_jupyter.models import download, llamacpp
from loom_jupyter.models.protocol import Branch, Message

MESSAGES: list[Message] = [
    {"role": "system", "content": "You repair Python functions."},
    {
        "role": "user",
        "content": "tariff(weight) charges the 2-5 kg tariff for 2.0 kg; up to 2 kg is the small one.",
    },
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
    path = download.locate(sys.argv[1] if len(sys.argv) > 1 else None)
    expected: dict[Branch, str] = {}
    for width in (1, 4, 8, 16):
        model = llamacpp.LlamaCpp(path, sequences=width + 1 if width > 1 else 1)
        worker = psutil.Process(model.pid)
        scores, _ = model.score(MESSAGES, TEXT, prefix=PREFIX)
        doubts = sorted(
            ((a.logprob, Branch(s.index, a.token)) for s in scores for a in s.alternatives), key=lambda x: -x[0]
        )
        branches = [branch for _, branch in doubts[:32]]
        seconds = []
        for _ in range(3):
            began = worker.cpu_times().user
            found = {c.branch: c.text for c in model.branch(MESSAGES, TEXT, branches, prefix=PREFIX)}
            seconds.append(worker.cpu_times().user - began)
        model.close()
        expected = expected or found
        same = sum(found[b] == expected.get(b) for b in branches)
        print(
            f"{width:2} at a time: {statistics.median(seconds):6.2f} s, {same} of {len(branches)} texts the same"
        )


if __name__ == "__main__":
    main()
