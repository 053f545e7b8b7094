"""How fast the index is, as ratios within one run, and how it grows: ``python -m tests.benchmarks.index_speed``.

A machine that is slow or busy measures itself too. Give a real tree with ``--tree``; a synthetic one of 2,000
files is made otherwise. The growth up to ``--files`` is drawn into ``--plot``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from loom_jupyter.context.index import Index
from loom_jupyter.context.terms import words
from loom_jupyter.settings import Settings
from tests.benchmarks.growth_plot import draw

WORDS = sorted(
    words(
        "parcel tariff weight depot scale stamp letter route driver customs address invoice refund label sorter "
        "belt scanner van bicycle zone price limit queue shift track signature window counter mailbox carrier"
    )
)
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
COLD = """
import json, pathlib, resource, sys, time
start = time.perf_counter()
from loom_jupyter.context.index import Index
from loom_jupyter.settings import Settings
index = Index(pathlib.Path(sys.argv[1]), Settings(), pathlib.Path(sys.argv[2]))
opened = time.perf_counter()
index.refresh()
refreshed = time.perf_counter()
len(index.rank("why is the price of a parcel wrong"))
own, child = (resource.getrusage(w).ru_maxrss / 1024 for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
used = sum(sum(resource.getrusage(w)[:2]) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([refreshed - opened, time.perf_counter() - start, own, child, used]))
"""
BESIDE = """
import pathlib, sys
sys.path[:] = sys.argv[3].split(":")
from tests.benchmarks.index_speed import wait_of
print(wait_of(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[4]))
"""


def seconds(work: Callable[[], object], times: int = 5) -> float:
    """Best time of several runs: what the work costs when nothing else gets in its way."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def module(rnd: random.Random, functions: int) -> str:
    """Write a module's source."""
    return "".join(
        f"def {rnd.choice(WORDS)}_{rnd.choice(WORDS)}_{i}({rnd.choice(WORDS)}):\n"
        f'    """{" ".join(rnd.choices(WORDS, k=8))}."""\n'
        f"    {rnd.choice(WORDS)} = {rnd.choice(WORDS)}_{rnd.choice(WORDS)}({rnd.randrange(9999)}, {i})\n"
        f"    return {rnd.choice(WORDS)}\n\n\n"
        for i in range(functions)
    )


def plant(root: Path, numbers: range, functions: int) -> None:
    """Write the files of a synthetic tree that have these numbers."""
    for n in numbers:
        rnd = random.Random(n)
        folder = root / rnd.choice(WORDS) / f"{rnd.choice(WORDS)}_{n % 97}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{rnd.choice(WORDS)}_{n}.py").write_text(module(rnd, functions))


def repository(root: Path) -> Path:
    """Make a git repository of 2,000 Python files, 12 MB."""
    plant(root, range(2000), 30)
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "Start"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    return root


def child(code: str, *arguments: str) -> str:
    """Run Python code in a process of its own and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout


def against_ctags(tree: Path, room: Path) -> Iterator[tuple[str, str, str]]:
    """Index the tree cold, and open it again, each in a fresh process."""
    tags, cold, again = [], [], []
    for turn in range(3):
        if shutil.which("ctags"):
            command = ["ctags", "-R", "-f", str(room / "tags"), str(tree)]
            tags.append(seconds(lambda command=command: subprocess.run(command, check=True), 1))  # type: ignore[misc]
        folder = room / f"cold{turn}"
        folder.mkdir()
        cold.append(json.loads(child(COLD, str(tree), str(folder))))
        again.append(json.loads(child(COLD, str(tree), str(folder))))
    best = min(c[0] for c in cold)
    if tags:
        yield "ctags -R", f"{min(tags):.2f} s", ""
    yield "cold index", f"{best:.2f} s", f"{best / min(tags):.1f} x ctags (goal 6)" if tags else "no ctags here"
    yield "cold index, CPU", f"{min(c[4] for c in cold):.2f} s", "of all its processes, imports included"
    workers = min(8, os.cpu_count() or 1)
    own, worker = max(c[2] for c in cold), max(c[3] for c in cold)
    yield "memory", f"{own + workers * worker:.0f} MB", f"{own:.0f} + {workers} workers of {worker:.0f} (goal 600)"
    yield "open again", f"{min(a[0] for a in again):.2f} s", "refresh of a saved index in a fresh process"
    yield "open and rank", f"{min(a[1] for a in again):.2f} s", "with all imports"


def against_git(tree: Path, index: Index) -> Iterator[tuple[str, str, str]]:
    """Refresh with nothing and with one file changed."""
    command = ["git", "-C", str(tree), "status"]
    status, same, one = float("inf"), float("inf"), float("inf")
    file = next(p for p in sorted(tree.rglob("*.py")) if p.stat().st_size > 2000)
    before = file.read_bytes()
    for turn in range(10):
        status = min(status, seconds(lambda: subprocess.run(command, capture_output=True, check=True), 1))
        same = min(same, seconds(index.refresh, 1))
        file.write_bytes(before + f"\n# turn {turn}\n".encode())
        one = min(one, seconds(index.refresh, 1))
        file.write_bytes(before)
        index.refresh()
    yield "git status", f"{1000 * status:.0f} ms", ""
    yield "refresh, nothing new", f"{1000 * same:.0f} ms", f"{same / status:.1f} x git status (goal 3, aim 1.5)"
    yield "refresh, one file", f"{1000 * one:.0f} ms", f"{1000 * (one - same):.0f} ms more (goal 100)"


def ranking(index: Index) -> float:
    """Return the median time of a ranking in milliseconds."""
    requests = [" ".join(random.Random(n).sample(WORDS, 9)) for n in range(15)]
    index.rank(requests[0])
    return 1000 * statistics.median(seconds(lambda text=text: index.rank(text), 1) for text in requests)  # type: ignore[misc]


def beside_a_loop(tree: Path, room: Path) -> Iterator[tuple[str, str, str]]:
    """Time the user's own loop alone, and while the tree is indexed in the background."""

    def units(until: Callable[[], bool]) -> float:
        times = []
        while not until() or len(times) < 50:
            start = time.perf_counter()
            sum(i * i for i in range(20_000))
            times.append(time.perf_counter() - start)
        return statistics.fmean(times)

    ratios = []
    for turn in range(3):
        folder = room / f"beside{turn}"
        folder.mkdir()
        ends = time.perf_counter() + 2
        alone = units(lambda ends=ends: time.perf_counter() > ends)  # type: ignore[misc]
        thread = threading.Thread(target=Index(tree, Settings(), folder).refresh)
        thread.start()
        ratios.append(units(lambda thread=thread: not thread.is_alive()) / alone)  # type: ignore[misc]
    yield "a loop beside indexing", f"{min(ratios):.2f} x", f"{statistics.median(ratios):.2f} x median (goal 1.10)"


def wait_of(tree: Path, folder: Path, number: str) -> float:
    """Change files, refresh, rank and ask, several times; return the longest that any of it took."""
    slowest = 0.0
    for turn in range(5):
        for n in range(20):
            (tree / f"own{number}_{n}.py").write_text(f"def made_{number}_{turn}_{n}(): pass\n")
        index = Index(tree, Settings(), folder)
        for work in (index.refresh, lambda: index.rank("made depot"), lambda: index.sql("select * from files")):  # noqa: B023
            slowest = max(slowest, seconds(work, 1))
    return slowest


def four_processes(room: Path) -> Iterator[tuple[str, str, str]]:
    """Four processes on one workspace at once."""
    tree, folder = room / "shared", room / "shared-data"
    plant(tree, range(500), 10)
    folder.mkdir()
    Index(tree, Settings(), folder).refresh()
    waits: list[float] = []

    def one(number: int) -> None:
        path = ":".join(p for p in sys.path if p)
        waits.append(float(child(BESIDE, str(tree), str(folder), path, str(number))))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield "four processes", f"{max(waits):.2f} s", "longest refresh, rank or query of any (goal 2)"


def growth(room: Path, most: int) -> list[tuple[int, float, float, float]]:
    """Return files, rank in ms, refresh in ms and megabytes of a tree that grows."""
    tree, folder = room / "growing", room / "growing-data"
    tree.mkdir()
    folder.mkdir()
    index = Index(tree, Settings(), folder)
    out, planted = [], 0
    for size in [s for s in SIZES if s < most] + [most]:
        plant(tree, range(planted, size), 4)
        planted = size
        index.refresh()
        same = 1000 * seconds(index.refresh, 3)
        out.append((size, ranking(index), same, resident()))
        print(
            f"{size:>8,} files   rank {out[-1][1]:6.1f} ms   refresh {same:6.0f} ms   {out[-1][3]:5.0f} MB",
            flush=True,
        )
    return out


def resident() -> float:
    """Return this process's memory now in megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, help="a git repository to measure with")
    parser.add_argument(
        "--files", type=int, default=100_000, help="files of the largest synthetic tree; 0 for none"
    )
    parser.add_argument("--plot", type=Path, help="SVG file for the growth")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        tree = given.tree.resolve() if given.tree else repository(room / "tree")
        (room / "data").mkdir()
        index = Index(tree, Settings(), room / "data")
        print(f"{index.refresh().files:,} files of {tree.name}", flush=True)
        rows = [*against_ctags(tree, room), *against_git(tree, index)]
        rows.append(("rank", f"{ranking(index):.1f} ms", "median of 15 requests (goal 20)"))
        rows += [*beside_a_loop(tree, room), *four_processes(room)]
        for what, figure, note in rows:
            print(f"{what:<24}{figure:>10}   {note}", flush=True)
        if given.files:
            figures = growth(room, given.files)
            if given.plot:
                given.plot.write_text(draw(figures))


if __name__ == "__main__":
    main()
