from __future__ import annotations

import pytest
from any_events import EVENTS, KINDS
from hypothesis import given
from hypothesis import strategies as st
from scripted_runs import opening, search, stamped, whole

from loom_jupyter import events as ev
from loom_jupyter.events import RunState
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs.view import TEXT_LIMIT, RunView, StepState, reduce, view_of


def states(view: RunView) -> dict[str, str]:
    return {step.node.value: step.state.value for step in view.steps}


def test_before_anything_happens_all_five_steps_wait() -> None:
    view = RunView()
    assert states(view) == dict.fromkeys(["architect", "explorer", "coder", "check", "review"], "waiting")
    assert view.at_work


def test_a_run_up_to_review() -> None:
    view = view_of(whole())
    assert states(view) == {
        "architect": "done",
        "explorer": "done",
        "coder": "done",
        "check": "done",
        "review": "active",
    }
    assert not view.at_work
    assert view.check == "pytest -q"
    assert view.before is not None
    assert (view.before.passed, view.before.summary) == (False, "1 failed, 13 passed")
    assert view.after is not None
    assert (view.after.passed, view.after.summary) == (True, "14 passed")
    assert view.step(Node.CODER).tokens == 412
    assert view.step(Node.CODER).rate == pytest.approx(412 / 15)
    assert (view.model.name, view.model.n_ctx, view.model.loading) == ("tiny", 16384, False)
    assert [file.path for file in view.files] == ["tariff.py"]


@pytest.mark.parametrize(
    ("state", "review"),
    [
        ("accepted", "done"),
        ("rejected", "done"),
        ("undone", "done"),
        ("failed", "skipped"),
        ("stopped", "skipped"),
    ],
)
def test_the_review_step_follows_the_run(state: str, review: str) -> None:
    assert states(view_of(whole(RunState(state))))["review"] == review


@pytest.mark.parametrize(("state", "coder"), [("failed", "failed"), ("stopped", "stopped")])
def test_a_run_that_breaks_off_leaves_the_step_it_was_at(state: str, coder: str) -> None:
    events = stamped([*opening(), ev.StateChanged(state=RunState(state))])
    view = view_of(events)
    assert states(view)["coder"] == coder
    assert states(view)["review"] == "skipped"
    assert view.step(Node.CODER).seconds == pytest.approx(0.1)


def test_a_check_that_still_fails_is_a_failed_step_with_a_proposal_for_review() -> None:
    view = view_of(whole(solved=False))
    assert states(view)["check"] == "failed"
    assert states(view)["review"] == "active"
    assert view.after is not None
    assert view.after.passed is False


def test_the_check_before_the_change_leaves_the_check_waiting_for_the_change() -> None:
    started = ev.CheckStarted(command="pytest", stage="before")
    during = view_of(stamped([started]))
    assert during.step(Node.CHECK).state is StepState.ACTIVE
    after = view_of(
        stamped([started, ev.CheckFinished(stage="before", passed=False, summary="1 failed", seconds=1)])
    )
    assert after.step(Node.CHECK).state is StepState.WAITING


def test_loading_is_told_apart_from_thinking() -> None:
    loading = ev.ModelLoading(name="tiny", phase="download", fraction=0.25)
    view = view_of(stamped([loading]))
    assert (view.model.loading, view.model.phase, view.model.fraction) == (True, "download", 0.25)
    assert not view_of(stamped([loading, ev.NodeStarted(node=Node.ARCHITECT)])).model.loading


def test_streamed_text_is_bounded_and_its_rate_is_live() -> None:
    pieces = [ev.NodeText(node=Node.CODER, text="x" * 1000) for _ in range(41)]
    view = view_of(stamped([ev.NodeStarted(node=Node.CODER), *pieces]))
    assert len(view.step(Node.CODER).text) == TEXT_LIMIT
    assert view.step(Node.CODER).rate == pytest.approx(10)


def test_time_stands_still_once_nothing_is_at_work_and_review_does_not_count() -> None:
    events = whole()
    view = view_of(events)
    assert view.seconds(now=9e9) == pytest.approx(events[-1].ts - events[0].ts)
    accepted = reduce(view, ev.StateChanged(state=RunState.ACCEPTED, ts=5000, seq=99))
    assert accepted.seconds(now=9e9) == view.seconds(now=9e9)


def test_an_elapsed_step_counts_until_now() -> None:
    view = view_of(stamped([ev.NodeStarted(node=Node.CODER)]))
    assert view.step(Node.CODER).elapsed(1002.1) == pytest.approx(2.0)


def test_a_refused_request_is_kept_with_its_reason() -> None:
    said = ev.ControlHandled(id="a", action=ev.Action.ACCEPT, ok=False, reason="tariff.py changed since.")
    assert view_of(stamped([said])).refused == ("tariff.py changed since.",)


def test_reduce_leaves_the_old_view_as_it_was() -> None:
    view = view_of(whole()[:5])
    copy = view_of(whole()[:5])
    reduce(view, whole()[-1])
    assert view == copy


@given(EVENTS)
def test_any_events_in_any_order_make_a_view(events: list[ev.Event]) -> None:
    view = view_of(events)
    assert len(view.steps) == 5
    assert view.seconds(2e9) >= 0
    assert all((step.elapsed(2e9) or 0) >= 0 or step.seconds is not None for step in view.steps)


@given(st.permutations(whole()))
def test_a_run_whose_lines_come_in_another_order_still_makes_a_view(events: list[ev.Event]) -> None:
    assert view_of(events).proposal is not None


def test_every_event_type_is_looked_at_or_known_to_say_nothing() -> None:
    from loom_jupyter.runs.view import _after

    assert set(KINDS) <= set(_after.registry)


def test_the_search_counts_its_candidates() -> None:
    view = view_of(stamped([*opening(), *search(False)]))
    assert [(c.number, c.verdict) for c in view.candidates] == [(1, "refused"), (2, "failed")]
