from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted_runs
from IPython.core.error import UsageError as IPythonUsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from scripted_runs import AFTER, BEFORE, project, wait_for

from loom_jupyter.runs import runner

TASK = "2 kg should cost the small price"


@pytest.fixture(scope="module")
def shell() -> Iterator[InteractiveShell]:
    """One shell in memory, with the extension loaded."""
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "loom_jupyter")
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as current directory; runs follow the script."""
    monkeypatch.setattr(runner, "start", scripted_runs.start)
    root = project(tmp_path / "parcels")
    monkeypatch.chdir(root)
    return root


def start(shell: InteractiveShell, line: str = "", task: str = TASK) -> Any:
    with capture_output():
        shell.run_cell_magic("loom", f"{line} the_run", task)
    return shell.user_ns["the_run"]


def ask(shell: InteractiveShell, line: str) -> Any:
    return shell.run_line_magic("loom", line)


def complaint(shell: InteractiveShell, line: str, cell: str | None = None) -> str:
    """Return the error of a magic, as the user reads it."""
    with capture_output(), pytest.raises(IPythonUsageError) as caught:
        shell.run_line_magic("loom", line) if cell is None else shell.run_cell_magic("loom", line, cell)
    said = str(caught.value)
    assert "\n" not in said
    return said


# --- settings ---


def test_settings_that_wait_are_shown_in_the_run_and_trusted_in_the_notebook(
    shell: InteractiveShell, here: Path
) -> None:
    (here / "pyproject.toml").write_text('[tool.loom]\ncheck = "pytest -q"\n')
    run = start(shell)
    assert run.wait(20)
    assert run.request.check is None
    assert "Loom · tiny" in (page := str(ask(shell, "")))
    assert "not trusted (%loom trust)" in page
    assert 'class="loom-label">not trusted <code>%loom trust</code>' in ask(shell, "")._repr_html_()
    assert "the check of the settings is not trusted" in complaint(shell, "--wait --apply", TASK)
    assert (here / "tariff.py").read_text() == BEFORE
    assert 'check  "pytest -q"' in str(ask(shell, "trust"))
    assert "(trusted)" in str(ask(shell, "trust --yes"))
    run = start(shell)
    assert run.wait(20)
    assert run.request.check == "pytest -q"
    assert "not trusted" not in str(ask(shell, ""))
    assert "(not trusted, and ignored)" in str(ask(shell, "trust --revoke"))


# --- a task from start to end ---


def test_a_cell_returns_at_once_and_the_run_reaches_review(shell: InteractiveShell, here: Path) -> None:
    before = time.monotonic()
    run = start(shell, '--check "pytest -q" --tag tariff.py', "slow " + TASK)
    assert time.monotonic() - before < 1.0
    assert run.state.at_work
    run.stop()
    assert run.wait(5)
    assert run.state.value == "stopped"
    assert (run.request.check, run.request.tagged) == ("pytest -q", ("tariff.py",))


def test_a_tag_may_be_a_path_as_the_notebook_sees_it(
    shell: InteractiveShell, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "notebooks").mkdir()
    monkeypatch.chdir(here / "notebooks")
    run = start(shell, "--tag ../tariff.py --tag tariff.py")
    assert run.request.tagged == ("tariff.py", "tariff.py")
    assert run.wait(30)


def test_accept_writes_and_undo_restores_the_bytes(shell: InteractiveShell, here: Path) -> None:
    start(shell).wait(10)
    assert "+    if weight <= 2:" in str(ask(shell, "diff"))
    assert "Accepted: tariff.py" in str(ask(shell, "accept"))
    assert (here / "tariff.py").read_text() == AFTER
    assert "byte for byte" in str(ask(shell, "undo"))
    assert (here / "tariff.py").read_bytes() == BEFORE.encode()


def test_reject_writes_nothing(shell: InteractiveShell, here: Path) -> None:
    start(shell).wait(10)
    assert "nothing was written" in str(ask(shell, "reject"))
    assert (here / "tariff.py").read_text() == BEFORE
    assert "nothing to accept" in complaint(shell, "accept")


def test_the_ledger_is_a_dataframe(shell: InteractiveShell, here: Path) -> None:
    start(shell).wait(10)
    shell.run_cell("ledger = %loom ledger")
    ledger = shell.user_ns["ledger"]
    assert list(ledger.columns) == ["rank", "path", "rule", "points", "detail", "line", "symbol"]
    ranked = ask(shell, "ledger tariff weight")
    assert set(ranked["path"]) == {"tariff.py"}


def test_status_runs_index_sql_model_and_doctor(shell: InteractiveShell, here: Path) -> None:
    assert "No run yet" in str(ask(shell, ""))
    run = start(shell)
    run.wait(10)
    assert run.id in str(ask(shell, ""))
    assert "Waiting for your review" in ask(shell, "status")._repr_html_()
    assert list(ask(shell, "runs 5")["id"]) == [run.id]
    assert "files indexed" in str(ask(shell, "index"))
    assert list(ask(shell, "sql select path from files order by path")["path"])[-1] == "tariff.py"
    assert {"files", "refs", "ledger", "runs"} <= set(ask(shell, "sql --tables")["table"])
    assert list(ask(shell, "sql select id from runs")["id"]) == [run.id]
    assert len(ask(shell, "sql select * from ledger where points > 0"))
    assert "qwen2.5-coder-1.5b" in str(ask(shell, "model"))
    assert "workspace" in str(ask(shell, "doctor"))
    assert "restore" in str(ask(shell, "help undo"))
    assert "restore" in str(ask(shell, "undo --help"))


def test_a_chosen_model_is_used_by_the_runs_to_come(shell: InteractiveShell, here: Path) -> None:
    assert "qwen2.5-coder-0.5b" in str(ask(shell, "model qwen2.5-coder-0.5b"))
    run = start(shell)
    assert run.request.model == "qwen2.5-coder-0.5b"
    run.wait(10)


def test_auto_chooses_the_largest_model_that_serves(
    shell: InteractiveShell, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found:
        best = "qwen2.5-coder-7b"

    monkeypatch.setattr("loom_jupyter.loom.Loom.overview", lambda _: Found)
    assert "use qwen2.5-coder-7b" in str(ask(shell, "model auto"))


def test_the_model_is_unloaded_unless_a_run_uses_it(
    shell: InteractiveShell, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No model is loaded" in str(ask(shell, "model --unload"))
    monkeypatch.setattr("loom_jupyter.loom.Loom.unload", lambda _: False)
    assert "stop the run" in str(ask(shell, "model --unload"))


def test_a_run_is_shown_by_its_name(shell: InteractiveShell, here: Path) -> None:
    run = start(shell)
    run.wait(10)
    data, _ = shell.display_formatter.format(run)
    assert "if weight &lt;= 2:" in data["text/html"]
    assert "if weight <= 2:" in data["text/plain"]


def test_another_run_is_named_by_the_end_of_its_id(shell: InteractiveShell, here: Path) -> None:
    first, second = start(shell), start(shell)
    first.wait(10)
    second.wait(10)
    ask(shell, f"reject --run {first.id[-6:]}")
    assert (first.state.value, second.state.value) == ("rejected", "review")


def test_a_question_is_answered_and_changes_nothing(shell: InteractiveShell, here: Path) -> None:
    run = start(shell, "--ask", "explain the tariff")
    run.wait(10)
    assert run.request.ask
    assert run.proposal.answer
    assert "Answered" in str(ask(shell, ""))
    assert "proposes no changes" in complaint(shell, "accept")


def test_config_names_root_model_and_budget(shell: InteractiveShell, here: Path, tmp_path: Path) -> None:
    other = project(tmp_path / "other")
    with capture_output():
        shell.run_line_magic("config", f"LoomMagics.root = {str(other)!r}")
        shell.run_line_magic("config", "LoomMagics.budget = 7")
    try:
        run = start(shell)
        run.wait(10)
        assert (run.request.root, run.request.budget) == (str(other), 7)
    finally:
        with capture_output():
            shell.run_line_magic("config", "LoomMagics.root = ''")
            shell.run_line_magic("config", "LoomMagics.budget = 0")


# --- waiting ---


def test_an_awaited_run_that_fails_fails_its_cell_in_one_line(shell: InteractiveShell, here: Path) -> None:
    with capture_output() as said:
        result = shell.run_cell("%%loom --wait\nfail at this")
    assert not result.success
    assert "UsageError: The model's process ended; choose a smaller one" in said.stderr
    assert "Traceback" not in said.stderr + said.stdout


def test_an_awaited_run_without_a_passing_candidate_fails_its_cell(shell: InteractiveShell, here: Path) -> None:
    assert "No candidate passed the check" in complaint(shell, "--wait --apply --check true", "unsolved")
    assert (here / "tariff.py").read_text() == BEFORE


def test_an_awaited_run_that_is_solved_applies(shell: InteractiveShell, here: Path) -> None:
    with capture_output():
        assert shell.run_cell("%%loom --wait --apply --check true\n2 kg").success
    assert (here / "tariff.py").read_text() == AFTER


def test_interrupting_the_wait_stops_the_run(shell: InteractiveShell, here: Path) -> None:
    import _thread

    threading.Timer(0.5, _thread.interrupt_main).start()
    with capture_output():
        result = shell.run_cell("%%loom --wait run\nslow")
    assert not result.success
    run = shell.user_ns["run"]
    wait_for(lambda: run.state.value == "stopped")


# --- what bad input gets ---


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ledgr", "Unknown command 'ledgr'. Did you mean ledger?"),
        ("frobnicate", "Known: status, ledger"),
        ("accept --rum 3", "no flag '--rum'. Did you mean --run?"),
        ("accept 'x", "A quote is not closed"),
        ("runs many", "not a positive whole number"),
        ("sql", "sql needs a query"),
        ("undo --run", "expected one argument"),
        ("diff", "There is no run in"),
        ("ledger", "start one with %%loom"),
        ("help everything", "Unknown command 'everything'"),
        ("model qwen9", "Unknown model 'qwen9'"),
    ],
)
def test_a_line_that_makes_no_sense(shell: InteractiveShell, here: Path, line: str, said: str) -> None:
    assert said in complaint(shell, line)


@pytest.mark.parametrize(
    ("line", "cell", "said"),
    [
        ("", "  \n ", "The cell is empty"),
        ("--chek x", "task", "no flag '--chek'. Did you mean --check"),
        ("--budget soon", "task", "not a positive number of seconds"),
        ("--budget -1", "task", "not a positive number of seconds"),
        ("a-b", "task", "cannot name a variable"),
        ("a b", "task", "no argument 'b'"),
        ("--model qwen9", "task", "Unknown model 'qwen9'"),
        ("--plan --wait", "task", "--plan waits for you"),
    ],
)
def test_a_cell_that_makes_no_sense(shell: InteractiveShell, here: Path, line: str, cell: str, said: str) -> None:
    assert said in complaint(shell, line, cell)
    assert "No run yet" in str(ask(shell, ""))


def test_verbs_that_come_too_early_or_too_late_say_so(shell: InteractiveShell, here: Path) -> None:
    run = start(shell, task="fail")
    run.wait(10)
    assert "proposes no changes" in complaint(shell, "diff")
    assert "nothing to accept" in complaint(shell, "accept")
    assert "nothing to undo" in complaint(shell, "undo")
    assert "is not running (state:" in str(ask(shell, "stop"))
    assert "Unknown run 'zzz'" in complaint(shell, "diff --run zzz")


def test_accepting_what_is_not_proposed_says_what_is(shell: InteractiveShell, here: Path) -> None:
    start(shell).wait(10)
    assert "tariff.py" in complaint(shell, "accept nowhere.py")
    assert "tariff.py" in complaint(shell, "diff nowhere.py")


def test_a_file_changed_since_the_proposal_is_not_overwritten(shell: InteractiveShell, here: Path) -> None:
    start(shell).wait(10)
    (here / "tariff.py").write_text("mine\n")
    with capture_output(), pytest.raises(IPythonUsageError) as caught:
        shell.run_line_magic("loom", "accept")
    sentence, *versions = str(caught.value).splitlines()
    assert "tariff.py" in sentence
    assert versions.index("<<<<<<< proposed") < versions.index(">>>>>>> now")
    assert "mine" in versions
    assert (here / "tariff.py").read_text() == "mine\n"


def test_braces_and_dollars_in_a_task_are_left_alone(shell: InteractiveShell, here: Path) -> None:
    run = start(shell, task="use {weight} and $PATH and {1/0}")
    assert run.task == "use {weight} and $PATH and {1/0}"
    run.wait(10)


@pytest.fixture
def attended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is there."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)


@pytest.mark.usefixtures("attended")
def test_an_answer_in_the_users_own_words(shell: InteractiveShell, here: Path) -> None:
    run = start(shell, task="vague")
    wait_for(lambda: run.state.value == "waiting")
    assert "Which <b>price</b> is wrong?" in str(ask(shell, ""))
    assert "goes on" in str(ask(shell, "answer it's the parcel's price (2 kg)"))
    assert run.wait(10)
    assert run.request.answer == "it's the parcel's price (2 kg)"
    assert "asks nothing" in complaint(shell, "answer again")


@pytest.mark.usefixtures("attended")
@pytest.mark.parametrize("line", ["--no-ask", "--wait", "--apply"])
def test_a_cell_that_must_not_be_held_up_never_asks(shell: InteractiveShell, here: Path, line: str) -> None:
    run = start(shell, line, task="vague")
    assert run.wait(10)
    assert "question" not in [event.type for event in run.events()]


def test_nobody_is_asked_where_nobody_is(shell: InteractiveShell, here: Path) -> None:
    run = start(shell, "--plan", task="vague")
    assert run.wait(10)
    assert run.state.value == "review"


@pytest.mark.usefixtures("attended")
def test_the_task_is_shown_changed_and_approved(shell: InteractiveShell, here: Path) -> None:
    run = start(shell, "--plan")
    wait_for(lambda: run.state.value == "waiting")
    shown = str(ask(shell, "plan"))
    assert "goal    2 kg costs the small price" in shown
    assert "plan --ok" in shown
    assert "intent" in complaint(shell, "plan --intent explode")
    assert "goal of the task" in complaint(shell, f"plan --goal {'x' * 500}")
    ask(shell, 'plan --goal "zones are right" --accept "a is 1" --accept "b is 2" --term zone')
    assert run.wait(10)
    assert (run.plan.goal, run.plan.acceptance, run.plan.terms) == (
        "zones are right",
        ["a is 1", "b is 2"],
        ["zone"],
    )
    assert "nothing to approve" in complaint(shell, "plan --ok")


# --- help and completion ---


def test_the_manual_page_names_every_verb_and_flag(shell: InteractiveShell) -> None:
    from loom_jupyter.arguments import task_parser
    from loom_jupyter.commands import COMMANDS

    page = shell.find_line_magic("loom").__doc__ or ""
    assert all(f"%loom {name}" in page for name in COMMANDS if name != "status")
    assert all(flag in page for flag in [*task_parser("").flags(), "--wait", "--values"])


@pytest.mark.parametrize(
    ("text", "offer"),
    [
        ("%loom led", "ledger"),
        ("%loom undo --r", "--run"),
        ("%loom model qwen2.5-coder-0", "qwen2.5-coder-0.5b"),
        ("%%loom --ch", "--check"),
        ("%%loom --wai", "--wait"),
        ("%%loom --tag tar", "tariff.py"),
        ("%%loom --tag tariff.py --model qwen2.5-coder-7", "qwen2.5-coder-7b"),
        ("%loom help und", "undo"),
    ],
)
def test_completion(shell: InteractiveShell, here: Path, text: str, offer: str) -> None:
    _, offers = shell.complete(None, text, len(text))
    assert offer in [found.strip() for found in offers]


def test_completion_offers_run_ids_and_proposed_paths(shell: InteractiveShell, here: Path) -> None:
    run = start(shell)
    run.wait(10)
    assert run.id in shell.complete(None, "%loom diff --run 2", 18)[1]
    assert "tariff.py" in shell.complete(None, "%loom accept ta", 15)[1]


# --- the workspace ---


def test_the_workspace_is_the_innermost_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loom_jupyter.commands import workspace

    outer, inner, deep = tmp_path / "repo", tmp_path / "repo" / "pkg", tmp_path / "repo" / "pkg" / "src"
    deep.mkdir(parents=True)
    assert workspace(deep) == deep
    (outer / ".git").mkdir()
    assert workspace(deep) == outer
    (inner / "pyproject.toml").touch()
    assert workspace(deep) == inner
    monkeypatch.setenv("HOME", str(inner))
    assert workspace(deep) == deep
