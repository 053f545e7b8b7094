from __future__ import annotations

import subprocess
import sys


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
