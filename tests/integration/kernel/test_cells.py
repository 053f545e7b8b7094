from __future__ import annotations

from typing import Any

from loom_jupyter.kernel.cells import earlier, executed
from loom_jupyter.kernel.modules import placed


def found(notebook: Any, wanted: list[str], always: tuple[int, ...] = ()) -> list[tuple[int, tuple[str, ...]]]:
    names = notebook.shell.user_ns
    so_far = list(executed(names, notebook.shell.execution_count))
    return [(c.number, c.names) for c in earlier(so_far, wanted, always, names, placed(notebook.root))]


def test_a_cell_executed_twice_counts_once_and_looms_own_do_not(notebook: Any) -> None:
    for source in ("a1 = 1", "a1 = 1", "%%loom\nchange a1", "%loom ledger a1", "%%bash\necho a1"):
        notebook.run(source)
    assert found(notebook, ["a1"]) == [(2, ("a1",))]
