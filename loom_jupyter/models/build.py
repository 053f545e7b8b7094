"""Build llama-cpp-python with a progress bar: ``python -m loom_jupyter.models.build``."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from loom_jupyter.models.protocol import ModelError

REQUIREMENT = "llama-cpp-python>=0.3.16"
# Ninja and make print one of these a compiled file.
_STEP = re.compile(r"^\s*+\[\s*+(\d+)/(\d+)\]|^\s*+\[\s*+(\d+)%\]")


def installed() -> bool:
    """Whether llama-cpp-python is there, without importing it."""
    return importlib.util.find_spec("llama_cpp") is not None


def build_flags() -> str:
    """CMake flags for this machine: CUDA where its compiler is, otherwise what llama.cpp detects (CPU, Metal)."""
    given = os.environ.get("CMAKE_ARGS", "")
    if given or shutil.which("nvidia-smi") is None:
        return given
    return "-DGGML_CUDA=on" if shutil.which("nvcc") else ""


def fraction(line: str) -> float | None:
    """Read how far a build is from a line it prints; None if the line does not tell."""
    found = _STEP.match(line)
    if found is None:
        return None
    done, total, percent = found.groups()
    return int(done) / max(1, int(total)) if done else int(percent) / 100


def build(console: Console | None = None) -> None:
    """Build and install llama-cpp-python.

    Raises
    ------
    ModelError
        If the build fails; names the log and the usual reasons.
    """
    environment = dict(os.environ, CMAKE_ARGS=build_flags(), PYTHONUNBUFFERED="1")
    environment.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 2))
    command = [sys.executable, "-m", "pip", "install", "--verbose", "--disable-pip-version-check", REQUIREMENT]
    log = Path(tempfile.gettempdir()) / f"loom-llama-build-{os.getpid()}.log"
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, log.open("w", encoding="utf-8") as file:
        bar = progress.add_task("llama-cpp-python", total=1.0)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True, errors="replace"
        ) as pip:
            for line in pip.stdout or ():
                file.write(line)
                done = fraction(line)
                if done is not None:
                    progress.update(bar, completed=0.97 * done)
        if pip.returncode == 0:
            progress.update(bar, completed=1.0)
    if pip.returncode != 0:
        raise ModelError(
            f"llama-cpp-python could not be built; a C++ compiler and a package index are needed "
            f"(Debian: apt install build-essential). The log is {log}."
        )
    log.unlink()


def main() -> int:
    """Build unless it is there."""
    console = Console()
    if installed():
        console.print("llama-cpp-python is installed.")
        return 0
    try:
        build(console)
    except ModelError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
