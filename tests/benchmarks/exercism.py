"""aider's Python exercises: ``python -m tests.benchmarks.exercism --exercises DIR --harness loom|whole``.

DIR is a clone of exercism/python, a work tree or a bare one; nothing of it is part of this repository. A task is
an exercise's instructions and its stub. The tests stay out of the workspace and out of every prompt; they are the
check, so that what they print may be seen after a try. A fixed sample of 30, by name.

``whole`` is the reference: the whole file, greedy, then once more with the tests' output. ``loom`` is a run.
"""

from __future__ import annotations

import functools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from loom_jupyter.checks.command import CheckResult, run_check
from loom_jupyter.models import host
from loom_jupyter.models.protocol import Message, ModelError
from loom_jupyter.pipeline.patch import fenced_code
from tests.benchmarks.edits.meter import Meter
from tests.benchmarks.edits.outcome import Outcome, arguments, results, run_all, table
from tests.benchmarks.edits.packages import SuiteError
from tests.benchmarks.edits.run import GRACE, describe

SAMPLE = 30
SEED = 20
TIMEOUT = 60.0
OUTPUT = 2500
REPLY_TOKENS = 2000
PRACTICE = "exercises/practice"
_FENCE = re.compile(r"^```", re.M)
# The request's end is aider's, so that its figures can be compared.
RULES = """Use the above instructions to modify the supplied file: {stub}
Don't change the names of existing functions or classes, as they may be referenced from other code like unit \
tests, etc.
Only use standard python libraries, don't suggest installing any packages."""
AGAIN = """The tests failed:

{output}

Fix the code in {stub} so that the tests pass. The tests are correct, don't try to change them. Answer with the \
complete corrected file in one code block."""


class MissingExercisesError(Exception):
    """The folder holds no exercises."""


@dataclass(frozen=True)
class Exercise:
    """One exercise: the request, the stub's name and text, and the tests' name and text."""

    name: str
    instructions: str
    stub: str
    code: str
    tests: dict[str, str]

    @property
    def request(self) -> str:
        """What is asked of the model or of Loom."""
        return f"{self.instructions}\n\n{RULES.format(stub=self.stub)}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments("exercism", __doc__.splitlines()[0])
    parser.add_argument("--exercises", type=Path, required=True, metavar="DIR", help="a clone of exercism/python")
    parser.add_argument("--harness", choices=["loom", "whole"], default="loom")
    parser.add_argument("--sample", type=int, default=SAMPLE, help=f"how many exercises (default {SAMPLE})")
    options = parser.parse_args(argv)
    out = results(options, options.harness)
    work = out.with_suffix("")
    if not options.resume:
        shutil.rmtree(work, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temp:
        folder = practice(options.exercises, Path(temp))
        names = [n for n in sample(folder, options.sample) if not options.only or n in options.only]
        one = functools.partial(
            run_named,
            folder=folder,
            harness=options.harness,
            model=options.model,
            budget=options.budget,
            work=work,
        )
        outcomes = run_all(names, one, out=out, resume=options.resume, jobs=options.jobs)
    first = sum(o.solved and o.winner == 1 for o in outcomes)
    second = sum(o.solved and (o.winner or 3) <= 2 for o in outcomes)
    print(f"\n{options.harness}, {options.model or 'default model'}\n{table(outcomes)}")
    print(f"solved at the first try {first}, by the second {second}, of {len(outcomes)}\nlines in {out}")
    return 0


def practice(clone: Path, temp: Path) -> Path:
    """Return the folder of practice exercises; a bare clone's are unpacked into `temp`."""
    if (clone / PRACTICE).is_dir():
        return clone / PRACTICE
    done = subprocess.run(["git", "-C", str(clone), "archive", "HEAD", PRACTICE], capture_output=True, check=False)
    if done.returncode:
        raise MissingExercisesError(
            f"{clone} holds no {PRACTICE}; give a clone of github.com/exercism/python with --exercises."
        )
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(temp, filter="data")
    return temp / PRACTICE


def sample(folder: Path, size: int = SAMPLE) -> list[str]:
    """Return a fixed sample of the exercises that have a stub and tests, in alphabetical order."""
    names = sorted(f.name for f in folder.iterdir() if (f / ".meta/config.json").exists())
    usable = [name for name in names if _files(folder / name) is not None]
    return sorted(random.Random(SEED).sample(usable, min(size, len(usable))))


def _files(folder: Path) -> tuple[str, list[str]] | None:
    """Return the stub's name and the tests' names; None unless there is one stub, and all are there."""
    files = json.loads((folder / ".meta/config.json").read_text("utf-8")).get("files", {})
    stubs, tests = files.get("solution", []), files.get("test", [])
    if len(stubs) != 1 or not tests or not all((folder / name).exists() for name in [*stubs, *tests]):
        return None
    return stubs[0], tests


def load(folder: Path, name: str) -> Exercise:
    """Read one exercise."""
    found = _files(folder / name)
    if found is None:
        raise MissingExercisesError(f"{name} has no stub or no tests.")
    stub, tests = found
    docs = [folder / name / ".docs" / f"{part}.md" for part in _DOCS]
    text = "\n\n".join(doc.read_text("utf-8").strip() for doc in docs if doc.exists())
    return Exercise(
        name=name,
        instructions=text,
        stub=stub,
        code=(folder / name / stub).read_text("utf-8"),
        tests={test: (folder / name / test).read_text("utf-8") for test in tests},
    )


_DOCS = ("introduction", "introduction.append", "instructions", "instructions.append")


def run_named(name: str, *, folder: Path, harness: str, model: str | None, budget: float, work: Path) -> Outcome:
    """Run one exercise."""
    exercise = load(folder, name)
    place = work / "exercises" / name
    shutil.rmtree(place, ignore_errors=True)
    root, hidden = place / "workspace", place / "tests"
    root.mkdir(parents=True)
    hidden.mkdir()
    (root / exercise.stub).write_text(exercise.code, "utf-8")
    for test, text in exercise.tests.items():
        (hidden / test).write_text(text, "utf-8")
    check = f"python -m pytest -q {' '.join(str((hidden / test).resolve()) for test in exercise.tests)}"
    run = _whole if harness == "whole" else _loom
    outcome = run(exercise, root, check, model, budget, work)
    outcome.task, outcome.group = name, "exercism"
    return outcome


def _loom(exercise: Exercise, root: Path, check: str, model: str | None, budget: float, work: Path) -> Outcome:
    os.environ["JUPYTER_DATA_DIR"] = str(work / "data")
    from loom_jupyter import Loom
    from loom_jupyter.loom import warm

    warm()
    loom, meter = Loom(root, model=model), Meter()
    with meter.installed():
        run = loom.run(exercise.request, check=check, budget=budget)
        if not run.wait(budget + GRACE):
            run.stop()
            run.wait(60)
    outcome = describe(run, meter)
    if outcome.claimed:
        run.accept()
        outcome.solved = _tested(check, root).passed
    return outcome


def _whole(exercise: Exercise, root: Path, check: str, model: str | None, budget: float, work: Path) -> Outcome:
    """Write the whole file greedily; if the tests fail, once more with what they said."""
    outcome = Outcome(task="", group="", harness="whole", model=str(model), budget=budget, winner_kind="whole")
    messages: list[Message] = [
        {
            "role": "system",
            "content": "You are an expert Python programmer. You write complete, working files. Answer with the "
            "complete new file in one code block, without placeholders, and nothing else.",
        },
        {
            "role": "user",
            "content": f"{exercise.request}\n\n{exercise.stub}\n```python\n{exercise.code}```\n\n"
            f"Answer with the complete new {exercise.stub} in one code block.",
        },
    ]
    with host.acquire(model, lambda *_: None, threading.Event(), work / "model.log") as loaded:
        begin = time.monotonic()
        for attempt in (1, 2):
            began = time.monotonic()
            reply = loaded.chat(messages, max_tokens=REPLY_TOKENS, temperature=0.0)
            outcome.model_seconds += time.monotonic() - began
            outcome.candidates = attempt
            code = fenced_code(reply.text, opened="" if _FENCE.search(reply.text) else "```")
            output = "The answer held no code block."
            if code is None:
                outcome.unusable += 1
            else:
                (root / exercise.stub).write_text(code, "utf-8")
                result = _tested(check, root)
                outcome.check_seconds += result.seconds
                outcome.claimed = outcome.solved = result.passed
                outcome.reason, output = result.summary, result.output[-OUTPUT:]
            if outcome.solved:
                outcome.winner = attempt
                break
            again = AGAIN.format(output=output, stub=exercise.stub)
            messages += [{"role": "assistant", "content": reply.text}, {"role": "user", "content": again}]
        outcome.seconds = time.monotonic() - begin
    outcome.state = "solved" if outcome.solved else "failed"
    return outcome


def _tested(check: str, root: Path) -> CheckResult:
    return run_check(check, root, timeout=TIMEOUT)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (MissingExercisesError, ModelError, SuiteError) as error:
        sys.exit(str(error))
