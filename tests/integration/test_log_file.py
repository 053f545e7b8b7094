"""The log for bug reports: it tells what happened and holds nothing that is secret."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter import Loom, commands, log_file
from loom_jupyter.cli import main
from loom_jupyter.doctor import examine

KEY = "sk-" + "proj-Zq8Rt3Vw9Xy2Bn5Mk7Lp4Jh6Gf1Ds0Az"
WORDS = "heliotrope"
TASK = f"parcel_price(weight=2.0) of the {WORDS} tariff should be the small one; the key is {KEY}"
GOOD = "from parcels.tariff import parcel_price as price; assert price(2.0) == 4.9"
CHECK = f'{sys.executable} -c "{GOOD}"  # {KEY}'


@pytest.fixture(autouse=True)
def _off() -> Iterator[None]:
    yield
    log_file.switch_off()


@pytest.fixture
def scripted_model(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> None:
    def choose(messages: Any) -> str:
        found = re.search(r"^(s\d+): parcels/tariff.py \| def parcel_price", messages[1]["content"], re.M)
        return json.dumps({"targets": [found.group(1) if found else "s1"]})

    @contextmanager
    def acquire(*_: Any, **__: Any) -> Iterator[Any]:
        plan = {"intent": "change", "goal": f"2 kg is small {KEY}", "acceptance": [], "terms": [WORDS]}
        yield scripted([json.dumps(plan), choose])

    monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)


@pytest.mark.usefixtures("scripted_model")
def test_a_run_is_logged_without_words_code_keys_or_addresses(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOM_API_KEY", KEY)
    (sample / "parcels" / f"{WORDS}.py").write_text(f"API_KEY = {KEY!r}\n")
    file = log_file.switch_on()
    run = Loom(sample, model=f"http://127.0.0.1:9/v1/{KEY}").run(TASK, check=CHECK, budget=5)
    assert run.wait(60)
    ended, until = f"run {run.id} ended its work: ", time.monotonic() + 10
    while ended not in (log := file.read_text("utf-8")) and time.monotonic() < until:
        time.sleep(0.02)
    assert f"run {run.id} begins: no flags, check given, budget 5 s" in log
    assert "index refreshed: " in log
    assert re.search(rf"run {run.id}: \w+ finished in", log)
    assert "check ended: status " in log
    assert ended in log
    for secret in (KEY, KEY[8:], WORDS, "parcel_price", "127.0.0.1", str(sample)):
        assert secret not in log


def test_a_message_of_an_exception_and_a_key_stay_out() -> None:
    file = log_file.switch_on()
    logger = logging.getLogger("loom_jupyter.somewhere")
    try:
        raise ValueError(WORDS)
    except ValueError:
        logger.exception("it failed with %s", KEY)
    log = file.read_text("utf-8")
    assert "ValueError" in log
    assert "test_log_file.py:" in log
    assert WORDS not in log
    assert KEY not in log


def test_the_file_is_private_rotates_and_is_one_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "SIZE", 1_000)
    file = log_file.switch_on()
    assert log_file.switch_on() == file
    for n in range(200):
        logging.getLogger("loom_jupyter.somewhere").info("line %d", n)
    files = sorted(file.parent.glob(f"{file.name}*"))
    assert len(files) == log_file.FILES
    assert all(one.stat().st_mode & 0o777 == 0o600 for one in files)
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_logs_of_earlier_processes_are_deleted_but_for_the_newest() -> None:
    folder = log_file.switch_on().parent
    log_file.switch_off()
    for n in range(50):
        (folder / f"loom-9{n:02}.log").write_text("")
    log_file.switch_on()
    assert len(list(folder.glob("loom-*"))) <= log_file.KEPT * log_file.FILES + 1


def test_without_it_nothing_is_written_and_nothing_reaches_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger("loom_jupyter")
    assert any(isinstance(handler, logging.NullHandler) for handler in root.handlers)
    assert log_file.switch_off() is None
    assert log_file.switch(on=False) == "The log is off."
    assert capsys.readouterr().err == ""


def test_doctor_switches_it_on_and_off(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loom_jupyter.doctor._llama", lambda: [])
    assert examine(sample, sample, None)
    loom, doctor = Loom(sample), commands.find("doctor")
    said = str(doctor.act(loom, doctor.parse("%loom", ["--log"])))
    assert "Logging to " in said
    assert "workspace" in said
    (file,) = (log_file.data_dir() / "logs").glob("*.log")
    assert str(doctor.act(loom, doctor.parse("%loom", ["--log", "off"]))) == f"The log is off; it is in {file}."
    assert "log" not in {row[0] for row in loom.doctor()}


def test_a_variable_switches_it_on_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(log_file.VARIABLE, "1")
    assert main(["--version"]) == 0
    assert log_file.switch_off() is not None


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(log_file, "data_dir", lambda: tmp_path / "file")
    assert log_file.switch(on=True).startswith("The log cannot be written (")
