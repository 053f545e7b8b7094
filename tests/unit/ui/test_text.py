from __future__ import annotations

from scripted_runs import opening, stamped, whole

from loom_jupyter import events as ev
from loom_jupyter.events import RunState
from loom_jupyter.runs.compose import compose
from loom_jupyter.runs.view import RunView, view_of
from loom_jupyter.ui import text


def test_a_run_in_review_as_text() -> None:
    page = text.page(compose(view_of(whole()), 2000))
    assert page.splitlines()[:7] == [
        "Loom · tiny · window 16k · 2.0 of 24 GB",
        "  ● Architect   0.9 s  change: 2 kg costs the small price",
        "  ● Explorer    0.4 s  1 of 41 files · 1 target · 1,140 tok",
        "  ● Coder       6.1 s  tariff.py: replaced line   412 tok · 27/s",
        "  ● Check       1.1 s  14 passed   before: 1 failed, 13 passed",
        "  ◐ Review             waiting for you · 1 file, +1 −1",
        "  Waiting for your review · 2.3 s",
    ]
    assert "     2 −     if weight < 2:\n     2 +     if weight <= 2:" in page
    assert "   1 tariff.py                        ████████████▒▒▒▒   31.0  “tariff” · tariff() l.1" in page


def test_before_the_first_event() -> None:
    assert text.page(compose(RunView(), 0)).splitlines()[0] == "Loom"
    assert "queued" in text.page(compose(RunView(), 0))


def test_a_run_in_another_process_that_waits_says_for_what() -> None:
    view = view_of(stamped([ev.StateChanged(state=RunState.QUEUED, reason="behind one run")]))
    assert "queued: behind one run" in text.page(compose(view, 1000))


def test_loading_is_named_with_its_fraction() -> None:
    view = view_of(stamped([*opening()[:3]]))
    assert "loading tiny · 50 %" in text.page(compose(view, 1000))


def test_between_two_steps_it_is_said_what_is_awaited() -> None:
    events = whole()
    said = [
        text.page(compose(view_of(events[:n]), 1000)).splitlines()[6].split(" · ")[0].strip() for n in range(1, 27)
    ]
    assert [words for n, words in enumerate(said) if words not in said[:n] and not words.startswith("0.")] == [
        "queued",
        "reading the workspace",
        "preparing the model",
        "loading tiny",
        "preparing the staged copy",
        "Check is running",
        "Architect is running",
        "Explorer is running",
        "preparing the proposal",
        "Waiting for your review",
    ]


def test_a_run_that_waits_for_the_user_says_what_it_asks_and_how_to_tell() -> None:
    asked = [ev.QuestionAsked(text="Which one?"), ev.StateChanged(state=RunState.WAITING)]
    page = text.page(compose(view_of(stamped([*opening()[:5], *asked])), 1000))
    assert "Architect asks: Which one?" in page
    assert "loom answer" in page
    assert "Waiting for your answer" in page
    over = view_of(stamped([*asked, ev.QuestionAnswered(text="a"), ev.StateChanged(state=RunState.RUNNING)]))
    assert "Which one?" not in text.page(compose(over, 1000))
    planned = view_of(stamped([*opening(), ev.StateChanged(state=RunState.WAITING)]))
    assert "accept  tariff(2) is 4.9" in text.page(compose(planned, 1000))
