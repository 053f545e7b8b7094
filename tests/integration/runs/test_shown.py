"""Accept writes what was shown, whatever became of the run's files meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import scripted_runs
from scripted_runs import AFTER, BEFORE, project

from loom_jupyter import Loom
from loom_jupyter.checks.cells import Cell, Session
from loom_jupyter.context.context_map import Rewrite
from loom_jupyter.errors import LoomError
from loom_jupyter.events import ProposalMade, RunState
from loom_jupyter.pipeline.contracts import Proposal
from loom_jupyter.runs import cell_proposal, runner
from loom_jupyter.runs.log import parse
from loom_jupyter.runs.request import Request
from loom_jupyter.runs.run import Run

MINE = "# mine\n"


@pytest.fixture
def loom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loom:
    monkeypatch.setattr(runner, "start", scripted_runs.start)
    monkeypatch.setattr(scripted_runs, "PAUSE", 0)
    return Loom(project(tmp_path / "ws"))


def reviewed(loom: Loom, task: str = "two kg") -> Run:
    run = loom.run(task)
    assert run.wait(20)
    assert run.state is RunState.REVIEW
    return run


def changed(file: Path, change: Callable[[Any], Any]) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def other_text(run: Run) -> None:
    changed(run.folder / "proposal.json", lambda d: d["rewrites"][0].update(text="evil = 1\n"))


def other_file(run: Run) -> None:
    place = {"path": "evil.py", "sha256": None, "start": 1, "end": 0, "text": ""}
    changed(run.folder / "proposal.json", lambda d: d["rewrites"][0]["target"].update(place))
    changed(run.folder / "map.json", lambda d: d["targets"][0].update(place))


def one_more_file(run: Run) -> None:
    place = {"path": "evil.py", "sha256": None, "start": 1, "end": 0, "text": ""}
    target = {**json.loads((run.folder / "map.json").read_text())["targets"][0], **place}
    changed(run.folder / "proposal.json", lambda d: d["rewrites"].append({"target": target, "text": "evil = 1\n"}))
    changed(run.folder / "map.json", lambda d: d["targets"].append(target))


def other_lines(run: Run) -> None:
    def move(target: dict[str, Any]) -> None:
        target.update(start=1, end=1, text=BEFORE.splitlines()[0] + "\n")

    changed(run.folder / "proposal.json", lambda d: move(d["rewrites"][0]["target"]))
    changed(run.folder / "map.json", lambda d: move(d["targets"][0]))


def nothing_left(run: Run) -> None:
    changed(run.folder / "proposal.json", lambda d: d["rewrites"].clear())


def no_proposal(run: Run) -> None:
    (run.folder / "proposal.json").unlink()


def no_json(run: Run) -> None:
    (run.folder / "proposal.json").write_text("{")


SPOILT = [other_text, other_file, one_more_file, other_lines, nothing_left, no_proposal, no_json]
WAYS: list[dict[str, Any]] = [{}, {"paths": ["tariff.py"]}, {"hunks": {"tariff.py": [0]}}, {"merged": True}]


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("way", WAYS, ids=["whole", "paths", "hunks", "merged"])
def test_what_was_not_shown_is_not_written(loom: Loom, spoil: Callable[[Run], None], way: dict[str, Any]) -> None:
    run = reviewed(loom)
    spoil(run)
    if spoil is one_more_file and "paths" in way:
        way = {"paths": ["evil.py"]}
    with pytest.raises(LoomError):
        run.accept(**way)
    assert run.state is RunState.REVIEW
    assert (loom.root / "tariff.py").read_text() == BEFORE
    assert not (loom.root / "evil.py").exists()


def test_it_is_one_sentence(loom: Loom) -> None:
    run = reviewed(loom)
    other_text(run)
    with pytest.raises(LoomError, match=r"tariff\.py would not become what was shown.*run the task again"):
        run.accept()


def test_the_owner_does_not_believe_a_rewritten_log(loom: Loom) -> None:
    run = reviewed(loom)
    other_text(run)
    proposal = Proposal.model_validate_json((run.folder / "proposal.json").read_text())
    forged = cell_proposal.digests(run, proposal.rewrites)
    log = run.folder / "progress.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if line["type"] == "proposal":
            line["digests"] = forged
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(LoomError, match="what was shown"):
        run.accept()
    assert (loom.root / "tariff.py").read_text() == BEFORE


@pytest.mark.parametrize("spoil", [other_text, other_file, one_more_file])
def test_who_adopts_a_run_compares_with_its_log(loom: Loom, spoil: Callable[[Run], None]) -> None:
    run = reviewed(loom)
    run.release()
    spoil(run)
    code = "import sys; from loom_jupyter import Loom; Loom(sys.argv[1]).open_run(sys.argv[2]).accept()"
    asked = subprocess.run([sys.executable, "-c", code, str(loom.root), run.id], capture_output=True, text=True)
    assert asked.returncode != 0
    assert "shown" in asked.stderr
    assert (loom.root / "tariff.py").read_text() == BEFORE


def test_a_log_without_digests_is_not_enough(loom: Loom) -> None:
    run = reviewed(loom)
    run.release()
    log = run.folder / "progress.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        line.pop("digests", None)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(LoomError, match="what was shown"):
        Loom(loom.root).open_run(run.id).accept()


def test_what_was_shown_is_accepted_by_whoever_adopts_the_run(loom: Loom) -> None:
    run = reviewed(loom)
    run.release()
    Loom(loom.root).open_run(run.id).accept()
    assert (loom.root / "tariff.py").read_text() == AFTER


def test_a_merge_starts_from_the_bytes_that_were_read(loom: Loom) -> None:
    run = reviewed(loom)
    (loom.root / "tariff.py").write_text(BEFORE + MINE)
    (kept,) = (run.folder / "read").iterdir()
    kept.chmod(0o600)
    kept.write_text("evil = 1\n" + BEFORE)
    with pytest.raises(LoomError):
        run.accept(merged=True)
    assert (loom.root / "tariff.py").read_text() == BEFORE + MINE
    kept.write_text(BEFORE)
    run.accept(merged=True)
    assert (loom.root / "tariff.py").read_text() == AFTER + MINE


def test_the_digests_are_in_the_log(loom: Loom) -> None:
    run = reviewed(loom)
    events = [parse(line) for line in (run.folder / "progress.jsonl").read_bytes().splitlines()]
    (proposal,) = [event for event in events if isinstance(event, ProposalMade)]
    assert proposal.digests == run.digests
    assert list(proposal.digests) == ["tariff.py"]
    assert len(proposal.digests["tariff.py"]) == 64


CELLS = (Cell(number=1, source="limit = 2"), Cell(number=3, source="price = limit < 2", error="X"))


def cell_run(tmp_path: Path) -> Run:
    request = Request(id="r1", task="t", root=str(tmp_path), cell=True, session=Session(cells=CELLS))
    assert request.session is not None
    run = Run(tmp_path / "run", request)
    run.folder.mkdir()
    assert run.own()
    cell_proposal.write_session(run.folder, request.session)
    target = cell_proposal.target(run)
    runner._propose(
        run, Proposal(rewrites=(Rewrite(target=target, text="price = limit <= 2\n"),), summary="s", passed=None)
    )
    return run


def test_a_cell_is_accepted_as_it_was_shown(tmp_path: Path) -> None:
    run = cell_run(tmp_path)
    run.accept()
    assert run.state is RunState.ACCEPTED
    log = run.folder / "progress.jsonl"
    log.write_text(log.read_text().replace("price = limit <= 2", "evil()"))
    assert run.proposal is not None
    assert run.proposal.cell is not None
    assert run.proposal.cell.source == "price = limit <= 2"


@pytest.mark.parametrize("name", ["proposal.json", "progress.jsonl"])
def test_a_cell_that_was_not_shown_is_not_accepted(tmp_path: Path, name: str) -> None:
    run = cell_run(tmp_path)
    run.release()
    file = run.folder / name
    file.write_text(file.read_text().replace("limit <= 2", "evil()"))
    with pytest.raises(LoomError, match="not what was shown"):
        Run(run.folder, run.request).accept()
