"""What the sandbox costs a trial: milliseconds, for a command, a warm pytest, and putting the copy back.

    python -m tests.benchmarks.bench_sandbox [N]

Medians of N rounds (30), the figures of one round taken one after another, so that a busy machine is busy for all.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from loom_jupyter.checks import command as check
from loom_jupyter.checks.warm import Warm
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import StagedCopy

FILES = 300
BEFORE, AFTER = b"def tariff(kg):\n    return 7\n", b"def tariff(kg):\n    return 8\n"


def workspace(root: Path) -> Path:
    """Make a project of some size with a test that fails."""
    for number in range(FILES):
        file = root / f"pkg{number % 10}" / f"module{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"VALUE = {number}\n" * 20)
    (root / "tariff.py").write_bytes(BEFORE)
    (root / "test_tariff.py").write_text(
        "from tariff import tariff\n\ndef test_two():\n    assert tariff(2) == 4\n"
    )
    return root


def timed(do: Callable[[], object]) -> tuple[float, float]:
    """Return how many milliseconds something takes: by the clock, and of a processor, children included."""
    begin, used = time.perf_counter(), os.times()[:4]
    do()
    return 1000 * (time.perf_counter() - begin), 1000 * (sum(os.times()[:4]) - sum(used))


def main() -> None:
    """Print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    taken: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = workspace(Path(folder) / "ws")
        with StagedCopy(root) as staged:
            warm = Warm("python -m pytest -q", staged.root, timeout=60, workspace=root)
            assert warm.ready()
            isolated, real = check.isolation(), check.isolation

            def cold(command: str, level: str) -> None:
                check.isolation = lambda: level
                check.run_check(command, staged.root, timeout=60, workspace=root)
                check.isolation = real

            change = FileChange("tariff.py", BEFORE, AFTER)
            steps = {
                "`true`, no sandbox": lambda: cold("true", "none"),
                "`true`": lambda: cold("true", isolated),
                "pytest of one test, no sandbox": lambda: cold("python -m pytest -q", "none"),
                "pytest of one test": lambda: cold("python -m pytest -q", isolated),
                "warm pytest of one test": lambda: warm.run(timeout=60),
                "put and restore, 302 files": lambda: (staged.put([change]), staged.restore()),
            }
            for _ in range(rounds):
                for name, step in steps.items():
                    taken.setdefault(name, []).append(timed(step))
            warm.close()
    print(f"n = {rounds}, isolation: {isolated}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, values in taken.items():
        clock, processor = ([value[kind] for value in values] for kind in (0, 1))
        print(
            f"| {name} | {statistics.median(clock):.0f} | {min(clock):.0f} | {statistics.median(processor):.0f} |"
        )


if __name__ == "__main__":
    main()
