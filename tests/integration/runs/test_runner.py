"""A run from the task to the files, with a real index, staged copy and check; only the model is scripted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from runs_fixtures import PLAN, ProvideModel, choose_price, wait

from loom_jupyter import Loom
from loom_jupyter.context.intent import read_intent
from loom_jupyter.errors import Cancelled, LoomError
from loom_jupyter.events import RunState, schema
from loom_jupyter.models.protocol import ModelError
from loom_jupyter.runs import watch
from loom_jupyter.runs.log import LogError
from loom_jupyter.runs.task_environment import new_file

TASK = "parcel_price(weight=2.0) charges the 2-5 kg tariff; up to and including 2 kg should cost the small one"
# Real, and quicker than a test runner.
CHECK = f'{sys.executable} -c "from parcels.tariff import parcel_price as price; assert price(2.0) == 4.9"'


def types(run: Any) -> list[str]:
    return [event.type for event in run.events()]


@pytest.mark.usefixtures("provide_model")
def test_a_task_is_solved_reviewed_accepted_and_undone(sample: Path) -> None:
    before = (sample / "parcels/tariff.py").read_bytes()
    run = wait(Loom(sample).run(TASK, check=CHECK))
    assert run.state is RunState.REVIEW
    assert run.proposal.passed
    assert "+    if weight <= 2:" in run.proposal.diff
    assert (sample / "parcels/tariff.py").read_bytes() == before
    run.accept()
    assert run.state is RunState.ACCEPTED
    assert b"weight <= 2" in (sample / "parcels/tariff.py").read_bytes()
    run.undo()
    assert run.state is RunState.UNDONE
    assert (sample / "parcels/tariff.py").read_bytes() == before


def test_every_line_of_the_log_is_of_the_schema(sample: Path, provide_model: ProvideModel) -> None:
    provide_model(before=lambda _: time.sleep(0.01))
    run = wait(Loom(sample).run(TASK, check=CHECK))
    run.reject()
    lines = (run.folder / "progress.jsonl").read_text("utf-8").splitlines()
    for n, line in enumerate(lines, 1):
        event = json.loads(line)
        jsonschema.validate(event, schema())
        assert event["seq"] == n
    assert {"started", "indexed", "model_loading", "model_ready", "task", "ledger", "map"} <= set(types(run))
    assert {"candidate", "check_finished", "proposal", "control"} <= set(types(run))
    (ready,) = (event for event in run.events() if event.type == "model_ready")
    assert ready.seconds > 0
    assert run.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("provide_model")
def test_apply_accepts_what_passes(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK, check=CHECK, apply=True))
    assert run.state is RunState.ACCEPTED
    assert "weight <= 2" in (sample / "parcels/tariff.py").read_text()


@pytest.mark.usefixtures("provide_model")
def test_apply_leaves_what_fails_in_review(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK, check="false", apply=True, budget=2))
    assert run.state is RunState.REVIEW
    assert run.proposal.passed is False
    assert "weight < 2" in (sample / "parcels/tariff.py").read_text()


@pytest.mark.usefixtures("provide_model")
def test_the_ledger_of_a_run_adds_up(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK))
    rows, files = run.ledger.dataframe(), run.ledger.files()
    sums = rows.groupby("path")["points"].sum()
    assert all(abs(sums[path] - score) < 1e-9 for path, score in zip(files["path"], files["score"], strict=True))
    assert files["path"].iloc[0] == "parcels/tariff.py"


@pytest.mark.usefixtures("provide_model")
def test_a_file_that_changed_since_is_never_overwritten(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK, check=CHECK))
    file = sample / "parcels/tariff.py"
    file.write_text(file.read_text() + "\n# mine\n")
    with pytest.raises(LoomError, match="changed"):
        run.accept()
    assert run.state is RunState.REVIEW
    assert file.read_text().endswith("# mine\n")


@pytest.mark.usefixtures("provide_model")
def test_a_path_that_is_not_proposed_cannot_be_accepted(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK, check=CHECK))
    with pytest.raises(LoomError, match="not in the proposal"):
        run.accept(["setup.py"])
    run.accept(["parcels/tariff.py"])
    assert run.state is RunState.ACCEPTED


@pytest.mark.usefixtures("provide_model")
@pytest.mark.parametrize("verb", ["accept", "reject", "undo"])
def test_what_cannot_be_asked_is_refused_in_words(sample: Path, verb: str) -> None:
    run = wait(Loom(sample).run(TASK, check=CHECK))
    run.reject()
    with pytest.raises(LoomError, match="rejected"):
        getattr(run, verb)()


def test_stop_while_the_model_loads(sample: Path, provide_model: ProvideModel) -> None:
    def load(cancel: threading.Event) -> None:
        assert cancel.wait(20)
        raise Cancelled

    provide_model(before=load)
    run = Loom(sample).run(TASK)
    start = time.monotonic()
    run.stop()
    assert run.wait(5)
    assert run.state is RunState.STOPPED
    assert time.monotonic() - start < 2


@pytest.mark.usefixtures("provide_model")
def test_stop_while_the_check_runs(sample: Path) -> None:
    run = Loom(sample).run(TASK, check="sleep 60")
    while "check_started" not in types(run):
        time.sleep(0.01)
    run.stop()
    assert run.wait(5)
    assert run.state is RunState.STOPPED


def test_a_second_run_waits_for_its_turn_and_can_be_stopped_in_the_queue(
    sample: Path, provide_model: ProvideModel
) -> None:
    go = threading.Event()
    provide_model(before=lambda _: go.wait(20) and None)
    loom = Loom(sample)
    first, second, third = (loom.run(TASK) for _ in range(3))
    time.sleep(0.3)
    assert second.state is RunState.QUEUED
    second.stop()
    assert second.wait(5)
    assert second.state is RunState.STOPPED
    go.set()
    assert wait(first).state is RunState.REVIEW
    assert wait(third).state is RunState.REVIEW


@pytest.mark.parametrize(
    ("check", "says"),
    [("no-such-command --now", "no-such-command"), ("   ", "empty")],
)
@pytest.mark.usefixtures("provide_model")
def test_a_check_that_cannot_run_is_one_sentence(sample: Path, check: str, says: str) -> None:
    run = wait(Loom(sample).run(TASK, check=check))
    assert run.state is RunState.FAILED
    assert says in run.error
    assert "\n" not in run.error


@pytest.mark.usefixtures("provide_model")
def test_a_check_that_hangs_is_ended(sample: Path) -> None:
    with (sample / "pyproject.toml").open("a") as file:
        file.write("\n[tool.loom]\ncheck_timeout = 0.5\nbudget = 1\n")
    run = wait(Loom(sample).run(TASK, check="sleep 60 & sleep 60"))
    assert run.state is RunState.REVIEW
    assert run.proposal.passed is False


@pytest.mark.usefixtures("provide_model")
def test_a_check_that_prints_binary(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK, check="head -c 3000 /dev/urandom; exit 1", budget=2))
    assert run.state is RunState.REVIEW
    assert run.proposal.passed is False


@pytest.mark.usefixtures("provide_model")
def test_a_check_that_passes_already_is_said_at_once(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK, check="true"))
    assert any("already passes" in event.text for event in run.events() if event.type == "notice")


@pytest.mark.usefixtures("provide_model")
def test_an_empty_workspace(tmp_path: Path) -> None:
    run = wait(Loom(tmp_path).run(TASK))
    assert run.state is RunState.FAILED
    assert "no file" in run.error


@pytest.mark.usefixtures("provide_model")
def test_not_a_git_repository_is_said(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK))
    assert any("git" in event.text for event in run.events() if event.type == "notice")


def test_a_model_that_cannot_load_ends_the_run_with_its_sentence(
    sample: Path, provide_model: ProvideModel
) -> None:
    def load(_: threading.Event) -> None:
        raise ModelError("no such model; choose another")

    provide_model(before=load)
    run = wait(Loom(sample).run(TASK))
    assert run.state is RunState.FAILED
    assert run.error == "no such model; choose another"


def test_a_defect_ends_only_its_run(sample: Path, provide_model: ProvideModel) -> None:
    def load(_: threading.Event) -> None:
        raise ZeroDivisionError("oops")

    provide_model(before=load)
    loom = Loom(sample)
    run = wait(loom.run(TASK))
    assert run.state is RunState.FAILED
    assert "ZeroDivisionError" in run.error
    provide_model()
    assert wait(loom.run(TASK)).state is RunState.REVIEW


def test_a_new_file_is_written_where_the_user_says(sample: Path, provide_model: ProvideModel) -> None:
    plan = PLAN.replace('"change"', '"create"')
    code = "def premium(value):\n    return value * 0.01\n```"
    provide_model(replies=[plan, '{"targets": ["s1"]}', code])
    run = wait(Loom(sample).run("create parcels/insurance.py with a function that gives 1 % of a value"))
    assert list(run.proposal.diffs) == ["parcels/insurance.py"]
    run.accept()
    assert (sample / "parcels/insurance.py").read_text() == code.removesuffix("```")
    run.undo()
    assert not (sample / "parcels/insurance.py").exists()


@pytest.mark.parametrize(
    ("task", "path"),
    [
        ("write tests/test_zones2.py for it", "tests/test_zones2.py"),
        ("make ./notes.md, please", "notes.md"),
        ("put it into parcels/tariff.py", None),
        ("see https://example.org/a.py", None),
        ("write ../outside.py or /etc/passwd.py", None),
        ("2.0 kg costs 4.90", None),
        ("", None),
    ],
)
def test_a_new_file_is_one_that_is_named_and_missing(sample: Path, task: str, path: str | None) -> None:
    assert new_file(read_intent(task), sample) == path


def test_a_log_that_cannot_be_written_ends_the_run_and_is_told(
    sample: Path, provide_model: ProvideModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: threading.Event) -> None:
        def write(*_: Any) -> None:
            raise LogError("the disk is full; free some space")

        monkeypatch.setattr("loom_jupyter.runs.log.EventLog.write", write)

    provide_model(before=full)
    run = Loom(sample).run(TASK)
    heard: list[str] = []
    run.subscribe(lambda event: heard.append(event.type))
    deadline = time.monotonic() + 20
    while "error" not in heard and time.monotonic() < deadline:
        time.sleep(0.02)
    assert heard[-2:] == ["error", "state"]


def test_nonsense_three_times_still_ends_in_review(sample: Path, provide_model: ProvideModel) -> None:
    provide_model(replies=["", "Sure thing!", "{}", "[]", "no", '{"targets": []}'])
    run = wait(Loom(sample).run(TASK, check=CHECK))
    assert run.state is RunState.REVIEW


def test_bad_words_are_refused_before_anything_starts(sample: Path) -> None:
    loom = Loom(sample)
    with pytest.raises(LoomError, match="empty"):
        loom.run("   ")
    with pytest.raises(LoomError, match=r"qwen2\.5-coder"):
        loom.run(TASK, model="qwen2.5-coder-2b")
    assert loom.runs().empty
    with pytest.raises(LoomError, match="no run"):
        loom.open_run("yesterday")
    with pytest.raises(LoomError, match="not a folder"):
        Loom(sample / "nowhere")


@pytest.mark.usefixtures("provide_model")
def test_another_handle_asks_through_the_control_file(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK, check=CHECK))
    other = Loom(sample).open_run(run.id)
    assert other.state is RunState.REVIEW
    other.accept()
    assert run.state is RunState.ACCEPTED
    assert "weight <= 2" in (sample / "parcels/tariff.py").read_text()
    with pytest.raises(LoomError, match="accepted"):
        other.reject()


@pytest.mark.usefixtures("provide_model")
def test_a_finished_run_leaves_no_thread(sample: Path) -> None:
    run = wait(Loom(sample).run(TASK))
    run.reject()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (run.id in watch._runs or _threads_of(run)):
        time.sleep(0.05)
    assert run.id not in watch._runs
    assert not _threads_of(run)
    assert not run.owned


def _threads_of(run: Any) -> list[str]:
    return [thread.name for thread in threading.enumerate() if run.id in thread.name]


@pytest.mark.usefixtures("provide_model")
def test_listeners_hear_everything_once_and_in_order(sample: Path) -> None:
    run = Loom(sample).run(TASK, check=CHECK)
    heard: list[int] = []
    stop = run.subscribe(lambda event: heard.append(event.seq))
    wait(run)
    run.reject()
    stop()
    assert heard == list(range(1, len(run.events()) + 1))


@pytest.mark.usefixtures("provide_model")
def test_half_written_files_are_taken_back_at_the_next_start(sample: Path) -> None:
    before = (sample / "parcels/tariff.py").read_bytes()
    run = wait(Loom(sample).run(TASK, check=CHECK))
    run.accept()
    run.release()
    journal = run.folder / "journal/journal.json"
    journal.write_text(
        journal.read_text()
        .replace('"accepted"', '"undoing"')
        .replace('"pending": []', '"pending": ["parcels/tariff.py"]')
    )
    said = Loom(sample).recover()
    assert len(said) == 1
    assert "undo" in said[0]
    assert (sample / "parcels/tariff.py").read_bytes() == before
    assert Loom(sample).open_run(run.id).state is RunState.UNDONE
    assert Loom(sample).recover() == []


@pytest.mark.usefixtures("provide_model")
def test_runs_and_ledger_can_be_queried(sample: Path) -> None:
    loom = Loom(sample)
    assert loom.sql("select * from ledger").empty
    run = wait(loom.run(TASK))
    run.reject()
    assert loom.sql("select state from runs")["state"].tolist() == ["rejected"]
    best = loom.sql("select path, sum(points) as score from ledger group by path order by score desc limit 1")
    assert best["path"].tolist() == ["parcels/tariff.py"]


DYING = """
import os, sys, threading, time
from contextlib import contextmanager
from loom_jupyter import Loom
from loom_jupyter.models import host

@contextmanager
def acquire(*args):
    print("working", flush=True)
    time.sleep(60)
    yield None

host.acquire = acquire
run = Loom(sys.argv[1]).run("anything")
print(run.id, flush=True)
time.sleep(60)
"""


def test_a_run_whose_process_was_killed_is_told_and_not_stuck(sample: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", DYING, str(sample)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = {process.stdout.readline().strip(), process.stdout.readline().strip()}
    process.kill()
    process.wait()
    run = Loom(sample).open_run(next(iter(said - {"working"})))
    assert run.state is RunState.RUNNING
    run.stop()
    assert run.state is RunState.FAILED
    assert "ended" in run.error


@pytest.mark.parametrize("moment", ["before the task is read", "while units are chosen"])
def test_lines_that_move_while_a_run_works_change_nothing_else(
    sample: Path, provide_model: ProvideModel, moment: str
) -> None:
    file = sample / "parcels/tariff.py"
    before = file.read_text()
    moved = "# One.\n# Two.\n# Three.\n# Four.\n# Five.\n" + before

    def plan(_: Any) -> str:
        if moment.startswith("before"):
            file.write_text(moved)
        return PLAN

    def choose(messages: Any) -> str:
        file.write_text(moved)
        return choose_price(messages)

    provide_model([plan, choose])
    run = wait(Loom(sample).run(TASK, check=CHECK))
    assert run.state is RunState.REVIEW
    assert run.proposal.passed
    run.accept()
    assert file.read_text() == moved.replace("if weight < 2:", "if weight <= 2:")


def test_a_unit_that_is_gone_while_a_run_works_is_not_written(sample: Path, provide_model: ProvideModel) -> None:
    file = sample / "parcels/tariff.py"

    def choose(messages: Any) -> str:
        file.write_text("# Nothing is left.\n")
        return choose_price(messages)

    provide_model([PLAN, choose])
    run = wait(Loom(sample).run(TASK, check=CHECK))
    assert run.proposal is None or not run.proposal.passed
    assert run.proposal is None or "parcels/tariff.py" not in run.proposal.diff
    packed = json.loads((run.folder / "map.json").read_text())
    assert any(o["path"] == "parcels/tariff.py" and "not found" in o["reason"] for o in packed["omitted"])


@pytest.mark.usefixtures("provide_model")
@pytest.mark.parametrize("check", [CHECK, None])
def test_a_check_without_a_sandbox_is_told_first(
    sample: Path, monkeypatch: pytest.MonkeyPatch, check: str | None
) -> None:
    monkeypatch.setattr("loom_jupyter.checks.command.isolation", lambda: "none")
    run = wait(Loom(sample).run(TASK, check=check))
    told = [event.type for event in run.events()]
    said = [event for event in run.events() if event.type == "notice" and event.text.startswith("not isolated: ")]
    assert [event.chip for event in said] == (["not isolated"] if check else [])
    assert not said or run.events().index(said[0]) < told.index("check_started")
