"""Build llama-cpp-python for this processor: ``python -m loom_jupyter.models.build``.

A build is finished when a small model has decoded in a child process (`loom_jupyter.models.probe`). One that
crashes even without repacked weights is built again with fewer instruction sets, until one decodes.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from loom_jupyter.models import probe
from loom_jupyter.models.protocol import PREBUILT, BrokenBuildError, ModelError
from loom_jupyter.settings import data_dir

logger = logging.getLogger(__name__)

PACKAGE = "llama-cpp-python"
REQUIREMENT = f"{PACKAGE}>=0.3.16"
# Ninja and make print one of these a compiled file.
_STEP = re.compile(r"^\s*+\[\s*+(\d+)/(\d+)\]|^\s*+\[\s*+(\d+)%\]")
COMPILES = f"Building wheel for {PACKAGE}"  # what pip prints unless it takes a wheel from its cache or an index
# llama.cpp's options of a build that is not for one processor, by the name that Linux has for the instructions.
INSTRUCTIONS = {
    "sse4_2": "GGML_SSE42",
    "avx": "GGML_AVX",
    "avx2": "GGML_AVX2",
    "bmi2": "GGML_BMI2",
    "fma": "GGML_FMA",
    "f16c": "GGML_F16C",
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to build: its name, CMake arguments, and flags for the C and C++ compilers."""

    name: str
    cmake: tuple[str, ...] = ()
    flags: str = ""


NATIVE = Recipe("all instructions of this processor")
WITHOUT_AMX = Recipe(
    "no AMX instructions",
    ("-DGGML_AMX_TILE=OFF", "-DGGML_AMX_INT8=OFF", "-DGGML_AMX_BF16=OFF"),
    # With -march=native only the compiler decides.
    "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16",
)


def recipes(flags: frozenset[str] | None = None) -> list[Recipe]:
    """Return the ways to build for a processor with these instruction sets, fastest first."""
    known = probe.processor_flags() if flags is None else flags
    amx = [WITHOUT_AMX] if any(flag.startswith("amx") for flag in known) else []
    return [NATIVE, *amx, portable(known)]


def portable(flags: frozenset[str] | None = None) -> Recipe:
    """Return the build for all processors with these instruction sets; none are used where they are unknown."""
    known = probe.processor_flags() if flags is None else flags
    options = [f"-D{option}={'ON' if name in known else 'OFF'}" for name, option in INSTRUCTIONS.items()]
    return Recipe("portable", ("-DGGML_NATIVE=OFF", *options))


def installed() -> bool:
    """Whether llama-cpp-python is there, without importing it."""
    importlib.invalidate_caches()
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


def build(console: Console | None = None, recipe: Recipe = NATIVE, *, fresh: bool = False) -> bool:
    """Build and install llama-cpp-python.

    Parameters
    ----------
    recipe
        How.
    fresh
        Whether to compile it whatever is installed or in pip's cache: a wheel there may be another processor's.

    Returns
    -------
    bool
        Whether it was compiled now, rather than taken from pip's cache.

    Raises
    ------
    ModelError
        If the build fails; names the log, the usual reasons, and how to do without.
    """
    log = Path(tempfile.gettempdir()) / f"loom-llama-build-{os.getpid()}.log"
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    compiled = fresh
    with Progress(*columns, console=console) as progress, log.open("w", encoding="utf-8") as file:
        bar = progress.add_task(PACKAGE, total=1.0)
        with subprocess.Popen(
            _command(fresh),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(recipe),
            text=True,
            errors="replace",
        ) as pip:
            for line in pip.stdout or ():
                file.write(line)
                compiled = compiled or COMPILES in line
                done = fraction(line)
                if done is not None:
                    progress.update(bar, completed=0.97 * done)
        if pip.returncode == 0:
            progress.update(bar, completed=1.0)
    if pip.returncode != 0:
        raise ModelError(
            f"llama-cpp-python could not be built; a C++ compiler and a package index are needed "
            f"(Debian: apt install build-essential). The log is {log}. {_without_compiling()}"
        )
    log.unlink()
    return compiled


def build_until_it_decodes(
    console: Console, ways: Sequence[Recipe] | None = None, *, rebuild: bool = False
) -> probe.Finding | None:
    """Make sure that a build is there that decodes on this processor; say each step in a line.

    Parameters
    ----------
    ways
        Recipes to go through; None takes all that make sense here, beginning with the one that worked before.
    rebuild
        Whether to build although something is installed.

    Raises
    ------
    ModelError
        If nothing can be built, or nothing that was built decodes.
    """
    steps = list(ways if ways is not None else recipes())
    died: list[str] = []
    if installed() and not rebuild:
        found, how = _tried(console)
        if not how:
            return found
        died.append(f"the installed one: {how}")
    elif ways is None and not rebuild:
        steps = _from_the_last(steps)
    while steps:
        recipe = steps[0]
        console.print(f"Building llama-cpp-python: {recipe.name} (about 5 minutes).", highlight=False)
        try:
            compiled = build(console, recipe, fresh=rebuild or bool(died) or recipe != NATIVE)
        except ModelError as error:
            if not died:
                raise  # nothing of it is due to the recipe
            died.append(f"{recipe.name}: {error}")
            del steps[0]
            continue
        found, how = _tried(console, recipe.name if compiled else "")
        if not how:
            _keep_recipe(recipe)
            return found
        died.append(f"{recipe.name if compiled else 'the one in the cache of pip'}: {how}")
        if compiled:
            del steps[0]
    raise ModelError(f"No build of llama.cpp works on this processor ({'; '.join(died)}). {_without_compiling()}")


def _tried(console: Console, recipe: str = "") -> tuple[probe.Finding | None, str]:
    """Decode with what is installed; return what was found, or how it died."""
    try:
        found = probe.examine(recipe=recipe) if recipe else probe.ensure()
    except ModelError as error:
        console.print(str(error).partition(" Repair")[0], style="yellow", markup=False, soft_wrap=True)
        return None, error.how if isinstance(error, BrokenBuildError) else str(error)
    said = found.summary if found else "llama-cpp-python is installed; the small test model took too long"
    console.print(f"{said}.", markup=False, highlight=False, soft_wrap=True)
    return found, ""


def _command(fresh: bool) -> list[str]:
    command = [sys.executable, "-P", "-m", "pip", "install", "--verbose", "--disable-pip-version-check"]
    if fresh:
        command += ["--no-cache-dir", "--no-binary", PACKAGE]
    if fresh and installed():
        command += ["--force-reinstall", "--no-deps"]
    return [*command, REQUIREMENT]


def _environment(recipe: Recipe) -> dict[str, str]:
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    environment["CMAKE_ARGS"] = " ".join(filter(None, (build_flags(), *recipe.cmake)))
    environment.setdefault("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 2))
    for name in ("CFLAGS", "CXXFLAGS"):
        if recipe.flags:
            environment[name] = f"{environment.get(name, '')} {recipe.flags}".strip()
    return environment


def _without_compiling() -> str:
    return f"Ready-made builds: {PREBUILT[0]} (or: {PREBUILT[1]})"


# The recipe that worked on this processor, for the next environment


def _recipe_file() -> Path:
    return data_dir() / "llama" / f"recipe-{probe.processor_digest()}.json"


def _keep_recipe(recipe: Recipe) -> None:
    file = _recipe_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(json.dumps(recipe.name), "utf-8")
    except OSError as error:
        logger.warning("%s could not be written, so the next build begins from the start: %s", file, error)


def _from_the_last(steps: list[Recipe]) -> list[Recipe]:
    """Leave out the recipes before the one that worked: they were seen to fail on this processor."""
    try:
        name = json.loads(_recipe_file().read_text("utf-8"))
    except (OSError, ValueError):
        return steps
    last = next((i for i, recipe in enumerate(steps) if recipe.name == name), 0)
    return steps[last:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Build unless what is there decodes."""
    parser = argparse.ArgumentParser(
        prog="python -m loom_jupyter.models.build",
        description="Build llama-cpp-python, and make sure that it decodes on this processor.",
    )
    parser.add_argument("--rebuild", action="store_true", help="build it although it is installed")
    parser.add_argument(
        "--portable",
        action="store_true",
        help="for an environment that machines share",
    )
    given = parser.parse_args(arguments)
    console = Console()
    try:
        ways = [portable()] if given.portable else None
        build_until_it_decodes(console, ways, rebuild=given.rebuild or given.portable)
    except (ModelError, OSError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
