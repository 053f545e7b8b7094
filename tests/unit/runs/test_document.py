from __future__ import annotations

from pathlib import Path

import pytest
from scripted_runs import opening, stamped, whole

from loom_jupyter import events as ev
from loom_jupyter.events import Action, RunState
from loom_jupyter.runs import document as module
from loom_jupyter.runs.compose import Composer, compose, say
from loom_jupyter.runs.document import Document, as_data, schema_text
from loom_jupyter.runs.messages import TEXTS, joined
from loom_jupyter.runs.view import reduce, view_of


def test_the_schema_is_the_one_that_the_package_ships() -> None:
    assert Path(module.__file__).with_name("document.schema.json").read_text("utf-8") == schema_text()


def test_every_text_is_a_message_that_can_be_translated() -> None:
    def messages(value: object) -> list[dict[str, object]]:
        if isinstance(value, dict):
            own = [value] if {"id", "text", "values"} <= set(value) else []
            return own + [found for item in value.values() for found in messages(item)]
        return [found for item in value for found in messages(item)] if isinstance(value, list) else []

    found = messages(as_data(compose(view_of(whole()), 2000)))
    assert len(found) > 30
    for message in found:
        template = TEXTS[str(message["id"])]
        forms = (template, None) if isinstance(template, str) else template
        assert (message["text"], message["plural"]) == forms


def test_a_value_is_one_safe_line_and_never_a_template() -> None:
    assert str(say("bar.queued_why", reason="{reason} a\n\u202eb")) == "queued: {reason} a ⟨U+202E⟩b"
    assert str(say("outcome.tried", count=1140, verdicts="2 passed")) == "1,140 candidates tried: 2 passed."
    assert len(str(say("check.before", summary="x" * 10_000))) < 500


def test_what_did_not_change_is_the_same_object() -> None:
    composer, events = Composer(), whole()
    view = view_of(events[:-1])
    before = composer.compose(view, 2000)
    after = composer.compose(reduce(view, events[-1]), 2001)
    assert before.bar != after.bar
    for name in ("evidence", "changes", "candidates", "output", "texts"):
        assert getattr(before, name) is getattr(after, name)


def actions(document: Document) -> list[str]:
    return [offer.action.value for offer in document.actions]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("review", ["accept", "reject"]),
        ("accepted", ["undo"]),
        ("rejected", []),
        ("undone", []),
        ("stopped", []),
        ("failed", []),
    ],
)
def test_what_can_be_done_follows_the_state(state: str, expected: list[str]) -> None:
    assert actions(compose(view_of(whole(RunState(state))), 2000)) == expected


def test_a_run_at_work_can_be_stopped_and_one_that_waits_answered() -> None:
    assert actions(compose(view_of([]), 0)) == ["stop"]
    waiting = ev.StateChanged(state=RunState.WAITING)
    asked = compose(view_of(stamped([ev.QuestionAsked(text="Which?"), waiting])), 1000)
    assert (actions(asked), asked.question and asked.question.text) == (["answer", "stop"], "Which?")
    planned = compose(view_of(stamped([*opening(), waiting])), 1000)
    assert actions(planned) == ["approve", "stop"]
    assert planned.plan is not None
    assert planned.plan.hint is not None


def test_an_accept_that_can_only_be_merged_says_so() -> None:
    refused = ev.ControlHandled(id="a", action=Action.ACCEPT, ok=False, reason="changed", mergeable=True)
    offer = compose(view_of([*whole(), refused]), 2000).offers(Action.ACCEPT)
    assert offer is not None
    assert (offer.merged, str(offer.label)) == (True, "Accept merged")


def test_a_check_before_the_change_is_named() -> None:
    document = compose(view_of(stamped([ev.CheckStarted(command="pytest", stage="before")])), 1000)
    assert joined(document.steps[3].text) == "pytest · before the change"


def test_the_clock_of_a_run_stops_with_its_process() -> None:
    view = view_of(stamped(opening()))
    alive, orphan = (Composer().compose(view, 5000, alive=alive) for alive in (True, False))
    assert joined(alive.bar.text) != joined(orphan.bar.text)
    assert [notice.text.id for notice in orphan.notices] == ["process_ended"]
    assert orphan.bar == Composer().compose(view, view.last_ts).bar


def test_a_cell_says_what_must_still_be_there() -> None:
    diff = "--- In [1]\n+++ In [1]\n@@ -2,2 +2,2 @@\n-b\u200b\n+B\n c\n"
    file = ev.ProposedFile(path="In [1]", added=1, removed=1, diff=diff)
    cell = ev.ProposedCell(number=1, cell_id="c1", source="a\nB\nc")
    made = ev.ProposalMade(summary="", files=[file], passed=None, cell=cell)
    document = compose(view_of(stamped([made, ev.StateChanged(state=RunState.ACCEPTED)])), 2000)
    assert document.cell is not None
    assert [(part.start, part.lines) for part in document.cell.expected] == [(2, ("b\u200b", "c"))]
    assert actions(document) == []
