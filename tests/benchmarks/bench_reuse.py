"""Share of prompt tokens that a run need not read again: ``python -m tests.benchmarks.bench_reuse [MODEL]``.

Two runs of the sample project, one repair round each, one after the other with the same loaded model. A check
that nothing passes drives the search on to the repair. Tokens are counted: load on the machine does not matter.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loom_jupyter import Loom
from loom_jupyter.events import Event, NodeUsage
from loom_jupyter.pipeline import coder
from loom_jupyter.pipeline.search.candidates import UnitWriter

SAMPLE = Path(__file__).parents[2] / "notebooks" / "parcels"
TASK = "parcel_price(weight=2.0) charges the 2-5 kg tariff; up to and including 2 kg should cost the small one"
GOAL = 0.6


def reuse(events: Sequence[Event]) -> dict[str, tuple[int, int]]:
    """Return prompt tokens and how many of them were reused, by node and in all."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for event in events:
        if isinstance(event, NodeUsage):
            for name in (event.node.value, "all"):
                prompt, reused = found[name]
                found[name] = prompt + event.prompt_tokens, reused + event.reused_tokens
    return found


def main() -> int:
    model = sys.argv[1] if len(sys.argv) > 1 else None
    coder.REPAIR_ROUNDS = 1
    worst, asked, repair = 1.0, [], UnitWriter.repair

    def counted(self: UnitWriter, *args: Any) -> Any:
        asked.append(self.target.id)
        return repair(self, *args)

    UnitWriter.repair = counted  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JUPYTER_DATA_DIR"] = folder
        root = Path(shutil.copytree(SAMPLE, Path(folder) / "parcels"))
        loom = Loom(root, model)
        for number in (1, 2):
            run = loom.run(TASK, check="false", budget=60)
            run.wait()
            print(f"run {number}: {run.state.value}, {len(asked)} repair asked for so far {run.error or ''}")
            for node, (prompt, reused) in reuse(run.events()).items():
                print(f"  {node:10} {prompt:6,} prompt tokens, {reused:6,} reused: {reused / max(1, prompt):.0%}")
                worst = min(worst, reused / max(1, prompt)) if node == "all" else worst
            if "-v" in sys.argv:
                for event in run.events():
                    if isinstance(event, NodeUsage):
                        print("    ", event.node.value, event.prompt_tokens, event.reused_tokens)
    return 0 if worst >= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
