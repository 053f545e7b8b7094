"""Which tests of a check ran, and how each ended, as pytest's own report tells it."""

from __future__ import annotations

import contextlib
import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeAlias
from xml.etree import ElementTree

from loom_jupyter.checks.environment import check_environment

REPORT = ".loom-report.xml"
_LARGEST = 32 << 20
_GENERATED = re.compile(rf"^.*generated xml file: .*{re.escape(REPORT)}.*\n?", re.M)
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
    return _GENERATED.sub("", text)


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


# Read a check's output: counts, failing tests, the part that matters, places in the workspace.

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# Numbers have nine digits at most: longer ones count nothing, and Python refuses to read endless ones.
_PYTEST_COUNT = re.compile(r"(?<!\d)(\d{1,9}) (passed|failed|errors?|skipped|xfailed|xpassed)\b")
_PYTEST_LAST = re.compile(
    r"^(?:=++ )?((?:\d++ [a-z]++(?: passed| failed)?(?:, )?)++|no tests ran) in [\d.]+s", re.M
)
_DURATION = re.compile(r"\bin (\d{1,9}(?:\.\d{1,9})?)s\b(?: \([\d:]++\))?(?: =++)?$", re.M)
_UNITTEST_RAN = re.compile(r"^Ran (\d{1,9}) tests? in ", re.M)
_UNITTEST_COUNT = re.compile(r"(?<![\w ])([\w ]{0,40}\w)=(\d{1,9})(?!\d)")
_UNITTEST_END = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$", re.M)
_FAILED_LINE = re.compile(r"^(?:FAILED|ERROR) ([^\s].*?)(?: - .*)?$", re.M)
_UNITTEST_FAILED = re.compile(r"^(?:FAIL|ERROR): (\w+) \(([\w.]+)\)", re.M)
_SECTION = re.compile(r"^=+ (FAILURES|ERRORS|short test summary info) =+$", re.M)
# Each alternative begins at a line's start and leaves no second way to read what it has read.
_FRAME = re.compile(
    r"""^[ >]*+File\ "(?P<file>[^"\n]++)",\ line\ (?P<line>\d{1,9})(?!\d)                    # CPython
      | ^(?P<file2>[^\s:"'][^:\n"]*\.\w+):(?P<line2>\d{1,9})(?::\d+)?(?::|\s|$)           # pytest, compilers
      | ^[ \t]*+(?:-->[ \t]*+|at\ .*?)(?<![^\s:()])
        (?P<file3>(?:[^\s:().]*+\.)++\w++):(?P<line3>\d{1,9})(?!\d)                         # rustc, node
    """,
    re.M | re.X,
)
_LONGEST_PATH = 1_000
_SHELL = re.compile(
    r"^(?:/bin/)?sh: (?:line )?\d*:? ?(?P<what>.*?): (?P<why>not found|command not found|Permission denied"
    r"|No such file or directory|cannot execute.*|is a directory)\s*$",
    re.M | re.I,
)
_SHELL_SYNTAX = re.compile(r"^(?:/bin/)?sh: .*(?:syntax error|unexpected EOF|Unterminated).*$", re.M | re.I)
_NO_MODULE = re.compile(r"^\S*python[\w.]*: No module named (\S+)", re.M)
_PYTEST_USAGE = re.compile(r"^ERROR: (file or directory not found: .*|not found: .*)$", re.M)
_BLOCK = re.compile(r"^_{3,} .+ _{3,}$")
_LINES = 60
# Lines of a test before the one that fails, and of what pytest says to it, that a model is shown.
_LEADING, _SAID = 8, 5


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests ended how."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        parts = [
            f"{number} {word}"
            for number, word in (
                (self.failed, "failed"),
                (self.errors, "error" if self.errors == 1 else "errors"),
                (self.passed, "passed"),
                (self.skipped, "skipped"),
            )
            if number
        ]
        return ", ".join(parts) or "no tests"


class Place(NamedTuple):
    """A line of the workspace that the output names.

    Attributes
    ----------
    why
        In words: ``raised here``, ``in the traceback of a failing test``.
    """

    path: str
    line: int
    why: str


def clean(text: str, root: Path | None = None) -> str:
    """Drop terminal escapes, control signs and overwritten progress lines; make paths below `root` relative."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    if "\r" in text:
        text = "\n".join(map(_last_state, text.split("\n")))
    text = _CONTROLS.sub("", text)
    if root is not None:
        for name in {str(root), str(root.resolve())}:
            text = text.replace(name + "/", "").replace(name, ".")
    return text


def _last_state(line: str) -> str:
    """Return what a line shows in the end: progress bars write over it."""
    return line[line.rfind("\r", 0, len(line) - 1) + 1 :]


def counts(text: str) -> Counts | None:
    """Count tests as pytest or unittest report them; None where the output tells nothing."""
    if ends := _PYTEST_LAST.findall(text):
        found: Counter[str] = Counter()
        for number, word in _PYTEST_COUNT.findall(ends[-1]):
            found[word.removesuffix("s")] += int(number)
        passed = found["passed"] + found["xpassed"]
        return Counts(passed, found["failed"], found["error"], found["skipped"] + found["xfailed"])
    ran, ends = _UNITTEST_RAN.findall(text), _UNITTEST_END.findall(text)
    if ran and ends:
        told = {key.strip(): int(value) for key, value in _UNITTEST_COUNT.findall(ends[-1])}
        failed, errors = told.get("failures", 0) + told.get("unexpected successes", 0), told.get("errors", 0)
        skipped = told.get("skipped", 0) + told.get("expected failures", 0)
        return Counts(int(ran[-1]) - failed - errors - skipped, failed, errors, skipped)
    return None


def summarise(code: int, text: str, tests: Counts | None) -> str:
    """Say in a few words how a check ended."""
    if tests is not None and (str(tests) != "no tests" or code in (0, 5)):
        return str(tests)
    if code == 0:
        return "passed"
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
    return f"failed (exit {code})" + (f": {last[:120]}" if last else "")


def duration(text: str) -> float | None:
    """Return the seconds that pytest or unittest say they took, their own start not counted."""
    found = _DURATION.findall(text)
    return float(found[-1]) if found else None


def failing_tests(text: str) -> list[str]:
    """List the ids of failing tests that pytest or unittest printed, in order, each once."""
    names = [name for name in _FAILED_LINE.findall(text) if "::" in name or name.endswith(".py")]
    names += [
        f"{place}" if place.endswith(name) else f"{place}.{name}" for name, place in _UNITTEST_FAILED.findall(text)
    ]
    return list(dict.fromkeys(names))


def places(text: str, root: Path) -> list[Place]:
    """List the workspace's lines that tracebacks and compilers name, the deepest frame of each traceback first.

    Parameters
    ----------
    text
        Output whose paths below the staged copy were made relative (`clean`).
    root
        Workspace or staged copy; only existing files count.
    """
    deepest: list[Place] = []
    others: list[Place] = []
    for block in _blocks(text):
        frames = [frame for match in _FRAME.finditer(block) if (frame := _frame(match, root))]
        for number, (path, line) in enumerate(reversed(frames)):
            why = "raised here" if number == 0 else "in the traceback"
            (others if number else deepest).append(Place(path, line, why))
    found: dict[tuple[str, int], Place] = {}
    for place in deepest + others:
        found.setdefault((place.path, place.line), place)
    return list(found.values())


def _blocks(text: str) -> list[str]:
    """Cut output into tracebacks: pytest's and unittest's ruled sections, else everything."""
    return re.split(r"^(?:_{3,} .* _{3,}|={3,}.*|-{20,})$", text, flags=re.M)


def _frame(match: re.Match[str], root: Path) -> tuple[str, int] | None:
    groups = match.groupdict()
    name = groups["file"] or groups["file2"] or groups["file3"]
    line = int(groups["line"] or groups["line2"] or groups["line3"])
    if len(name) > _LONGEST_PATH:
        return None
    path = Path(name)
    if path.is_absolute():
        if not path.is_relative_to(root):
            return None
        path = path.relative_to(root)
    if ".." in path.parts or {"site-packages", "node_modules"} & set(path.parts):
        return None
    try:
        return (path.as_posix(), line) if (root / path).is_file() else None
    except OSError:  # a name that no file system takes
        return None


def trim(text: str, lines: int = _LINES) -> str:
    """Keep what matters of a check's output: failures with their assertions, not banner and progress."""
    section = _SECTION.search(text)
    kept = text[section.start() :] if section else text
    rows = [row.rstrip() for row in kept.strip("\n").split("\n")]
    if len(rows) <= lines:
        return "\n".join(rows)
    head = lines // 2
    return "\n".join([*rows[:head], f"[… {len(rows) - lines} lines left out …]", *rows[head - lines :]])


def essence(text: str, most: int) -> str:
    """Return what a model needs of a check's output: the lines that fail, within `most` signs.

    Where the output is not pytest's, its end.
    """
    blocks = [_essential(block) for block in _failures(text)]
    kept: list[str] = []
    for block in sorted((b for b in blocks if b), key=len):
        if sum(map(len, kept)) + len(block) <= most:
            kept.append(block)
    return "\n".join(block for block in blocks if block in kept) or text[-most:]


def _failures(text: str) -> list[list[str]]:
    """Return the lines of each failure that pytest reports."""
    blocks: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if found := _SECTION.match(line):
            inside = found[1] in ("FAILURES", "ERRORS")
        elif inside and _BLOCK.match(line):
            blocks.append([])
        elif inside and blocks and not line.startswith("[…"):
            blocks[-1].append(line)
    return blocks


def _essential(lines: list[str]) -> str:
    """Return the failing line with what leads to it in the test, and what pytest says to it."""
    pointed = [n for n, line in enumerate(lines) if line.startswith(">")]
    if not pointed:
        return ""
    first, last = pointed[0], pointed[-1]
    begin = next((n for n in range(first, -1, -1) if lines[n].lstrip().startswith(("def ", "async def "))), 0)
    code = [line for line in lines[max(begin, first - _LEADING) : first + 1] if line.strip()]
    deeper = [lines[last]] if last != first else []
    said = [line for line in lines[last:] if line.startswith("E ")][:_SAID]
    shown = textwrap.dedent("\n".join(f" {line[1:]}" for line in [*code, *deeper]))
    return "\n".join([shown, *said])


def command_problem(command: str, code: int, text: str) -> str | None:
    """Say in one sentence why the command itself could not run; None where a check simply failed."""
    if code in (126, 127) and (found := _last(_SHELL, text)):
        what, why = found["what"].split(": ")[-1], found["why"].lower()
        if "not found" in why or "no such" in why:
            return f"The check command {command!r} cannot run: {what} is not installed or not on PATH."
        return f"The check command {command!r} cannot run: {what} is not executable (chmod +x helps)."
    if code == 2 and (found := _last(_SHELL_SYNTAX, text)):
        return f"The shell does not understand the check command {command!r}; check its quotes."
    if code == 1 and (found := _last(_NO_MODULE, text)):
        return (
            f"The check command {command!r} needs the module {found[1]}; install it next to the kernel's Python."
        )
    if code == 4 and (found := _last(_PYTEST_USAGE, text)):
        return f"The check command {command!r} cannot run: {found[1].strip()}."
    return None


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the match that ends the output: only then is it the command's own failure."""
    tail = text.rstrip()[-600:]
    found = None
    for found in pattern.finditer(tail):  # noqa: B007
        pass
    return found
