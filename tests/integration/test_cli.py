from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import scripted_runs
from places import FIXTURES
from scripted_runs import AFTER, BEFORE, project, wait_for

from loom_jupyter.cli import DONE, FAILED, MISUSED, main
from loom_jupyter.loom import Loom
from loom_jupyter.runs import runner
from loom_jupyter.ui import terminal

TASK = ["tariff", "of", "2", "kg", "is", "too", "high"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as current directory; runs follow the script."""
    monkeypatch.setattr(runner, "start", scripted_runs.start)
    root = project(tmp_path / "parcels")
    monkeypatch.chdir(root)
    return root


def test_a_run_shows_its_steps_and_waits_for_review(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--check", "pytest -q", *TASK]) == DONE
    said = capsys.readouterr().out
    assert "● Architect" in said
    assert "before: 1 failed, 13 passed" in said
    assert "2 +     if weight <= 2:" in said
    assert "tariff() l.1" in said
    assert "jupyter loom accept" in said
    assert (here / "tariff.py").read_text() == BEFORE


def test_a_later_command_reviews_what_an_earlier_one_left(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", *TASK])
    Loom(here).last_run().release()  # as if its process had ended
    assert main(["diff"]) == DONE
    assert "+    if weight <= 2:" in capsys.readouterr().out
    assert main(["accept", "tariff.py"]) == DONE
    assert (here / "tariff.py").read_text() == AFTER
    assert main(["undo"]) == DONE
    assert (here / "tariff.py").read_bytes() == BEFORE.encode()
    assert main(["undo"]) == FAILED
    assert "nothing to undo" in capsys.readouterr().err


def test_yes_accepts_and_apply_asks_nobody(here: Path) -> None:
    assert main(["run", "--yes", *TASK]) == DONE
    assert (here / "tariff.py").read_text() == AFTER


@pytest.mark.parametrize("flags", [["--yes"], ["--apply"], ["--apply", "--yes"]])
def test_what_failed_its_check_is_not_written(
    here: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    assert main(["run", "--check", "true", *flags, "unsolved"]) == FAILED
    said = capsys.readouterr().out
    assert "jupyter loom accept" in said
    assert ("because the check failed" in said) is ("--yes" in flags)
    assert Loom(here).last_run().state.value == "review"
    assert (here / "tariff.py").read_text() == BEFORE
    assert main(["accept"]) == DONE
    assert (here / "tariff.py").read_text() == AFTER


def test_yes_of_a_run_that_writes_nothing(here: Path) -> None:
    assert main(["run", "--yes", "fail"]) == FAILED
    assert main(["run", "--yes", "explain"]) == DONE
    assert (here / "tariff.py").read_text() == BEFORE


def test_yes_that_cannot_be_carried_out_is_no_success(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow = terminal.follow

    def and_then_it_changes(run: Any) -> Any:
        state = follow(run)
        (here / "tariff.py").write_text("changed = True\n")
        return state

    monkeypatch.setattr(terminal, "follow", and_then_it_changes)
    assert main(["run", "--yes", *TASK]) == FAILED
    assert (here / "tariff.py").read_text() == "changed = True\n"


def test_apply(here: Path) -> None:
    assert main(["run", "--apply", *TASK]) == DONE
    assert (here / "tariff.py").read_text() == AFTER


def test_a_run_that_fails_is_an_exit_code_and_a_sentence(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "fail"]) == FAILED
    assert "choose a smaller one" in capsys.readouterr().out
    assert main(["run", "--check", "true", "unsolved"]) == FAILED


def test_a_task_from_standard_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("2 kg\nshould cost less\n"))
    assert main(["run", "-"]) == DONE
    assert Loom(here).last_run().task == "2 kg\nshould cost less"


def test_other_verbs_print_tables_and_sentences(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", *TASK])
    for words, said in {
        "ledger": "term in symbol",
        "ledger tariff weight": "tariff.py",
        "runs": "review",
        "status": "Waiting for your review",
        "sql select path from files order by path": "tariff.py",
        "sql --tables": "first line there",
        "model": "qwen2.5-coder-1.5b",
        "index": "files indexed",
        "doctor": "workspace",
        "reject": "nothing was written",
        "help": "restore the bytes",
        "help run": "Exit status: 0",
        "undo --help": "restore the bytes",
        "--version": "0.",
    }.items():
        capsys.readouterr()
        assert main(words.split()) == DONE
        assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rum"], "Unknown command 'rum'. Did you mean run or runs?"),
        (["run"], "The task is empty"),
        (["run", "--chek", "x", "task"], "no flag '--chek'. Did you mean --check"),
        (["--root"], "--root needs the folder"),
        (["diff"], "There is no run in"),
        (["undo", "--run", "zzz"], "Unknown run 'zzz'"),
    ],
)
def test_what_makes_no_sense_exits_with_2(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(words) == MISUSED
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_a_root_that_is_no_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", "/nowhere/at/all", "status"]) == FAILED
    assert "is not a folder" in capsys.readouterr().err


def test_root_names_another_project(here: Path, tmp_path: Path) -> None:
    other = project(tmp_path / "other")
    assert main(["--root", str(other), "run", "--yes", *TASK]) == DONE
    assert (other / "tariff.py").read_text() == AFTER
    assert (here / "tariff.py").read_text() == BEFORE


CODE = f"import sys; sys.path.insert(0, {str(FIXTURES)!r}); import scripted_runs; scripted_runs.install()\n"
CODE += "from loom_jupyter.cli import main; sys.exit(main(sys.argv[1:]))"


def test_ctrl_c_stops_the_run(here: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CODE, "run", "slow"], stdout=subprocess.PIPE, text=True)
    wait_for(lambda: Loom(here).last_run() is not None and Loom(here).last_run().state.value == "running")
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=20)
    assert child.returncode == FAILED
    assert "Stopped, nothing was written" in said
    assert "Traceback" not in said


def test_in_a_terminal_it_asks_and_shows_the_diff_again(here: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    words = ["-c", CODE, "run", "--check", "true", *TASK]
    child = pexpect.spawn(
        sys.executable, words, timeout=20, encoding="utf-8", dimensions=(40, 120), env={**os.environ}
    )
    child.expect(r"Write these changes\?")
    child.sendline("d")
    child.expect(r"if weight <= 2")
    child.expect(r"Write these changes\?")
    child.sendline("y")
    child.expect("undo")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == DONE
    assert (here / "tariff.py").read_text() == AFTER


def test_it_is_installed_as_a_jupyter_command() -> None:
    command = Path(sys.executable).with_name("jupyter-loom")
    if not command.exists():
        pytest.skip("the package is not installed")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
