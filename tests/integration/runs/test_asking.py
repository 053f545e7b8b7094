"""What is asked of a run is carried out while somebody waits for it, or never."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import scripted_runs
from scripted_runs import AFTER, BEFORE, project, wait_for

from loom_jupyter import Loom
from loom_jupyter.edits.accept import accept
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.errors import LoomError
from loom_jupyter.events import Action, ControlHandled, RunState, StateChanged
from loom_jupyter.runs import asking, control, runner
from loom_jupyter.runs.request import Request
from loom_jupyter.runs.run import Run
from loom_jupyter.settings import Settings


@pytest.fixture
def loom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loom:
    monkeypatch.setattr(runner, "start", scripted_runs.start)
    monkeypatch.setattr(scripted_runs, "PAUSE", 0)
    return Loom(project(tmp_path / "ws"))


@pytest.fixture
def elsewhere(loom: Loom) -> Iterator[tuple[Run, subprocess.Popen[str]]]:
    """A run that waits for its review in another process."""
    owner = subprocess.Popen(
        [sys.executable, "-c", scripted_runs.OWNER, str(loom.root), str(Path(scripted_runs.__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    yield loom.open_run(owner.stdout.readline().strip()), owner
    owner.kill()
    owner.communicate()


def reviewed(loom: Loom) -> Run:
    run = loom.run("two kg")
    assert run.wait(20)
    assert run.state is RunState.REVIEW
    return run


def answers(run: Run) -> list[ControlHandled]:
    return [event for event in run.events() if isinstance(event, ControlHandled)]


ASKED = [("accept", {}), ("reject", {}), ("accept", {"hunks": {"tariff.py": [0]}})]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
@pytest.mark.parametrize(("verb", "asked"), ASKED)
def test_what_a_stopped_process_did_not_answer_is_never_done(
    elsewhere: tuple[Run, subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch, verb: str, asked: Any
) -> None:
    run, owner = elsewhere
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.6)
    owner.send_signal(signal.SIGSTOP)
    with pytest.raises(LoomError, match="does not answer, so nothing was done"):
        getattr(run, verb)(**asked)
    owner.send_signal(signal.SIGCONT)
    wait_for(lambda: answers(run))
    assert [(answer.ok, answer.dropped) for answer in answers(run)] == [(False, True)]
    assert run.state is RunState.REVIEW
    assert (Path(run.request.root) / "tariff.py").read_text() == BEFORE
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 10.0)
    run.accept()
    assert (Path(run.request.root) / "tariff.py").read_text() == AFTER


def test_a_request_that_nobody_waits_for_is_not_carried_out(loom: Loom) -> None:
    run = reviewed(loom)
    control.send(run.folder, "accept", deadline=time.time() - 0.1)
    wait_for(lambda: answers(run))
    assert answers(run)[0].reason.startswith("accept was not carried out: it came too late")
    assert run.state is RunState.REVIEW
    run.reject()


@pytest.mark.parametrize("deadline", [None, 1e12])
def test_a_reject_does_not_carry_out_an_accept_of_before(loom: Loom, deadline: float | None) -> None:
    run = reviewed(loom)
    run.release()
    control.send(run.folder, "accept", deadline=deadline)
    again = Loom(loom.root).open_run(run.id)
    again.reject()
    assert again.state is RunState.REJECTED
    assert (loom.root / "tariff.py").read_text() == BEFORE
    assert [(answer.action, answer.ok) for answer in answers(again)] == [
        (Action.ACCEPT, False),
        (Action.REJECT, True),
    ]


def test_the_next_run_carries_out_nothing_of_a_dead_process(loom: Loom) -> None:
    run = reviewed(loom)
    accept([FileChange("tariff.py", BEFORE.encode(), AFTER.encode())], run.folder / "journal", loom.root)
    run.emit(StateChanged(state=RunState.ACCEPTED))
    record = run.folder / "journal" / "journal.json"
    record.write_text(record.read_text().replace('"accepted"', '"accepting"'))
    run.release()
    control.send(run.folder, "undo")
    assert Loom(loom.root).recover() == ["An interrupted acceptance was finished."]
    assert (loom.root / "tariff.py").read_text() == AFTER


def test_who_still_waits_when_another_adopts_the_run_asks_again(loom: Loom) -> None:
    run = reviewed(loom)
    (loom.root / "b.py").write_text("b = 1\n")
    changes = [
        FileChange("tariff.py", BEFORE.encode(), AFTER.encode()),
        FileChange("b.py", b"b = 1\n", b"b = 2\n"),
    ]
    accept(changes, run.folder / "journal", loom.root)
    run.emit(StateChanged(state=RunState.ACCEPTED))
    run.release()
    waiting = Run(run.folder, run.request).ask(Action.UNDO, paths=["tariff.py"])
    Run(run.folder, run.request).undo(["b.py"])
    waiting.wait()
    assert (loom.root / "tariff.py").read_text() == BEFORE
    assert (loom.root / "b.py").read_text() == "b = 1\n"


def test_a_request_is_taken_or_withdrawn_and_never_both(tmp_path: Path) -> None:
    taken = withdrawn = 0
    for _ in range(60):
        request_id = control.send(tmp_path, "accept", deadline=time.time() + 60)
        request = control.Control(id=request_id, action=Action.ACCEPT, deadline=time.time() + 60)
        found: dict[str, bool] = {}
        threads = [
            threading.Thread(target=lambda: found.update(taken=control.take(tmp_path, request))),  # noqa: B023
            threading.Thread(
                target=lambda: found.update(withdrawn=control.withdraw(tmp_path, request_id))  # noqa: B023
            ),
        ]
        for thread in threads if _ % 2 else reversed(threads):
            thread.start()
        for thread in threads:
            thread.join()
        assert found["taken"] is not found["withdrawn"]
        taken, withdrawn = taken + found["taken"], withdrawn + found["withdrawn"]
    assert taken + withdrawn == 60


def test_an_owner_that_has_begun_is_waited_for(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    run = reviewed(loom)
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0.3)
    accepting = runner.accept

    def slowly(*given: Any, **named: Any) -> None:
        time.sleep(1.0)
        accepting(*given, **named)

    monkeypatch.setattr("loom_jupyter.runs.review.accept", slowly)
    Run(run.folder, run.request).accept()
    assert (loom.root / "tariff.py").read_text() == AFTER


# --- the thread that watches ---


def test_an_exception_in_one_run_leaves_the_others_watched(
    loom: Loom, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = reviewed(loom), reviewed(loom)

    def broken() -> bool:
        raise RuntimeError("a defect")

    with caplog.at_level(logging.ERROR):
        monkeypatch.setattr(bad, "process_control", broken)
        wait_for(lambda: bad.state is RunState.FAILED)
    assert "a defect" in (bad.error or "")
    assert "run the task again" in (bad.error or "")
    assert "cannot be looked after" in caplog.text
    control.send(good.folder, "accept")
    wait_for(lambda: good.state is RunState.ACCEPTED)


def test_a_log_that_cannot_be_written_ends_that_run_only(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = reviewed(loom), reviewed(loom)

    def full(_event: Any) -> Any:
        raise OSError(28, "No space left on device")

    assert bad._log is not None
    monkeypatch.setattr(bad._log, "write", full)
    control.send(bad.folder, "reject")
    wait_for(lambda: bad.error is not None)
    control.send(good.folder, "reject")
    wait_for(lambda: good.state is RunState.REJECTED)


def test_a_front_end_that_fails_ends_no_run(loom: Loom) -> None:
    run = reviewed(loom)
    heard: list[Any] = []

    def failing(_event: Any) -> None:
        heard.append(1)
        if len(heard) > before:
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")

    before = len(run.events())
    run.subscribe(failing)
    control.send(run.folder, "accept")
    wait_for(lambda: run.state is RunState.ACCEPTED)
    assert len(heard) == before + 1


# --- work that hangs ---


@contextmanager
def _no_model(*_: Any) -> Iterator[Any]:
    raise LoomError("there is no model here")
    yield


def background(loom: Loom, open_index: Any) -> Run:
    request = Request(id=f"r{time.monotonic_ns()}", task="t", root=str(loom.root))
    folder = loom.folder / "runs" / request.id
    folder.mkdir(parents=True)
    run = Run(folder, request)
    assert run.own()
    run.emit(StateChanged(state=RunState.QUEUED))
    _start(run, open_index, Settings(), _no_model)
    return run


_start = runner.start


def test_stop_ends_work_that_hangs_in_anything(loom: Loom) -> None:
    go, hangs = threading.Event(), threading.Event()

    def hanging() -> Any:
        hangs.set()
        go.wait(30)
        return loom.index

    run = background(loom, hanging)
    assert hangs.wait(10)
    other = background(loom, lambda: loom.index)
    begin = time.monotonic()
    run.stop()
    assert run.wait(5)
    assert time.monotonic() - begin < 2
    assert run.state is RunState.STOPPED
    assert other.wait(20)
    assert other.state is RunState.FAILED
    go.set()
    wait_for(lambda: not run.working)
    assert run.state is RunState.STOPPED
    last = [json.loads(line) for line in (run.folder / "progress.jsonl").read_text().splitlines()][-2:]
    assert {line["type"] for line in last} <= {"state", "control"}


def test_what_fails_because_a_run_is_stopped_is_no_failure(loom: Loom) -> None:
    def failing() -> Any:
        run.cancel.wait(10)
        raise LoomError("the model's process ended")

    ready = threading.Event()
    run = background(loom, lambda: (ready.wait(10), failing())[1])
    ready.set()
    run.stop()
    assert run.wait(5)
    assert (run.state, run.error) == (RunState.STOPPED, None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_run_is_stopped_although_its_mailbox_cannot_be_written(loom: Loom) -> None:
    run = loom.run("slow")
    wait_for(lambda: run.state is RunState.RUNNING)
    (run.folder / "control.jsonl").unlink(missing_ok=True)
    os.mkfifo(run.folder / "control.jsonl")
    run.stop()  # a call, in the process that owns it
    assert run.wait(5)
    assert run.state is RunState.STOPPED


def test_a_defect_while_a_request_is_carried_out_is_told_to_who_asked(
    loom: Loom, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = reviewed(loom), reviewed(loom)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr("loom_jupyter.runs.review.accept", broken)
        with pytest.raises(LoomError, match=r"Loom itself failed \(RuntimeError: a defect\)"):
            bad.accept()
    wait_for(lambda: bad.state is RunState.FAILED)
    good.accept()
    assert good.state is RunState.ACCEPTED


def test_a_file_that_the_system_refuses_is_told_and_the_run_waits_on(
    loom: Loom, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = reviewed(loom)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("loom_jupyter.runs.review.accept", full)
        with pytest.raises(LoomError, match=r"refused a file \(No space left on device\)"):
            run.accept()
    assert run.state is RunState.REVIEW
    run.accept()


def test_a_run_with_which_something_is_being_done_keeps_no_other_from_being_heard(loom: Loom) -> None:
    busy, other = reviewed(loom), reviewed(loom)
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with busy._changed:
            held.set()
            go.wait(20)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert held.wait(5)
    control.send(other.folder, "reject")
    wait_for(lambda: other.state is RunState.REJECTED, 5)
    go.set()
    thread.join()
    busy.reject()


def test_a_run_that_writes_is_stopped_before_or_not_at_all(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = threading.Event()
    accepting = runner.accept

    def slowly(*given: Any, **named: Any) -> None:
        writing.set()
        time.sleep(2.0)
        accepting(*given, **named)

    monkeypatch.setattr(runner, "accept", slowly)
    run = loom.run("two kg", apply=True)
    assert writing.wait(10)
    run.stop()
    assert run.wait(10)
    wait_for(lambda: not run.working)
    assert run.state is RunState.ACCEPTED
    assert (loom.root / "tariff.py").read_text() == AFTER
    run.undo()
    assert (loom.root / "tariff.py").read_text() == BEFORE
