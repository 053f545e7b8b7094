"""The exercises' harness on a made-up exercise, with a scripted model."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import exercism

STUB = "def double(number):\n    pass\n"
TEST = (
    "import unittest\n\nfrom double import double\n\n\nclass DoubleTest(unittest.TestCase):\n"
    "    def test_hidden_case(self):\n        self.assertEqual(double(4), 8)\n"
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("double", "without-stub"):
        folder = tmp_path / "clone/exercises/practice" / name
        (folder / ".docs").mkdir(parents=True)
        (folder / ".meta").mkdir()
        (folder / ".docs/instructions.md").write_text("# Instructions\n\nDouble a number.\n")
        files = {"solution": [f"{name}.py"], "test": [f"{name}_test.py"]}
        (folder / ".meta/config.json").write_text(json.dumps({"files": files}))
        (folder / f"{name}_test.py").write_text(TEST)
    (tmp_path / "clone/exercises/practice/double/double.py").write_text(STUB)
    return tmp_path / "clone"


def provide_model(monkeypatch: pytest.MonkeyPatch, model: Any) -> None:
    @contextmanager
    def acquire(*_: Any) -> Iterator[Any]:
        yield model

    monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)


def run(clone: Path, tmp_path: Path, harness: str) -> Any:
    folder = exercism.practice(clone, tmp_path / "unused")
    return exercism.run_named(
        "double", folder=folder, harness=harness, model=None, budget=10, work=tmp_path / "work"
    )


def test_the_reference_has_two_tries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clone: Path, scripted: Any
) -> None:
    wrong, right = STUB.replace("pass", "return number"), STUB.replace("pass", "return 2 * number")
    model = scripted([f"```python\n{wrong}```", f"Sorry.\n```python\n{right}```"])
    provide_model(monkeypatch, model)
    outcome = run(clone, tmp_path, "whole")
    assert outcome.solved
    assert outcome.winner == 2
    assert "hidden_case" not in str(model.prompts[0])
    assert "4 != 8" in str(model.prompts[1])
    assert "Double a number" in model.prompts[0][1]["content"]


def test_the_reference_can_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clone: Path, scripted: Any
) -> None:
    provide_model(monkeypatch, scripted(["```python\nx = 1\n```", ""]))
    outcome = run(clone, tmp_path, "whole")
    assert not outcome.solved
    assert outcome.claimed is False
    assert outcome.candidates == 2
    assert outcome.unusable == 1


def test_loom_is_checked_by_tests_that_it_cannot_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clone: Path, scripted: Any
) -> None:
    plan = json.dumps({"intent": "change", "goal": "double", "acceptance": [], "terms": ["double"]})
    code = STUB.replace("pass", "return 2 * number")

    class Writer(scripted):  # type: ignore[misc]
        score = branch = None

        def chat(self, messages: Any, **options: Any) -> Any:
            prompt = messages[-1]["content"]
            self.replies = [
                plan if '"intent"' in prompt else '{"targets": ["s1"]}' if '"targets"' in prompt else code
            ]
            return super().chat(messages, **options)

    model = Writer()
    provide_model(monkeypatch, model)
    outcome = run(clone, tmp_path, "loom")
    assert outcome.solved, outcome.reason
    assert "return 2 * number" in outcome.diff
    assert not any("hidden_case" in str(prompt) for prompt in model.prompts[:2])
    assert not list((tmp_path / "work/exercises/double/workspace").glob("*test*"))


def test_the_sample_is_fixed_and_bare_clones_are_read(tmp_path: Path, clone: Path) -> None:
    assert exercism.sample(clone / exercism.PRACTICE) == ["double"]
    git = ["git", "-C", str(clone), "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(clone), str(bare)], check=True)
    (tmp_path / "unpacked").mkdir()
    folder = exercism.practice(bare, tmp_path / "unpacked")
    assert exercism.load(folder, "double").stub == "double.py"
    with pytest.raises(exercism.MissingExercisesError, match="--exercises"):
        exercism.practice(tmp_path / "work", tmp_path)
