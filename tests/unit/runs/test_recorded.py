"""Documents of recorded runs of a real model, and of scripted ones: the sidebar's tests show these.

After a change of what a document holds: ``make snapshots``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from places import FIXTURES

sys.path.insert(0, str(FIXTURES))  # also where this is run as a script

from scripted_runs import opening, stamped, whole

from loom_jupyter import events as ev
from loom_jupyter.events import RunState
from loom_jupyter.runs.compose import compose
from loom_jupyter.runs.document import as_data
from loom_jupyter.runs.log import read_events
from loom_jupyter.runs.view import view_of

LOGS = sorted((FIXTURES / "progress").glob("*.jsonl"))
DOCUMENTS = FIXTURES / "documents.json"
TWO_HUNKS = "--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,3 @@\n-a\n+b\n same\n-c\n+d\n"
VERSIONS = "a.py changed.\n\n<<<<<<< proposed\n<img src=x>\n>>>>>>> now"


def refused(reason: str, *, mergeable: bool) -> ev.ControlHandled:
    return ev.ControlHandled(id="c", action=ev.Action.ACCEPT, ok=False, reason=reason, mergeable=mergeable)


def scripted() -> dict[str, list[ev.Event]]:
    waiting = ev.StateChanged(state=RunState.WAITING)
    chip = ev.Noticed(text="ignored", chip="not trusted", command="%loom trust")
    file = ev.ProposedFile(path="a.py", added=2, removed=2, diff=TWO_HUNKS)
    return {
        "review": whole(),
        "accepted": whole(RunState.ACCEPTED),
        "mergeable": [*whole(), refused("tariff.py changed", mergeable=True)],
        "refused": [*whole(), refused(VERSIONS, mergeable=False)],
        "question": [*opening()[:5], ev.QuestionAsked(text="Which <b>price</b>?"), waiting],
        "plan": [*opening(), waiting],
        "untrusted": [*whole()[:-1], chip, chip, whole()[-1]],
        "hunks": [*whole()[:-1], ev.ProposalMade(summary="", files=[file], passed=True), whole()[-1]],
    }


def documents() -> dict[str, Any]:
    recorded = {log.stem: read_events(log) for log in LOGS}
    recorded["coding"] = next(
        recorded["solved"][:n]
        for n, event in enumerate(recorded["solved"], 1)
        if isinstance(event, ev.CandidateTried)
    )
    runs = recorded | {name: stamped(events) for name, events in scripted().items()}
    views = {name: view_of(events) for name, events in runs.items()}
    return {name: as_data(compose(view, view.last_ts)) for name, view in views.items()}


def test_runs_are_seen_as_the_sidebar_expects() -> None:
    assert json.loads(DOCUMENTS.read_text("utf-8")) == documents()


def test_there_are_recorded_runs() -> None:
    ends = {view_of(read_events(log)).state for log in LOGS}
    assert len(ends) == 3


if __name__ == "__main__":
    DOCUMENTS.write_text(json.dumps(documents(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    sys.stdout.write(f"{len(documents())} documents written\n")
