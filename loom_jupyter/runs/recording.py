"""What a run must keep to be replayed: each answer that its nodes got, a JSON line a call."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from loom_jupyter.context.context_map import ContextMap, Offer, Relation, Rewrite
from loom_jupyter.models.protocol import Model
from loom_jupyter.models.recorded import Answers, Line, digest, recorder
from loom_jupyter.pipeline.contracts import TaskSpec, Trial
from loom_jupyter.pipeline.interfaces import TaskEnvironment, UserInput
from loom_jupyter.runs.log import LineReader, LineWriter

RECORDINGS = "recordings.jsonl"
MAX_BYTES = 8 * 1024 * 1024
"""Of one run's recording; what comes after is not kept, and the run cannot be replayed."""
FULL = "full"


class Recording:
    """Writes ``recordings.jsonl`` (0600) into a run's folder.

    Parameters
    ----------
    notice
        Told, once, why the run can no longer be replayed. The run itself goes on.
    """

    def __init__(self, folder: Path, notice: Callable[[str], None]) -> None:
        self._file = folder / RECORDINGS
        self._notice = notice
        self._lines: LineWriter | None = None
        self._room = MAX_BYTES

    def __enter__(self) -> Recording:
        try:
            self._lines = LineWriter(self._file)
        except OSError as error:
            self._lose(f"its folder cannot be written ({error.strerror or error})")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lines is not None:
            self._lines.close()

    def write(self, line: Line) -> None:
        """Append one call."""
        if self._lines is None:
            return
        data = json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode()
        full = len(data) > self._room
        try:
            self._lines.write(json.dumps({"call": FULL}).encode() if full else data)
        except OSError as error:
            self._lose(f"the disk refuses ({error.strerror or error})")
            return
        self._room -= len(data)
        if full:
            self._lose(f"its recording has reached {MAX_BYTES // 1024**2} MiB")

    def model(self, model: Model) -> Model:
        """Return `model`, recorded."""
        return recorder(model, self.write)

    def environment(self, environment: TaskEnvironment) -> TaskEnvironment:
        """Return `environment`, recorded."""
        return _RecordedDesk(environment, self.write)

    def user_input(self, user_input: UserInput) -> UserInput:
        """Return `user_input`, recorded."""
        return _RecordedUserInput(user_input, self.write)

    def clock(self) -> float:
        """Return the time in seconds, and remember it: the search ends by it."""
        now = round(time.monotonic(), 3)
        self.write({"call": "clock", "reply": now})
        return now

    def _lose(self, why: str) -> None:
        if self._lines is not None:
            self._lines.close()
            self._lines = None
        self._notice(f"This run cannot be replayed later: {why}.")


class _RecordedDesk:
    """Hands on to an environment and writes down what it answers."""

    def __init__(self, environment: TaskEnvironment, write: Callable[[Line], None]) -> None:
        self._environment = environment
        self._write = write

    def offers(self, spec: TaskSpec) -> Sequence[Offer]:
        found = self._environment.offers(spec)
        self._write({"call": "offers", "prompt": _of_spec(spec), "reply": [o.model_dump() for o in found]})
        return found

    def map(self, spec: TaskSpec, chosen: Sequence[Offer]) -> ContextMap:
        found = self._environment.map(spec, chosen)
        self._write(
            {
                "call": "map",
                "prompt": _of_map(spec, chosen),
                "spec": spec.model_dump(mode="json"),
                "reply": found.model_dump(),
            }
        )
        return found

    @property
    def expands(self) -> bool:
        found = self._environment.expands
        if found:
            self._write({"call": "expands", "prompt": "", "reply": True})
        return found

    def expand(self, asked: Sequence[tuple[Offer, Relation]]) -> Sequence[Offer]:
        found = self._environment.expand(asked)
        self._write({"call": "expand", "prompt": _of_asked(asked), "reply": [o.model_dump() for o in found]})
        return found

    @property
    def checked(self) -> bool:
        found = self._environment.checked
        self._write({"call": "checked", "prompt": "", "reply": found})
        return found

    def trial(self, rewrites: Sequence[Rewrite]) -> Trial:
        found = self._environment.trial(rewrites)
        self._write({"call": "trial", "prompt": _of_rewrites(rewrites), "reply": found.model_dump()})
        return found


class ReplayedDesk:
    """Answers what a recorded run's environment answered: no file is read, no check runs."""

    def __init__(self, lines: Sequence[Line], in_order: bool = False) -> None:
        self._answers = Answers(lines, in_order)
        self.expands = any(line["call"] == "expands" for line in lines)

    def expand(self, asked: Sequence[tuple[Offer, Relation]]) -> Sequence[Offer]:
        """Return what that run's environment looked up."""
        return [Offer.model_validate(o) for o in self._answers.take("expand", _of_asked(asked))["reply"]]

    def offers(self, spec: TaskSpec) -> Sequence[Offer]:
        """Return the offers of that run."""
        return [Offer.model_validate(o) for o in self._answers.take("offers", _of_spec(spec))["reply"]]

    def map(self, spec: TaskSpec, chosen: Sequence[Offer]) -> ContextMap:
        """Return the map of that run."""
        return ContextMap.model_validate(self._answers.take("map", _of_map(spec, chosen))["reply"])

    @property
    def checked(self) -> bool:
        """Whether that run had a check."""
        return bool(self._answers.take("checked", "")["reply"])

    def trial(self, rewrites: Sequence[Rewrite]) -> Trial:
        """Return what became of the rewrites in that run."""
        return Trial.model_validate(self._answers.take("trial", _of_rewrites(rewrites))["reply"])


class _RecordedUserInput:
    """Hands on to a person and writes down what was said; nothing where nothing was."""

    def __init__(self, user_input: UserInput, write: Callable[[Line], None]) -> None:
        self._user_input = user_input
        self._write = write

    @property
    def may_be_asked(self) -> bool:
        found = self._user_input.may_be_asked
        if found:
            self._write({"call": "unclear", "reply": True})
        return found

    def answer(self, question: str) -> str:
        found = self._user_input.answer(question)
        self._write({"call": "answer", "prompt": digest(question), "reply": found})
        return found

    def approve(self, spec: TaskSpec) -> TaskSpec:
        found = self._user_input.approve(spec)
        if found != spec:
            self._write({"call": "approve", "prompt": _of_spec(spec), "reply": found.model_dump(mode="json")})
        return found


class ReplayedUserInput:
    """Says what a recorded run's user said."""

    def __init__(self, lines: Sequence[Line], in_order: bool = False) -> None:
        self._answers = Answers(lines, in_order)
        calls = [line["call"] for line in lines]
        self.may_be_asked = "unclear" in calls
        self._changed = "approve" in calls

    def answer(self, question: str) -> str:
        """Return the answer of that run."""
        return str(self._answers.take("answer", digest(question))["reply"])

    def approve(self, spec: TaskSpec) -> TaskSpec:
        """Return the task as that run's user wanted it."""
        if not self._changed:
            return spec
        return TaskSpec.model_validate(self._answers.take("approve", _of_spec(spec))["reply"])


def replayed_clock(lines: Sequence[Line]) -> Callable[[], float]:
    """Return a clock that tells the times which the recorded run saw."""
    times = iter([float(line["reply"]) for line in lines if line["call"] == "clock"])
    last = 0.0

    def clock() -> float:
        nonlocal last
        last = next(times, last)
        return last

    return clock


def read(folder: Path) -> list[Line]:
    """Return the recorded calls of a run; a torn last line is skipped."""
    found: list[Any] = []
    for line in LineReader(folder / RECORDINGS).read():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [line for line in found if isinstance(line, dict) and "call" in line]


def _of_spec(spec: TaskSpec) -> str:
    return digest(spec.model_dump(mode="json"))


def _of_map(spec: TaskSpec, chosen: Sequence[Offer]) -> str:
    return digest(spec.model_dump(mode="json"), [offer.id for offer in chosen])


def _of_asked(asked: Sequence[tuple[Offer, Relation]]) -> str:
    return digest([(offer.id, relation.value) for offer, relation in asked])


def _of_rewrites(rewrites: Sequence[Rewrite]) -> str:
    return digest([rewrite.model_dump() for rewrite in rewrites])
