"""Which tests of a check ran, and how each ended, as pytest's own report tells it."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias
from xml.etree import ElementTree

from loom_jupyter.edits.checks.environment import check_environment

REPORT = ".loom-report.xml"
_LARGEST = 32 << 20
_SAID = re.compile(rf"^.*generated xml file: .*{re.escape(REPORT)}.*\n?", re.M)
# Files in which a project may have switched pytest's report off, or asked for its own.
_SETTINGS = ("pytest.ini", ".pytest.ini", "pytest.toml", "pyproject.toml", "tox.ini", "setup.cfg", "conftest.py")


class CaseEnd(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNREAD = "unread"
    """The file could not be read, so that none of its tests ran; it stands under the file's own name."""


Cases: TypeAlias = Mapping[tuple[str, str], CaseEnd]
"""By module and class (``package.module.Class``), and the test's own name with its parameters."""


def reporting(command: str, root: Path, workspace: Path | None) -> dict[str, str]:
    """Return the environment in which pytest reports by the test; nothing where that could disturb the check."""
    told = [command, *(_start(root / name) for name in _SETTINGS)]
    if any(re.search(r"junit[-_]?xml", text) for text in told):
        return {}
    options = check_environment(root, workspace)["PYTEST_ADDOPTS"]
    return {"PYTEST_ADDOPTS": f"{options} --junitxml={shlex.quote(str(root / REPORT))}"}


def take_cases(root: Path) -> Cases | None:
    """Read the report that a check left, and remove it; None if it left none that can be read."""
    file = root / REPORT
    try:
        if file.is_symlink() or file.stat().st_size > _LARGEST:
            return None
        return dict(_cases(file.read_text("utf-8", errors="replace")))
    except (OSError, ElementTree.ParseError):
        return None
    finally:
        # What a check made of it instead of a file goes when the copy is restored.
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def without_report(text: str) -> str:
    """Return a check's output without what pytest says of the report."""
    return _SAID.sub("", text)


def _start(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(1 << 18).decode("utf-8", "replace")
    except OSError:
        return ""


def _cases(text: str) -> Iterator[tuple[tuple[str, str], CaseEnd]]:
    found: dict[tuple[str, str], CaseEnd] = {}
    for case in ElementTree.fromstring(text).iter("testcase"):
        key = case.get("classname", ""), case.get("name", "")
        ended = _ended(case)
        # A test whose teardown fails as well is listed twice.
        if found.get(key) in (None, CaseEnd.PASSED):
            found[key] = ended
    yield from found.items()


def _ended(case: ElementTree.Element) -> CaseEnd:
    for part in case:
        if part.tag == "error" and "collection" in part.get("message", ""):
            return CaseEnd.UNREAD
        if part.tag in ("error", "failure"):
            return CaseEnd.FAILED
        if part.tag == "skipped":
            return CaseEnd.SKIPPED
    return CaseEnd.PASSED


def missing(before: Cases, after: Cases) -> str | None:
    """Say which test that ran before does not pass now; None if all do, or the reports cannot be compared.

    Parameters
    ----------
    after
        Of a check that ended well.
    """
    if before and not before.keys() & after.keys() and not any(e is CaseEnd.UNREAD for e in before.values()):
        return None  # of two runs of pytest in one command each leaves its own report
    passing = Counter(_bare(key) for key, ended in after.items() if ended is CaseEnd.PASSED)
    skipped = {_bare(key) for key, ended in after.items() if ended is CaseEnd.SKIPPED}
    # Parameters may be made by the program; how many there are must not fall.
    wanted = Counter(_bare(key) for key, e in before.items() if e in (CaseEnd.PASSED, CaseEnd.FAILED))
    for key, number in wanted.items():
        if passing[key] < number:
            what = "is skipped now" if key in skipped else "no longer runs"
            return f"{'.'.join(filter(None, key))} {what}"
    for (inside, name), ended in before.items():
        module = ".".join(filter(None, (inside, name)))
        ran = any(k[0] == module or k[0].startswith(f"{module}.") for k in passing)
        if ended is CaseEnd.UNREAD and not ran:
            return f"no test of {module} passes"
    return None


def _bare(key: tuple[str, str]) -> tuple[str, str]:
    return key[0], key[1].partition("[")[0]
