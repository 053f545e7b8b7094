"""Recorded runs of a real model, and the documents that are made of them: the sidebar's tests show these.

After a change of what a document holds: ``python -m tests.runs.test_recorded``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.runs.compose import compose
from loom_jupyter.runs.document import as_data
from loom_jupyter.runs.log import read_events
from loom_jupyter.runs.view import view_of

RECORDED = Path(__file__).parents[1] / "fixtures" / "progress"
LOGS = sorted(RECORDED.glob("*.jsonl"))
POINTS = (0.3, 0.7, 1.0)
"""How far the log is read."""


def documents(log: Path) -> list[dict[str, Any]]:
    events = read_events(log)
    views = [view_of(events[: round(len(events) * point)]) for point in POINTS]
    return [as_data(compose(view, view.last_ts)) for view in views]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_recorded_run_is_seen_as_the_sidebar_expects(log: Path) -> None:
    assert json.loads(log.with_suffix(".json").read_text("utf-8")) == documents(log)


def test_there_are_recorded_runs() -> None:
    ends = {view_of(read_events(log)).state for log in LOGS}
    assert len(ends) == 3


if __name__ == "__main__":
    for recorded in LOGS:
        recorded.with_suffix(".json").write_text(json.dumps(documents(recorded), indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{len(LOGS)} runs written\n")
