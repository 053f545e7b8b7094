"""Speed of the index as ratios within one run, so that a slow or busy machine measures itself too."""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context.index import Index
from loom_jupyter.settings import Settings
from tests.benchmarks.growth_plot import draw
from tests.benchmarks.index_speed import WORDS, repository, seconds


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of 2,000 Python files, 12 MB."""
    return repository(tmp_path_factory.mktemp("speed") / "tree")


@pytest.fixture(scope="module")
def index(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    made = Index(tree, Settings(), tmp_path_factory.mktemp("data"))
    made.refresh()
    return made


def test_cold_index_against_ctags(
    tree: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    if shutil.which("ctags") is None:
        pytest.skip("ctags is not installed")
    tags = seconds(lambda: subprocess.run(["ctags", "-R", "-f", str(tmp_path / "tags"), str(tree)], check=True), 2)
    folders = iter([tmp_path / "a", tmp_path / "b"])

    def cold() -> None:
        folder = next(folders)
        folder.mkdir()
        Index(tree, Settings(), folder).refresh()

    ratio = seconds(cold, 2) / tags
    record_property("cold index / ctags", round(ratio, 1))
    assert ratio < 40  # The goal is 6 on a quiet machine; beyond this something is broken.


def test_refresh_against_git_status(
    tree: Path, index: Index, record_property: Callable[[str, object], None]
) -> None:
    status = seconds(lambda: subprocess.run(["git", "-C", str(tree), "status"], capture_output=True, check=True))
    ratio = seconds(index.refresh) / status
    record_property("refresh / git status", round(ratio, 1))
    assert ratio < 10  # The goal is 3 on a quiet machine.


def test_rank_takes_milliseconds(index: Index, record_property: Callable[[str, object], None]) -> None:
    requests = [" ".join(random.Random(n).sample(WORDS, 9)) for n in range(15)]
    index.rank(requests[0])
    median = statistics.median(seconds(lambda text=text: index.rank(text), 1) for text in requests)
    record_property("rank ms", round(1000 * median, 1))
    assert median < 0.2  # The goal is 20 ms on a quiet machine.


def test_growth_is_drawn() -> None:
    drawn = draw([(1000, 2.5, 20.0, 90.0), (100_000, 80.0, 900.0, 1200.0)])
    assert drawn.startswith("<svg")
    assert drawn.count("<polyline") == 3
    assert "100,000" in drawn
