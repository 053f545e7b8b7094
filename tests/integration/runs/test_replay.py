"""Replays: of runs with a scripted model, and of a recorded run of a real one.

After a change of the pipeline's prompts, with the small model in LOOM_MODEL:
``PYTHONPATH=tests/fixtures python -m tests.integration.runs.test_replay``.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from places import FIXTURES, PARCELS

from loom_jupyter import Loom, commands
from loom_jupyter.errors import LoomError
from loom_jupyter.models.protocol import Alternative, Branch, ModelDiedError, Reply, TokenScore, Usage
from loom_jupyter.models.recorded import NotRecordedError
from loom_jupyter.pipeline import coder
from loom_jupyter.pipeline.contracts import Proposal
from loom_jupyter.runs import recording
from loom_jupyter.runs.log import LineWriter
from loom_jupyter.runs.recording import RECORDINGS
from loom_jupyter.runs.replay import again

RECORDED = FIXTURES / "recordings"
TASK = "parcel_price(weight=2.0) charges the 2-5 kg tariff; up to and including 2 kg should cost the small one"
CHECK = f'{sys.executable} -c "from parcels.tariff import parcel_price as price; assert price(2.0) == 4.9"'
PLAN = json.dumps({"intent": "change", "goal": "2 kg is small", "acceptance": [], "terms": ["tariff"]})
CHOICE = json.dumps({"targets": ["s1"]})

ProvideModel = Callable[..., None]


@pytest.fixture
def provide_model(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> ProvideModel:
    """Put a scripted model that doubts the comparison in the place of the process's model."""

    class Weak(scripted):  # type: ignore[misc]
        def score(self, messages: Any, text: str, **_: Any) -> Any:
            start = text.find("< 2")
            others = (Alternative(7, "<=", -1.987654321), Alternative(8, ">", -3.0))
            return ([TokenScore(0, start, "<", -0.1, others)] if start >= 0 else []), Usage()

    def put(replies: list[Any], line: str = "<= 2:") -> None:
        @contextmanager
        def acquire(name: Any, on_progress: Any, cancel: threading.Event, log: Path) -> Iterator[Any]:
            yield Weak(list(replies), lines={Branch(0, 7): line, Branch(0, 8): "> 2:"})

        monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)

    put([PLAN, CHOICE])
    return put


def finished(loom: Loom, **options: Any) -> Any:
    run = loom.run(TASK, **options)
    assert run.wait(60)
    assert run.proposal is not None, run.error
    return run


def no_model(*_: Any, **__: Any) -> Any:
    raise AssertionError("a replay loads no model")


@pytest.mark.parametrize("check", [CHECK, None])
def test_a_replay_reaches_the_same_proposal_without_model_and_workspace(
    sample: Path, provide_model: ProvideModel, monkeypatch: pytest.MonkeyPatch, check: str | None
) -> None:
    run = finished(Loom(sample), check=check)
    run.accept()
    monkeypatch.setattr("loom_jupyter.models.host.acquire", no_model)
    shutil.rmtree(sample / "parcels")
    done = Loom(sample).replay(run.id)
    assert done.same
    assert done.replayed == run.proposal.diffs
    assert stat.S_IMODE((run.folder / RECORDINGS).stat().st_mode) == 0o600
    said = str(commands.find("replay").act(Loom(sample), commands.find("replay").parse("loom", [])))
    assert "the same proposal, byte for byte" in said


def test_an_answer_is_replayed(sample: Path, provide_model: ProvideModel) -> None:
    provide_model([PLAN, CHOICE, "It is in tariff.py."])
    run = finished(Loom(sample), ask=True)
    done = Loom(sample).replay(run.id)
    assert (done.same, done.answer) == (True, "It is in tariff.py.")


def test_a_death_of_the_model_is_replayed(sample: Path, provide_model: ProvideModel) -> None:
    def die(_: Any) -> str:
        raise ModelDiedError("killed")

    provide_model([die, PLAN, CHOICE])
    run = finished(Loom(sample), check=CHECK)
    assert Loom(sample).replay(run.id).same


def test_the_clock_of_the_run_decides_not_that_of_the_replay(
    sample: Path, provide_model: ProvideModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coder, "SURE_TRIES", 1)
    run = finished(Loom(sample), check="exit 1", budget=0.001)
    assert run.proposal.passed is False
    assert Loom(sample).replay(run.id).same


def test_a_run_without_recording_is_refused_in_a_sentence(sample: Path, provide_model: ProvideModel) -> None:
    run = finished(Loom(sample))
    (run.folder / RECORDINGS).unlink()
    with pytest.raises(LoomError, match="holds no recording"):
        Loom(sample).replay(run.id)


def test_changed_code_is_noticed(
    sample: Path, provide_model: ProvideModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(Loom(sample))
    monkeypatch.setattr("loom_jupyter.pipeline.architect.render", lambda *_: "Something else is asked.")
    with pytest.raises(NotRecordedError, match="run the task again"):
        Loom(sample).replay(run.id)


def test_a_full_recording_says_so_and_the_run_goes_on(
    sample: Path, provide_model: ProvideModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MAX_BYTES", 2000)
    run = finished(Loom(sample), check=CHECK)
    assert run.proposal.passed
    assert (run.folder / RECORDINGS).stat().st_size < 2100
    assert [e.text for e in run.events() if e.type == "notice" and "replayed" in e.text]
    with pytest.raises(LoomError, match="was cut off"):
        Loom(sample).replay(run.id)


def test_a_disk_that_refuses_does_not_end_the_run(
    sample: Path, provide_model: ProvideModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(LineWriter):
        def write(self, line: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(recording, "LineWriter", Refusing)
    run = finished(Loom(sample), check=CHECK)
    assert run.proposal.passed
    assert sum("No space left" in e.text for e in run.events() if e.type == "notice") == 1


def test_another_model_gets_the_same_map_and_both_diffs_are_shown(
    sample: Path, provide_model: ProvideModel
) -> None:
    loom = Loom(sample)
    run = finished(loom)
    before = {file: file.read_bytes() for file in sample.rglob("*.py")}
    events = len(run.events())
    provide_model([], "<= 2.0:")
    done = loom.replay(run.id, model="qwen2.5-coder-0.5b")
    assert (done.same, done.passed) == (False, None)
    assert "<= 2.0:" in done.diff
    assert (len(run.events()), {file: file.read_bytes() for file in before}) == (events, before)
    verb = commands.find("replay")
    said = str(verb.act(loom, verb.parse("loom", [run.id, "--model", "qwen2.5-coder-0.5b"])))
    assert said.count("+++ b/parcels/tariff.py") == 2


def test_another_model_is_judged_by_the_same_check(sample: Path, provide_model: ProvideModel) -> None:
    loom = Loom(sample)
    run = finished(loom, check=CHECK)
    provide_model([])
    done = loom.replay(run.id, model="qwen2.5-coder-0.5b")
    assert (done.same, done.passed, done.model) == (True, True, "scripted")


def test_another_model_needs_the_files_as_they_were_read(sample: Path, provide_model: ProvideModel) -> None:
    loom = Loom(sample)
    run = finished(loom, check=CHECK)
    run.accept()
    with pytest.raises(LoomError, match=r"parcels/tariff\.py is no longer what run .* read; undo"):
        loom.replay(run.id, model="qwen2.5-coder-0.5b")


# --- a recording of a real model ---


@pytest.mark.parametrize("folder", sorted(RECORDED.iterdir()), ids=lambda folder: folder.name)
def test_the_pipeline_makes_of_real_replies_what_it_made(folder: Path) -> None:
    asked = json.loads((folder / "run.json").read_text("utf-8"))
    proposal = again(asked["task"], recording.read(folder), budget=asked["budget"], ask=False, in_order=True)
    assert proposal == Proposal.model_validate_json((folder / "proposal.json").read_text("utf-8"))


def test_wrappers_offer_what_the_model_offers(scripted: Any) -> None:
    from loom_jupyter.models.protocol import ModelInfo, Scorer
    from loom_jupyter.models.recorded import recorded, recorder

    class Plain:
        info = ModelInfo("plain", 1024, "CPU", 0, 0)

        def count(self, text: str) -> int:
            return len(text)

        def chat(self, messages: Any, **_: Any) -> Reply:
            return Reply("yes", "stop", Usage())

    for model, scores in ((Plain(), False), (scripted(), True)):
        lines: list[Any] = []
        kept = recorder(model, lines.append)
        assert isinstance(kept, Scorer) is scores
        assert isinstance(recorded(lines), Scorer) is scores
        said = kept.chat([{"role": "user", "content": "?"}], max_tokens=3).text
        assert recorded(lines).chat([{"role": "user", "content": "?"}], max_tokens=3).text == said


def test_samples_are_recorded_as_far_as_they_came(scripted: Any) -> None:
    from loom_jupyter.models.protocol import Scorer
    from loom_jupyter.models.recorded import NotRecordedError, recorded, recorder

    lines: list[Any] = []
    kept = recorder(scripted(["one", "two", "three"]), lines.append)
    assert isinstance(kept, Scorer)
    question: Any = [{"role": "user", "content": "?"}]
    samples = iter(kept.sample(question, [0.5, 0.5, 1.0], max_tokens=3))
    assert [next(samples).text, next(samples).text] == ["one", "two"]
    samples.close()  # type: ignore[attr-defined]
    again = recorded(json.loads(json.dumps(lines)))
    assert isinstance(again, Scorer)
    assert [r.text for r in again.sample(question, [0.5, 0.5, 1.0], max_tokens=3)] == ["one", "two"]
    with pytest.raises(NotRecordedError):
        list(again.sample(question, [0.5], max_tokens=3))


def record() -> None:
    """Record a run of the model in LOOM_MODEL on the sample project."""
    sample = PARCELS
    with tempfile.TemporaryDirectory() as data:
        os.environ["JUPYTER_DATA_DIR"] = data
        root = Path(shutil.copytree(sample, Path(data, "parcels"), ignore=shutil.ignore_patterns("__pycache__")))
        run = Loom(root, model=os.environ["LOOM_MODEL"]).run(TASK, check="python -m pytest -q")
        run.wait()
        kept = RECORDED / "boundary"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        asked = {"task": run.task, "budget": run.request.budget}
        (kept / "run.json").write_text(json.dumps(asked, indent=1) + "\n", "utf-8")
        for name in (RECORDINGS, "proposal.json"):
            text = (run.folder / name).read_text("utf-8").replace(str(root), "/parcels")
            (kept / name).write_text(text, "utf-8")
        sys.stdout.write(f"{run.state.value}: {(kept / RECORDINGS).stat().st_size:,} bytes\n")


if __name__ == "__main__":
    record()
