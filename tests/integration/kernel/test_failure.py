from __future__ import annotations

from typing import Any

from loom_jupyter.kernel.traceback import MOST_FRAMES
from loom_jupyter.notebook_state import Failure


def failed(notebook: Any, source: str) -> Failure:
    notebook.run(source)
    found = notebook.tracker.last_exception(notebook.root)
    assert found is not None
    return found


def test_a_recursion_is_one_frame(notebook: Any) -> None:
    found = failed(notebook, "def f(n):\n    return f(n + 1)\nf(0)")
    assert [f.function for f in found.frames] == ["<module>", "f"]


def test_a_deep_traceback_keeps_its_innermost_frames(notebook: Any) -> None:
    source = "".join(f"def f{n}():\n    f{n + 1}()\n" for n in range(40)) + "def f40():\n    1 / 0\nf0()"
    found = failed(notebook, source)
    assert len(found.frames) == MOST_FRAMES
    assert found.frames[-1].function == "f40"
