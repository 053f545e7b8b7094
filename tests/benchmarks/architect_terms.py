"""Ask for the search terms of every request: ``python -m tests.benchmarks.architect_terms MODEL OUT``.

It is the Architect that is asked, in its own prompt. Writes ``{commit: [term, ...]}`` for
`tests.benchmarks.ranking --terms`, which measures what they add.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from unittest.mock import Mock

from loom_jupyter.models import download
from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.pipeline import architect
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.pipeline.interfaces import Observer, Talk

REQUESTS = Path(__file__).with_name("requests.jsonl")


def main() -> None:
    """Ask, tell the time a request and write the terms."""
    model, out = LlamaCpp(download.locate(sys.argv[1]), 4096), Path(sys.argv[2])
    terms, seconds = {}, []
    for line in REQUESTS.read_text("utf-8").splitlines():
        case = json.loads(line)
        start = time.perf_counter()
        spec = architect.plan(Talk(model, Node.ARCHITECT, case["request"], Mock(spec=Observer)))
        seconds.append(time.perf_counter() - start)
        terms[case["commit"]] = list(spec.terms)
        out.write_text(json.dumps(terms, indent=1), "utf-8")
    print(f"{len(terms)} requests, median {statistics.median(seconds):.1f} s a request")


if __name__ == "__main__":
    main()
