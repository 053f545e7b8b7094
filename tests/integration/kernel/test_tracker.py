from __future__ import annotations

import subprocess
import sys
from typing import Any

from loom_jupyter.kernel import evidence


def test_listening_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom IPython.core.interactiveshell import InteractiveShell\n"
        "from loom_jupyter.kernel.tracker import KernelTracker\n"
        "shell = InteractiveShell.instance()\n"
        "shell.events.register('post_run_cell', KernelTracker(shell).after_cell)\n"
        "shell.run_cell('x = 1')\n"
        "print(sorted({'numpy', 'pydantic', 'duckdb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def state(notebook: Any, task: str, **options: Any) -> Any:
    return notebook.tracker.state(task, notebook.root, **options)


def test_everything_is_bounded(notebook: Any) -> None:
    notebook.run("\n".join(f"value_{n} = list(range({n}))" for n in range(3000)))
    found = state(notebook, " ".join(f"value_{n}" for n in range(3000)))
    assert len(found.variables) == evidence.MOST_VARIABLES
    assert len(found.model_dump_json()) < 20_000
