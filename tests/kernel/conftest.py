"""A shell in memory, in a copy of the sample project."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from loom_jupyter.kernel.tracker import KernelTracker


class Notebook:
    """Runs cells, as a user would."""

    def __init__(self, shell: InteractiveShell, root: Path) -> None:
        self.shell, self.root = shell, root
        self.tracker = KernelTracker(shell)
        shell.events.register("post_run_cell", self.tracker.after_cell)

    def run(self, source: str) -> Any:
        with capture_output():
            return self.shell.run_cell(source, store_history=True)

    def close(self) -> None:
        self.shell.events.unregister("post_run_cell", self.tracker.after_cell)


@pytest.fixture
def notebook(sample: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    monkeypatch.syspath_prepend(str(sample))
    monkeypatch.delattr(sys, "last_value", raising=False)
    opened = Notebook(shell, sample)
    yield opened
    opened.close()
    InteractiveShell.clear_instance()
    for name in [n for n in sys.modules if n.partition(".")[0] == "parcels"]:
        del sys.modules[name]
