"""Runs that wait for the user: the Architect's one question, and the task before the Explorer begins."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted_runs import wait_for

from loom_jupyter import Loom
from loom_jupyter.errors import LoomError
from loom_jupyter.events import RunState
from loom_jupyter.runs import control
from loom_jupyter.runs.request import Request
from loom_jupyter.runs.run import Run
from loom_jupyter.runs.user_input import names_nothing

VAGUE = "make it better"
ASKED = json.dumps({"question": "Which price is wrong?"})
PLAN = json.dumps({"intent": "change", "goal": "2 kg is small", "acceptance": ["4.9"], "terms": ["tariff"]})
CHOICE = json.dumps({"targets": ["s1"]})


def rewrite(messages: Any) -> str:
    """Repeat the unit with a change that parses."""
    text = messages[1]["content"]
    end = text.rindex("\n```")
    unit = text[text.rindex("```python\n", 0, end) + len("```python\n") : end]
    return f"{unit}\n\n\nMENDED = True\n"


ProvideModel = Callable[[list[Any]], Any]


@pytest.fixture
def provide_model(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> ProvideModel:
    """Put a model that says this in the place of the process's model; returns it."""

    def put(replies: list[Any]) -> Any:
        class Rewriting(scripted):  # type: ignore[misc]
            score = None

        model = Rewriting(replies)

        @contextmanager
        def acquire(*_: Any, **__: Any) -> Iterator[Any]:
            yield model

        monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)
        return model

    return put


def waiting(run: Run) -> Run:
    wait_for(lambda: run.state is RunState.WAITING, 30)
    return run


def types(run: Run) -> list[str]:
    return [event.type for event in run.events()]


@pytest.mark.parametrize(
    ("task", "nothing"),
    [
        ("make it better", True),
        ("Please improve the code.", True),
        ("can you fix everything?", True),
        ("help", True),
        ("do some stuff so that it is good", True),
        ("make parcels cheaper", False),  # the index knows parcels
        ("fix `zone`", False),
        ("improve tariff.py", False),
        ("fix it\nTraceback (most recent call last):", False),
        ("fix the TypeError", False),
        ("what is wrong?", False),
        ("explain the project", False),
    ],
)
def test_a_request_that_names_nothing(sample: Path, task: str, nothing: bool) -> None:
    loom = Loom(sample)
    assert names_nothing(Request(id="r", task=task, root=str(sample)), loom.index) is nothing


@pytest.mark.parametrize("given", [{"tagged": ("parcels/tariff.py",)}, {"check": "pytest -q"}, {"ask": True}])
def test_what_was_given_besides_the_words_is_enough(sample: Path, given: dict[str, Any]) -> None:
    request = Request(id="r", task=VAGUE, root=str(sample), **given)
    assert not names_nothing(request, Loom(sample).index)


def test_the_run_waits_for_the_answer_and_uses_it(sample: Path, provide_model: ProvideModel) -> None:
    model = provide_model([ASKED, PLAN, CHOICE, rewrite])
    run = waiting(Loom(sample).run(VAGUE, questions=True))
    assert run.question == "Which price is wrong?"
    assert run.wait(5), "a run that waits for the user is not waited for"
    run.answer("parcel_price of 2.0 kg")
    assert run.wait(60)
    assert run.state is RunState.REVIEW, run.error
    assert types(run).count("question") == types(run).count("answer") == 1
    assert "make it better. parcel_price of 2.0 kg" in model.prompts[1][1]["content"]
    assert run.ledger is not None
    assert "parcel_price" in run.ledger.query
    assert Request.model_validate_json((run.folder / "run.json").read_text()).answer == "parcel_price of 2.0 kg"
    with pytest.raises(LoomError, match="nothing to answer"):
        run.answer("again")


def test_an_empty_answer_leaves_it_to_the_best_guess(sample: Path, provide_model: ProvideModel) -> None:
    model = provide_model([ASKED, PLAN, CHOICE, rewrite])
    run = waiting(Loom(sample).run(VAGUE, questions=True))
    run.answer()
    assert run.wait(60)
    assert run.state is RunState.REVIEW, run.error
    assert model.prompts[1][1]["content"].startswith("Request:\nmake it better\n")


@pytest.mark.parametrize(
    ("task", "options"),
    [(VAGUE, {}), ("parcel_price(2.0) is 7.5 instead of 4.9", {"questions": True})],
    ids=["nobody is there", "something is named"],
)
def test_nothing_is_asked(sample: Path, provide_model: ProvideModel, task: str, options: dict[str, Any]) -> None:
    provide_model([PLAN, CHOICE, rewrite])
    run = Loom(sample).run(task, **options)
    assert run.wait(60)
    assert run.state is RunState.REVIEW, run.error
    assert "question" not in types(run)


def test_a_model_that_knows_enough_asks_nothing(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([json.dumps({"question": " "}), PLAN, CHOICE, rewrite])
    run = Loom(sample).run(VAGUE, questions=True)
    assert run.wait(60)
    assert "question" not in types(run)


def test_stop_ends_a_run_that_waits(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([ASKED])
    run = waiting(Loom(sample).run(VAGUE, questions=True))
    run.stop()
    wait_for(lambda: run.state is RunState.STOPPED)


def test_another_process_answers_through_the_control_file(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([ASKED, PLAN, CHOICE, rewrite])
    run = waiting(Loom(sample).run(VAGUE, questions=True))
    other = Run(run.folder, run.request)
    assert other.question == "Which price is wrong?"
    control.send(run.folder, "answer", text="the one of 2 kg")
    wait_for(lambda: run.state is RunState.REVIEW, 60)
    assert run.request.answer == "the one of 2 kg"


def test_the_user_looks_at_the_task_and_changes_it(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([PLAN, CHOICE, rewrite])
    run = waiting(Loom(sample).run("2 kg should cost the small price", plan=True))
    assert "ledger" not in types(run)
    assert run.plan is not None
    assert (run.plan.goal, run.question) == ("2 kg is small", None)
    run.approve(run.plan.model_copy(update={"terms": ["zone"], "goal": "zones are right"}))
    assert run.wait(60)
    assert run.state is RunState.REVIEW, run.error
    assert run.plan.goal == "zones are right"
    assert run.ledger is not None
    assert "zone" in set(run.ledger.dataframe()["detail"])


def test_a_task_changed_into_a_question_is_answered(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([PLAN, CHOICE, "It is too dear."])
    run = waiting(Loom(sample).run("2 kg should cost the small price", plan=True))
    run.approve(intent="explain")
    assert run.wait(60)
    assert run.proposal is not None
    assert run.proposal.answer == "It is too dear."


def test_a_task_may_stay_as_it_is(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([PLAN, CHOICE, rewrite])
    run = waiting(Loom(sample).run("2 kg should cost the small price", plan=True))
    with pytest.raises(LoomError, match="nothing to answer"):
        run.answer("yes")
    with pytest.raises(LoomError, match="a task has no colour"):
        run.approve(colour="red")
    with pytest.raises(LoomError, match="intent of the task"):
        run.approve(intent="explode")
    run.approve()
    assert run.wait(60)
    assert types(run).count("task") == 1


def test_what_the_user_said_is_replayed(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([ASKED, PLAN, CHOICE, rewrite])
    run = waiting(Loom(sample).run(VAGUE, questions=True, plan=True))
    run.answer("2 kg should cost the small price in tariff.py")
    wait_for(lambda: run.state is RunState.WAITING and run.question is None, 30)
    assert run.plan is not None
    run.approve(run.plan.model_copy(update={"terms": ["price"]}))
    assert run.wait(60)
    assert run.state is RunState.REVIEW, run.error
    done = Loom(sample).replay(run.id)
    assert done.same
    assert done.replayed == run.proposal.diffs  # type: ignore[union-attr]


def test_a_run_behind_one_that_waits_says_so(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([ASKED, PLAN, CHOICE, rewrite, PLAN, CHOICE, rewrite])
    first = waiting(Loom(sample).run(VAGUE, questions=True))
    second = Loom(sample).run("2 kg should cost the small price")
    wait_for(lambda: any(first.id in getattr(e, "reason", "") for e in second.events()))
    first.stop()
    assert second.wait(60)


def test_two_answers_at_once_are_one(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([ASKED, PLAN, CHOICE, rewrite])
    run = waiting(Loom(sample).run(VAGUE, questions=True))
    refused = []

    def answer() -> None:
        try:
            run.answer("the price of 2 kg")
        except LoomError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=answer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 2
    assert run.wait(60)
    assert types(run).count("answer") == 1
