"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from places import PARCELS

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.protocol import (
    Branch,
    Continuation,
    Message,
    ModelInfo,
    Reply,
    TokenScore,
    Usage,
)

# Timings are benchmarks; a machine that is busy must not fail a test. `make test` asks for all examples.
settings.register_profile("full", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=25)
settings.load_profile("quick")

MEMORY = Path("/dev/shm")
UNIT = Path(__file__).parent / "unit"
ENOUGH = 2 << 30


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put the folders of unit tests into memory where there is room: real disks make them wait for every fsync.

    Of unit tests only: a check's sandbox has a /dev/shm of its own, where a copy that lies in it is not seen.
    """
    unit = all(Path(arg.partition("::")[0]).resolve().is_relative_to(UNIT) for arg in config.args)
    if not unit or config.option.basetemp is not None or not os.access(MEMORY, os.W_OK):
        return
    if shutil.disk_usage(MEMORY).free > ENOUGH:
        folder = tempfile.mkdtemp(prefix="loom-tests-", dir=MEMORY)
        config.option.basetemp = folder
        # Not rmtree: tests leave folders deeper than Python recurses.
        config.add_cleanup(lambda: subprocess.run(["rm", "-rf", "--", folder], check=False))


class ScriptedModel:
    """A model that says what a test wrote down, for malformed replies and for timing that must not vary.

    Replies are strings, or functions from the messages to a string. `scores` and `lines` serve the branch search.
    """

    info = ModelInfo("scripted", 8192, "CPU", 0, 0)

    def __init__(
        self,
        replies: Sequence[str | Callable[[Sequence[Message]], str]] = (),
        scores: Sequence[TokenScore] = (),
        lines: Mapping[Branch, str] | None = None,
    ) -> None:
        self.replies = list(replies)
        self.scores = list(scores)
        self.lines = dict(lines or {})
        self.prompts: list[list[Message]] = []
        self.options: list[dict[str, Any]] = []

    def count(self, text: str) -> int:
        return len(text) // 4 + 1

    def chat(
        self,
        messages: Sequence[Message],
        *,
        on_text: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
        **options: Any,
    ) -> Reply:
        if cancel is not None and cancel.is_set():
            raise Cancelled
        self.prompts.append(list(messages))
        self.options.append(options)
        said = self.replies.pop(0) if self.replies else ""
        text = said(messages) if callable(said) else said
        if on_text is not None:
            on_text(text)
        return Reply(text, "stop", Usage(10, 0, 5, 0.01, 0.01))

    def score(self, messages: Sequence[Message], text: str, **_: Any) -> tuple[list[TokenScore], Usage]:
        self.prompts.append(list(messages))
        return list(self.scores), Usage(10, 0, 0, 0.01, 0.0)

    def branch(
        self, messages: Sequence[Message], text: str, branches: Sequence[Branch], **_: Any
    ) -> Iterable[Continuation]:
        for branch in sorted(branches, key=lambda b: -b.index):
            yield Continuation(branch, self.lines[branch], -1.0, "stop")

    def sample(
        self, messages: Sequence[Message], temperatures: Sequence[float], **options: Any
    ) -> Iterable[Reply]:
        options.pop("cancel", None)
        for temperature in temperatures:
            yield self.chat(messages, temperature=temperature, **options)


@pytest.fixture
def scripted() -> type[ScriptedModel]:
    """The class of a model that says what the test wrote down."""
    return ScriptedModel


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of the quickstart's sample project."""
    return Path(shutil.copytree(PARCELS, tmp_path / "parcels", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(autouse=True)
def private_data_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep indexes and runs of a test away from the user's own."""
    folder = tmp_path_factory.mktemp("jupyter-data")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def small_model() -> Path:
    """Path of the small real model; downloaded on first use."""
    from loom_jupyter.models.download import locate

    return locate(os.environ.get("LOOM_TEST_MODEL", "qwen2.5-coder-0.5b"))
