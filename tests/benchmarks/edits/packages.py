"""Six real packages, fetched with their tests, and faults put into fresh copies of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from loom_jupyter.checks.command import CheckResult, run_check

TABLE = Path(__file__).with_name("faults.toml")
HELD_OUT = Path(__file__).with_name("held_out.toml")
"""Faults in other packages, by somebody who did not know the search: never to be tuned on."""
CACHE = Path(platformdirs.user_cache_dir("loom")) / "benchmarks"
TIMEOUT = 120.0
_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^\s\[]+)", re.M)


class SuiteError(Exception):
    """The suite itself is not as it should be: a download, a fault or a package's own tests."""


@dataclass(frozen=True)
class Package:
    """A package of the index, at one version.

    Attributes
    ----------
    tests
        Test files and folders that were chosen: all that are quick and need nothing more.
    """

    name: str
    version: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Fault:
    """One small fault, and what a user would say about it.

    Attributes
    ----------
    symbol
        Qualified name of the function that is wrong; the report does not name its file.
    old, new
        `old` stands once in `file`; the fault is `new` in its place.
    check
        Command that the user gives.
    fails
        Tests of the package that the fault breaks, without their parameters. No others.
    """

    name: str
    package: Package
    kind: str
    file: str
    symbol: str
    old: str
    new: str
    report: str
    check: str
    fails: tuple[str, ...]


def load(table: Path = TABLE) -> list[Fault]:
    """Return all faults in the table's order."""
    data = tomllib.loads(table.read_text("utf-8"))
    packages = {p["name"]: Package(p["name"], p["version"], tuple(p["tests"])) for p in data["package"]}
    return [
        Fault(**{**entry, "package": packages[entry["package"]], "fails": tuple(entry["fails"])})
        for entry in data["fault"]
    ]


def fetch(package: Package, cache: Path = CACHE) -> Path:
    """Return the folder of the package's unpacked source distribution, downloaded on first use."""
    folder = cache / f"{package.name}-{package.version}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(dir=cache) as temp:
        wanted = f"{package.name}=={package.version}"
        done = subprocess.run(
            [*pip, "--no-deps", "--no-binary", ":all:", "--dest", temp, wanted],
            capture_output=True,
            text=True,
            check=False,
        )
        archives = sorted(Path(temp).glob("*.tar.gz"))
        if done.returncode or len(archives) != 1:
            raise SuiteError(f"{wanted} cannot be downloaded as source: {done.stderr.strip()[-500:]}")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(Path(temp) / "unpacked", filter="data")
        (inner,) = (Path(temp) / "unpacked").iterdir()
        inner.rename(folder)
    return folder


def fresh_copy(package: Package, folder: Path, cache: Path = CACHE) -> Path:
    """Make `folder` a fresh copy of the package, without what only packaging left there."""
    shutil.rmtree(folder, ignore_errors=True)
    leave = shutil.ignore_patterns("__pycache__", "*.egg-info", "PKG-INFO", "*.pyc")
    return Path(shutil.copytree(fetch(package, cache), folder, ignore=leave))


def exchange(root: Path, file: str, old: str, new: str) -> None:
    """Put `new` where `old` stands, which must be at one place."""
    path = root / file
    text = path.read_bytes().decode("utf-8")
    if text.count(old) != 1:
        raise SuiteError(f"{file} holds {text.count(old)} times: {old!r}")
    path.write_bytes(text.replace(old, new).encode("utf-8"))


def faulty_copy(fault: Fault, folder: Path, cache: Path = CACHE) -> Path:
    """Make `folder` a fresh copy of the fault's package, with the fault."""
    fresh_copy(fault.package, folder, cache)
    exchange(folder, fault.file, fault.old, fault.new)
    return folder


def all_tests(package: Package) -> str:
    """Return the command that runs the package's chosen tests."""
    return f"python -m pytest -q -rfE {' '.join(package.tests)}"


def run_tests(command: str, root: Path) -> CheckResult:
    """Run tests as Loom runs a check: in a process group of its own, under limits, sandboxed where possible."""
    return run_check(command, root, timeout=TIMEOUT)


def failing(result: CheckResult) -> set[str]:
    """Return the tests that failed, without their parameters."""
    if result.timed_out:
        raise SuiteError(f"the tests did not end within {TIMEOUT:g} s")
    found = set(_FAILED.findall(result.raw))
    if not result.passed and not found:
        raise SuiteError(f"the tests could not be run: {result.summary}")
    return found


def broken(package: Package, root: Path) -> list[str]:
    """Return the tests that fail in `root`, or why they could not be run: both count against an answer."""
    try:
        return sorted(failing(run_tests(all_tests(package), root)))
    except SuiteError as error:
        return [str(error)]
