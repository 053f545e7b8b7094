"""Recorded runs of a real model, and what there is to see of them: shared with the sidebar's reducer.

After a change of what a view holds: ``python -m tests.runs.test_recorded``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from loom_jupyter.runs.log import read_events
from loom_jupyter.runs.view import RunView, view_of

RECORDED = Path(__file__).parents[1] / "fixtures" / "progress"
LOGS = sorted(RECORDED.glob("*.jsonl"))
POINTS = (0.3, 0.7, 1.0)
"""How far the log is read."""


def plain(value: Any) -> Any:
    """Return events within a view as data."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def as_data(view: RunView) -> Any:
    fields = asdict(view)
    fields["model"].pop("since")  # only the panel's clock needs it
    return plain(fields)


def views(log: Path) -> list[dict[str, Any]]:
    events = read_events(log)
    counts = [round(len(events) * point) for point in POINTS]
    return [{"events": count, "view": as_data(view_of(events[:count]))} for count in counts]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_recorded_run_is_seen_as_the_sidebar_expects(log: Path) -> None:
    assert json.loads(log.with_suffix(".json").read_text("utf-8")) == json.loads(json.dumps(views(log)))


def test_there_are_recorded_runs() -> None:
    ends = {view_of(read_events(log)).state for log in LOGS}
    assert len(ends) == 3


if __name__ == "__main__":
    for recorded in LOGS:
        recorded.with_suffix(".json").write_text(json.dumps(views(recorded), indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{len(LOGS)} views written\n")
