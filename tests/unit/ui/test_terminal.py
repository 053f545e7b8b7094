"""A run that waits for the user, in a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted_runs
from rich.console import Console

from loom_jupyter import Loom
from loom_jupyter.events import RunState
from loom_jupyter.runs import runner
from loom_jupyter.ui import terminal


@pytest.fixture
def loom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loom:
    monkeypatch.setattr(runner, "start", scripted_runs.start)
    return Loom(scripted_runs.project(tmp_path / "parcels"))


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """Type these lines and then nothing more."""
    left: Iterator[str] = iter(lines)

    def line(*_: Any, **__: Any) -> str:
        try:
            return next(left)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(Console, "input", line)


def followed(run: Any) -> str:
    out = io.StringIO()
    terminal.follow(run, Console(file=out, width=120))
    assert run.state is RunState.REVIEW
    return out.getvalue()


def test_the_question_is_asked_and_answered(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "the small one")
    run = loom.run("vague", questions=True)
    assert "Architect asks: Which <b>price</b> is wrong?" in followed(run)
    assert run.request.answer == "the small one"


def test_who_types_nothing_more_leaves_it_to_the_best_guess(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch)
    run = loom.run("vague", questions=True, plan=True)
    followed(run)
    assert run.request.answer == ""
    assert run.plan is not None
    assert run.plan.goal == "2 kg costs the small price"


def test_the_task_is_shown_and_changed(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "zones are right", "zone, country")
    run = loom.run("2 kg", plan=True)
    assert "goal    2 kg costs the small price" in followed(run)
    assert run.plan is not None
    assert (run.plan.goal, run.plan.terms) == ("zones are right", ["zone", "country"])
