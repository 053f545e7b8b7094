"""What a kernel remembers of its cells, and a whole run by them in a real kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from kernels import LENT, PLAN, Kernel

from loom_jupyter.checks.cells import Cell, Session
from loom_jupyter.kernel import tracker

TARIFF = "def tariff(weight):\n    if weight < 2:\n        return 4.9\n    return 7.2\n"


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    made.history_manager.enabled = False
    tracker.track(made)
    yield made
    InteractiveShell.clear_instance()


def run(shell: InteractiveShell, *sources: str, cell_id: str | None = None) -> None:
    with capture_output():
        for source in sources:
            shell.run_cell(source, store_history=True, cell_id=cell_id)


def now(root: Path = Path("/")) -> Session:
    found = tracker.session(root)
    assert found is not None
    return found


def numbers() -> list[int]:
    return [cell.number for cell in now().cells]


def test_the_cells_up_to_the_one_that_failed(shell: InteractiveShell) -> None:
    run(shell, "a = 1", "%%capture\n1", "b = a + 1", "{}['price']", "a")
    assert now().cells == (
        Cell(number=1, source="a = 1"),
        Cell(number=2, source="%%capture\n1"),
        Cell(number=3, source="b = a + 1"),
        Cell(number=4, source="{}['price']", error="KeyError"),
    )
    assert now().failing == now().cells[-1]
    assert {"a", "b"} <= set(now().names)


def test_cells_are_kept_as_they_were_typed_and_without_looms(shell: InteractiveShell) -> None:
    run(
        shell,
        "%load_ext loom_jupyter\nimport os",
        "%%loom --no-such-flag\ntask",
        "%time 1\n!true",
        "x = %loom frobnicate\ny = 2",
        "%loom frobnicate",
    )
    assert [cell.source.strip() for cell in now().cells] == ["import os", "%time 1\n!true", "y = 2"]


def test_what_loom_refused_and_what_was_interrupted_is_no_failure(shell: InteractiveShell) -> None:
    shell.run_line_magic("load_ext", "loom_jupyter")
    run(
        shell, "%config LoomMagics.budget = 20\ny = 2\n%loom frobnicate", "z = 1\nraise KeyboardInterrupt", "%nope"
    )
    assert [(cell.number, cell.source.strip(), cell.error) for cell in now().cells] == [
        (1, "y = 2", ""),
        (3, "%nope", "UsageError"),
    ]


def test_a_cell_that_was_mended_has_not_failed(shell: InteractiveShell) -> None:
    run(shell, "n = 0", "1 / n", "n = 1", "1 / n")
    assert now().failing is None
    run(shell, "1 / 0", cell_id="c1")
    assert now().failing is not None
    run(shell, "1 / 2", cell_id="c1")
    assert now().failing is None
    assert 5 not in numbers()


def test_a_cell_that_still_fails_is_taken_as_it_is_now(shell: InteractiveShell) -> None:
    run(shell, "n = 0", cell_id="c0")
    run(shell, "1 / n", cell_id="c1")
    run(shell, "2 / n", cell_id="c1")
    assert [(cell.source, cell.cell_id) for cell in now().cells] == [("n = 0", "c0"), ("2 / n", "c1")]


def test_syntax_errors_are_failures_too(shell: InteractiveShell) -> None:
    run(shell, "def f(:")
    assert now().cells[-1].error == "SyntaxError"


def test_what_loom_itself_does_is_not_done_again(shell: InteractiveShell, tmp_path: Path) -> None:
    run(shell, f"from loom_jupyter import Loom\nloom = Loom({str(tmp_path)!r})", "loom.settings", "z = 1")
    assert [cell.source for cell in now().cells] == ["z = 1"]


def test_history_that_was_reset_is_gone(shell: InteractiveShell) -> None:
    run(shell, "1 / 0")
    shell.reset(new_session=True)
    run(shell, "1 / 1")
    assert (numbers(), now().failing) == ([1], None)


def test_secrets_are_masked(shell: InteractiveShell) -> None:
    run(shell, 'token = "ghp_' + "a1B2" * 9 + '"')
    assert "ghp_" not in now().cells[0].source
    assert compile(now().cells[0].source, "", "exec")


def test_an_error_from_before_the_extension_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    made.history_manager.enabled = False
    run(made, "def f():\n    return {}['price']", "f()")
    tracker.track(made)
    assert [(cell.number, cell.error) for cell in now().cells] == [(1, ""), (2, "KeyError")]
    InteractiveShell.clear_instance()


def test_the_folder_is_told_from_the_workspace(
    shell: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert now(tmp_path).folder == "notebooks"
    assert now(tmp_path / "notebooks").folder == ""
    assert now(tmp_path / "elsewhere").folder == ""


def test_the_folder_is_the_one_in_which_the_kernel_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance()
    made.history_manager.enabled = False
    tracker.track(made)
    run(made, "%cd -q data")
    assert (Path.cwd().name, now(tmp_path).folder) == ("data", "")
    InteractiveShell.clear_instance()


# --- in a real kernel ---


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    root = tmp_path / "parcels"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname='parcels'\n")
    (root / "tariff.py").write_text(TARIFF)
    started = Kernel(root)
    assert started.run(LENT, quiet=True).status == "ok"
    yield started
    started.close()


def test_a_failing_cell_is_the_check_of_a_run(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("from tariff import tariff")
    failed = kernel.run("assert tariff(2) == 4.9, tariff(2)")
    assert failed.error == "AssertionError: 7.2"
    said = kernel.run("%%loom --check cell --wait job\n2 kg should cost the small price")
    assert said.status == "ok", said.error
    state, diff, notices = kernel.value(
        "[job.state.value, job.proposal.diff, [e.text for e in job.events() if e.type == 'notice']]"
    )
    assert state == "review"
    assert "+    if weight <= 2:" in diff
    assert "it passes when In [2] does not raise AssertionError any more" in " ".join(notices)
    assert (tmp_path / "parcels" / "tariff.py").read_text() == TARIFF


def test_check_cell_without_cells_is_refused_before_it_begins(kernel: Kernel) -> None:
    said = kernel.run("%%loom --check cell\ntask")
    assert "UsageError: --check cell needs a cell that ran before this one" in said.text


CELL = "def price(weight):\n    return 4.9 if weight < 2 else 7.2\nassert price(2) == 4.9, price(2)"


def test_the_failing_cell_is_rewritten_checked_and_put_below(kernel: Kernel) -> None:
    kernel.run("limit = 2")
    assert kernel.run(CELL, cell_id="c-7").error == "AssertionError: 7.2"
    said = kernel.run("%%loom --cell --check cell --wait job\n2 kg should cost the small price")
    assert said.status == "ok", said.error + said.text
    proposal = kernel.value("job.proposal.model_dump()")
    assert proposal["passed"] is True
    assert proposal["cell"] == {"number": 2, "cell_id": "c-7", "source": CELL.replace("< 2", "<= 2")}
    assert "+    return 4.9 if weight <= 2 else 7.2" in proposal["diffs"]["In [2]"]
    assert "In [2]  +1 −1" in said.displayed[-1] or "In [2]" in said.displayed[-2]
    accepted = kernel.run("%loom accept")
    assert accepted.next_input == CELL.replace("< 2", "<= 2")
    assert kernel.value("job.state.value") == "accepted"
    assert kernel.run("%loom cell").next_input == CELL.replace("< 2", "<= 2")
    assert "Cell changes are undone in the notebook." in kernel.run("%loom undo").text
    assert kernel.value("__import__('loom_jupyter').Loom('.').replay(job.id).same") is True


def provide_model(kernel: Kernel, *replies: str) -> None:
    """Have the model choose the cell and then say this."""
    said = [PLAN, json.dumps({"targets": ["c1"]}), *replies]
    assert kernel.run(f"kernels.provide_model({said!r})", quiet=True).status == "ok"


def test_a_new_cell_is_gated_by_the_live_names_and_unchecked_without_a_check(kernel: Kernel) -> None:
    kernel.run("prices = {'AT': 4.9}")
    provide_model(kernel, "print(pricse)\n")
    said = kernel.run("%%loom --cell --wait --apply job\nadd all prices up")
    assert kernel.value("[job.state.value, job.proposal.cell if job.proposal else None]") == ["failed", None]
    assert "no usable candidate (1 refused)" in said.text
    provide_model(kernel, "total = sum(prices.values())\ntotal\n")
    said = kernel.run("%%loom --cell --wait --apply job\nadd all prices up")
    assert said.status == "ok", said.error + said.text
    assert said.next_input == "total = sum(prices.values())\ntotal"
    assert kernel.value("[job.state.value, job.proposal.passed]") == ["accepted", None]


def test_fix_writes_the_corrected_cell(kernel: Kernel) -> None:
    kernel.run("limit = 2")
    kernel.run(CELL)
    said = kernel.run("%loom fix --cell --check cell --wait --apply job")
    assert said.status == "ok", said.error + said.text
    assert said.next_input == CELL.replace("< 2", "<= 2")
    assert "Correct the cell, so that it no longer raises." in kernel.value("job.task")


def test_what_does_not_go_with_cell_is_said(kernel: Kernel) -> None:
    assert "by --check cell alone" in kernel.run('%%loom --cell --check "pytest -q"\ntask').text
    assert "leave --ask and --commit out" in kernel.run("%%loom --cell --ask\ntask").text
    kernel.run("x = 1")
    assert "no cell In [9] to rewrite; those that ran are [" in kernel.run("%%loom --cell\nmend In [9]").text


def test_variables_of_the_notebook_in_the_task(kernel: Kernel) -> None:
    kernel.run("limit = 2.0")
    kernel.run("%%loom --format --wait job\n{limit:.0f} kg should cost the small price")
    kernel.run("%%loom --wait plain\n{limit:.0f} kg")
    assert kernel.value("[job.task, job.request.task, plain.task]") == [
        "2 kg should cost the small price",
        "2 kg should cost the small price",
        "{limit:.0f} kg",
    ]
    assert (
        "There is no variable 'limt' in this notebook. Did you mean limit or quit?"
        in kernel.run("%%loom --format\n{limt} kg").text
    )


def test_changed_modules_are_reloaded_on_request_only(kernel: Kernel) -> None:
    kernel.run("from tariff import tariff\nassert tariff(2) == 7.2")
    kernel.run("tariff(2) / 0")
    kernel.run(
        "%%loom --check 'python -c \"import tariff; assert tariff.tariff(2) == 4.9\"' --wait --apply job\n2 kg"
    )
    assert kernel.value("[job.state.value, tariff(2)]") == ["accepted", 7.2]
    assert kernel.run("%loom reload").displayed[-1] == "Reloaded tariff."
    assert kernel.value("tariff(2)") == 4.9
