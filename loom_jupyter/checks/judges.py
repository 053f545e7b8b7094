"""What judges in a run: the files that the check's command names, and those that its failing tests come from."""

from __future__ import annotations

import ast
import configparser
import contextlib
import itertools
import json
import re
import shlex
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from loom_jupyter.context.languages import is_test
from loom_jupyter.context.text import decode
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.gate.weakening import looser, weakened

# The part of a shared settings file that says how tests run, as of pyproject.toml or package.json.

# Keys whose values judge; a dotted key is one below another.
_TOML: dict[str, tuple[str, ...]] = {
    "pyproject.toml": tuple(
        f"tool.{name}"
        for name in (
            *("pytest", "tox", "nox", "coverage", "nose2", "behave", "robot", "taskipy", "poe", "inv", "ward"),
            *("hatch.envs", "pdm.scripts", "rye.scripts", "pixi.tasks", "django", "unittest", "doctest"),
        )
    ),
    "cargo.toml": ("test", "bench", "lib.test", "lib.doctest", "profile.test"),
}
_JSON: dict[str, tuple[str, ...]] = {
    "package.json": (
        *("scripts", "jest", "mocha", "vitest", "ava", "nyc", "c8", "tap", "cypress", "jasmine", "wdio", "karma"),
    ),
    "composer.json": ("scripts", "scripts-descriptions"),
    "deno.json": ("tasks", "test"),
    "deno.jsonc": ("tasks", "test"),
}
_SECTIONS = ("tool:pytest", "pytest", "coverage", "nosetests", "unittest", "aliases", "testenv", "tox", "behave")


def judging_part(path: str, text: str) -> Mapping[str, Any]:
    """Return what a file says of how tests run, by the names of its settings; empty for all other files.

    Parameters
    ----------
    path
        Decides how the text is read.
    text
        One that cannot be read says nothing.
    """
    name = path.rpartition("/")[2].lower()
    try:
        if name in _TOML:
            return _picked(tomllib.loads(text), _TOML[name])
        if name in _JSON:
            return _picked(json.loads(text), _JSON[name])
        return _sections(text) if name == "setup.cfg" else {}
    except (ValueError, RecursionError, configparser.Error):
        return {}


def changed_setting(path: str, before: str, after: str) -> str | None:
    """Return the name of a setting of the tests that a change of a file alters, adds or takes away."""
    old, new = judging_part(path, before), judging_part(path, after)
    return next((name for name in sorted({*old, *new}) if old.get(name) != new.get(name)), None)


def _picked(data: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    found = {}
    for key in keys:
        value = data
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[key] = value
    return found


def _sections(text: str) -> dict[str, Any]:
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    return {
        f"[{name}]": dict(parser[name])
        for name in parser.sections()
        if any(name == known or name.startswith(f"{known}:") for known in _SECTIONS)
    }


def command_of(path: str, text: str, script: str) -> str | None:
    """Return the shell command that a ``package.json`` or its like gives a script's name; None if it has none."""
    part = judging_part(path, text)
    tables = (part.get("scripts"), part.get("tasks"))
    found = next((table[script] for table in tables if isinstance(table, dict) and script in table), None)
    return found if isinstance(found, str) else None


_SEPARATORS = frozenset(";&|()<>\n")
_WRAPPERS = frozenset(
    {
        *("uv", "poetry", "pdm", "pipenv", "hatch", "rye", "pixi", "conda", "mamba", "micromamba", "run", "exec"),
        *(
            "env",
            "command",
            "time",
            "nice",
            "ionice",
            "timeout",
            "xvfb-run",
            "npx",
            "bunx",
            "pnpx",
            "dotenv",
            "sudo",
        ),
        *("xargs", "stdbuf", "strace", "coverage", "kernprof", "bundle", "dlx", "--"),
    }
)
# Programs whose arguments are tests, and that read every one of them.
_RUNNERS = frozenset(
    {
        *("pytest", "py.test", "unittest", "nose2", "nosetests", "trial", "ward", "green", "stestr", "xdoctest"),
        *("jest", "vitest", "mocha", "ava", "tap", "tape", "jasmine", "karma", "cypress", "playwright", "wdio"),
        *("rspec", "minitest", "phpunit", "pest", "codecept", "bats", "shellspec", "prove", "robot", "behave"),
        *("cucumber", "busted", "diff", "cmp", "comm", "testthat", "ctest", "nextest"),
    }
)
_DOCTESTS = ("doctest", "xdoctest")
# Words of a shell that stand before a command.
_KEYWORDS = frozenset({"if", "then", "elif", "else", "while", "until", "do", "!", "{"})
_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "fish", "source", ".", "pwsh"})
_INTERPRETERS = re.compile(
    r"(?:python[\d.]*|pypy[\d.]*|py|ipython|node|deno|bun|tsx|ts-node|ruby|perl|php|lua|luajit|rscript|julia|swift|dart"
    r"|go|java|scala|elixir|groovy|racket)(?:\.exe)?"
)
# Options of interpreters and shells that take the next word.
_TAKES_ONE = frozenset(
    {"-W", "-X", "-r", "--require", "-I", "-L", "--project", "--check-hash-based-pycs", "-C", "-n"}
)
_MAKES = {
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "gmake": ("GNUmakefile", "Makefile"),
    "just": ("justfile", "Justfile", ".justfile"),
    "task": ("Taskfile.yml", "Taskfile.yaml"),
    "rake": ("Rakefile", "rakefile"),
    "invoke": ("tasks.py",),
    "inv": ("tasks.py",),
    "tox": ("tox.ini", "tox.toml"),
    "nox": ("noxfile.py",),
    "doit": ("dodo.py",),
    "ctest": ("CTestTestfile.cmake",),
    "pre-commit": (".pre-commit-config.yaml",),
}
_PACKAGERS = frozenset({"npm", "pnpm", "yarn", "bun", "deno", "composer"})
_CHECKS = re.compile(
    r"(?:self|smoke|sanity|quick)?check(?:s|er|ers|ing)?|verif\w*|validat\w*|tests?|testing|smoke|spec|specs|assert\w*|acceptance|judges?|grade[rs]?|grading"
    r"|expect\w*|expected|sanity|regressions?|ensure|selftest|proofs?|prove|oracle|cases|compare|ci|qa|wanted|reference"
)
# Modules that change what Python or a test runner does when they merely lie on the import path.
_SHADOWS = frozenset(
    {
        *(
            "sitecustomize",
            "usercustomize",
            "conftest",
            "pytest",
            "_pytest",
            "pluggy",
            "iniconfig",
            "py",
            "unittest",
        ),
        *("doctest", "nose2", "coverage", "hypothesis", "xdist", "pytest_cov", "pytest_asyncio", "_virtualenv"),
    }
)
_ASSERTING = re.compile(
    r"\b(?:assert\w*|expect\w*|test|it|describe|deepEqual)\s*[!(]|\bthrow\b|process\.exit\([^0)]|\bexit\s*\(?\s*[1-9]|\bstop\(|\bdie\b"
)
_PYTEST_FAILED = re.compile(r"^(?:FAILED|ERROR|SUBFAILED\S*) (?P<file>[^\s:]+\.\w+)(?:::(?P<item>\S+))?", re.M)
_PYTEST_BLOCK = re.compile(r"^_{3,} .+ _{3,}$\n(?P<body>(?:(?!_{3,} |={3,}).*\n?)*)", re.M)
_PYTEST_PLACE = re.compile(r"^(?P<file>[^\s:]+\.py):\d+: ", re.M)
_UNITTEST_BLOCK = re.compile(r"^(?:FAIL|ERROR): .*$\n-{20,}\n(?P<body>(?:(?!={20,}|-{20,}).*\n?)*)", re.M)
_FRAME = re.compile(r'^ +File "(?P<file>[^"\n]+)", line (?P<line>\d+)', re.M)
_DOCTEST = re.compile(r'^File "(?P<file>[^"\n]+)", line \d+, in (?P<name>\S+)\nFailed example:', re.M)
_OTHERS = re.compile(
    r"^[ \t]*(?:FAIL|✗|✘|×|not ok|rspec|# at|at .*\()[ \t]*"
    r"(?P<file>(?:[\w.@+-]+/)*[\w.@+-]+\.(?:[jt]sx?|[cm][jt]s|rb|exs|php|go|lua|dart))\b",
    re.M,
)
_ASSERTION = re.compile(r"^AssertionError\b", re.M)
_DEEPEST = 3
_LARGEST = 1 << 20


@dataclass(frozen=True)
class Judges:
    """What judges in a run, besides what a path alone tells (`is_test`).

    Attributes
    ----------
    files, folders
        Relative paths, of the command and of failing tests; everything below a folder.
    examples
        Program files whose doctests judge: their code may change, their examples may not.
    """

    files: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    examples: frozenset[str] = frozenset()

    def __contains__(self, path: str) -> bool:
        """Whether a file judges."""
        own = path in self.files or any(path.startswith(f"{folder}/") for folder in self.folders)
        return path not in self.examples and (own or is_test(path))

    def refusal(self, change: FileChange, *, asked: bool) -> str | None:
        """Say in one line why a change may not be made, for what it judges; None if it may.

        Parameters
        ----------
        asked
            Whether the user's words ask for the tests.
        """
        path = change.path
        if not asked and path in self:
            verb = "creates" if change.before is None else "changes"
            return f"{verb} {path}, which the check judges by; the words do not ask for the tests"
        if not asked and change.before is None and shadows(path):
            return f"creates {path}, which changes how the check runs"
        before = "" if change.before is None else decode(path, change.before)[0]
        after = decode(path, change.after)[0]
        setting = changed_setting(path, before, after)
        if setting is not None:
            less = looser(before, after)
            if less or not asked:
                return (
                    f"weakens a test: {less}"
                    if less
                    else f"changes {setting} of {path}, which the check judges by"
                )
        inline = _inline_tests(path, before), _inline_tests(path, after)
        if inline[0] and inline[0] != inline[1]:
            if not asked:
                return f"changes the tests in {path}, which the check judges by"
            if less := weakened(path, *inline):
                return less
        if path in self.examples and (lost := _examples(before) - _examples(after) if not asked else set()):
            return f"changes an example that the check judges by: {min(lost)[:60]}"
        return None


def _inline_tests(path: str, text: str) -> str:
    """Return the tests that stand at the end of a program file, as Rust has it; empty where there are none."""
    start = text.find("#[cfg(test)]") if path.endswith(".rs") else -1
    return text[start:] if start >= 0 else ""


def shadows(path: str) -> bool:
    """Whether a new file is read by Python or a test runner before any test, only because it lies there."""
    parts = PurePosixPath(path).parts
    top = parts[1] if parts[0] == "src" and len(parts) > 1 else parts[0]
    return (
        top.partition(".")[0] in _SHADOWS
        or parts[-1].partition(".")[0] in ("sitecustomize", "usercustomize")
        or (path.endswith(".pth"))
    )


def of_command(command: str, root: Path) -> Judges:
    """Return what judges as far as the command tells it, before it was run.

    Parameters
    ----------
    root
        The staged copy, or the workspace: where the command runs.
    """
    found = _Reader(root)
    found.command(command)
    return found.judges


def with_failures(
    judges: Judges, output: str, ran: Iterable[tuple[str, str]], root: Path, paths: Collection[str] = ()
) -> Judges:
    """Return what judges with the files that failing tests come from.

    Parameters
    ----------
    output
        What the check printed on the code as it is, with paths of the copy made relative.
    ran
        The tests that ran, where a report tells them: ``package.module.Class``, and the test's own name.
    paths
        Of the workspace's files, to tell what a path relative to another folder means.
    """
    place = _Places(root, paths)
    files, examples = set(judges.files), set(judges.examples)
    for match in _PYTEST_FAILED.finditer(output):
        if (path := place.file(match["file"])) is None:
            continue
        item = match["item"] or ""
        # A module that is collected for its docstrings may fail to be imported.
        documented = _is_doctest(path, item) or not (item or is_test(path) or _has_tests(place.text(path)))
        (examples if documented else files).add(path)
    examples |= {path for match in _DOCTEST.finditer(output) if (path := place.file(match["file"]))}
    for block in _UNITTEST_BLOCK.finditer(output):
        files |= set(place.first(_FRAME.finditer(block["body"])))
    for block in _PYTEST_BLOCK.finditer(output):
        if "Failed example" not in block["body"] and not re.search(r"^\d{3,} >>> ", block["body"], re.M):
            files |= set(place.first(_PYTEST_PLACE.finditer(block["body"])))
    files |= {path for match in _OTHERS.finditer(output) if (path := place.file(match["file"])) and is_test(path)}
    files |= set(_asserting_frames(output, place))
    for inside, name in set(ran):
        if path := place.module(inside):
            (examples if _is_doctest(path, name) else files).add(path)
    examples = {path for path in examples if path.endswith(".py") and path not in files and not is_test(path)}
    return Judges(frozenset(files), judges.folders, frozenset(examples))


def _is_doctest(path: str, item: str) -> bool:
    """Whether pytest's name of a test is that of a module's docstring: ``shop.tariff.price``."""
    bare = item.partition("[")[0]
    return (
        path.endswith(".py") and "::" not in bare and PurePosixPath(path).stem in bare.split(".") and "." in bare
    )


def _asserting_frames(output: str, place: _Places) -> Iterator[str]:
    """Yield files that are called like checks and in which an assertion failed."""
    for match in _ASSERTION.finditer(output):
        before = output[max(0, match.start() - 4000) : match.start()]
        frames = [path for frame in _FRAME.finditer(before) if (path := place.file(frame["file"]))]
        yield from (path for path in frames[-_DEEPEST:] if _called_check(path))


def _called_check(path: str) -> bool:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", path.partition(".")[0].replace("/", " "))
    return any(_CHECKS.fullmatch(word.lower()) for word in words)


def _examples(text: str) -> set[str]:
    import doctest

    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return set()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # A docstring with malformed examples is not a doctest.
            with contextlib.suppress(ValueError):
                for one in doctest.DocTestParser().get_examples(ast.get_docstring(node) or ""):
                    skipped = "skipped: " if "+SKIP" in one.source else ""
                    found.add(f"{skipped}{one.source.strip()} gives {one.want.strip()}")
    return found


class _Places:
    """Tells which file of the workspace an output means."""

    def __init__(self, root: Path, paths: Collection[str]) -> None:
        self._root, self._paths = root, paths

    def file(self, name: str) -> str | None:
        """Return the path of a file that was named in an output."""
        path = PurePosixPath(name)
        if path.is_absolute():
            if not path.is_relative_to(self._root.as_posix()):
                return None
            path = path.relative_to(self._root.as_posix())
        if ".." in path.parts or {"site-packages", "node_modules"} & set(path.parts):
            return None
        if (self._root / path).is_file():
            return path.as_posix()
        found = [known for known in self._paths if known.endswith(f"/{path.as_posix()}")]
        return found[0] if len(found) == 1 else None

    def text(self, path: str) -> str:
        """Return what a file holds."""
        return (self._root / path).read_text("utf-8", errors="replace")

    def first(self, frames: Iterable[re.Match[str]]) -> Iterator[str]:
        """Yield the first of some frames that lies in the workspace, if there is one."""
        for frame in frames:
            if (path := self.file(frame["file"])) is not None:
                yield path
                return

    def module(self, name: str) -> str | None:
        """Return the file of ``package.module.Class.test``."""
        parts = name.split(".")
        for size in range(len(parts), 0, -1):
            if (path := self.file("/".join(parts[:size]) + ".py")) is not None:
                return path
        return None


@dataclass
class _Reader:
    """Reads a command, and the scripts and settings that it runs, for what judges."""

    root: Path
    _files: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)
    _examples: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)

    @property
    def judges(self) -> Judges:
        """What was found."""
        return Judges(frozenset(self._files), frozenset(self._folders), frozenset(self._examples - self._files))

    def command(self, command: str, folder: str = "", depth: int = 0) -> None:
        """Read one command; scripts that it runs are read as commands, `_DEEPEST` deep."""
        if depth > _DEEPEST or f"{folder}:{command}" in self._seen:
            return
        self._seen.add(f"{folder}:{command}")
        for words in _segments(command):
            if words[0] == "cd" and len(words) > 1:
                folder = PurePosixPath(folder, words[1]).as_posix()
            elif words[0] == "<":
                self._add(words[1:2], folder)
            else:
                self._program(_unwrapped(words), folder, depth)

    def _program(self, words: Sequence[str], folder: str, depth: int) -> None:
        if not words:
            return
        name, args = PurePosixPath(words[0]).name.lower(), words[1:]
        if name in _RUNNERS:
            self._tests(name, args, folder)
        elif name in _SHELLS:
            self._shell(args, folder, depth)
        elif _INTERPRETERS.fullmatch(name):
            self._interpreter(args, folder, depth, run=name in ("go", "deno", "bun"))
            if name in _PACKAGERS:
                self._package(args, folder, depth)
        elif name in _MAKES:
            self._make(name, args, folder, depth)
        elif name in _PACKAGERS:
            self._package(args, folder, depth)
        else:
            self._other(name, words, folder, depth)

    def _other(self, name: str, words: Sequence[str], folder: str, depth: int) -> None:
        if name == "cat":
            for arg in words[1:]:
                self._script(arg, folder, depth)
        elif name in ("grep", "egrep", "fgrep"):
            self._add([b for a, b in itertools.pairwise(words) if re.fullmatch(r"-\w*f|--file", a)], folder)
        else:
            self._script(words[0], folder, depth)

    def _tests(self, runner: str, args: Sequence[str], folder: str) -> None:
        doctests = runner in _DOCTESTS or any(arg.startswith("--doctest") for arg in args)
        for arg in args:
            path = self._path(arg.partition("::")[0].partition("=")[2] or arg.partition("::")[0], folder)
            if path is None and re.fullmatch(r"\w+(?:\.\w+)+", arg):
                path = self._module(arg, folder)
            if path is None:
                continue
            if (self.root / path).is_dir():
                if _called_check(path):
                    self._folders.add(path)
            elif doctests and path.endswith(".py") and not is_test(path) and not _has_tests(self._text(path)):
                self._examples.add(path)
            else:
                self._files.add(path)

    def _shell(self, args: Sequence[str], folder: str, depth: int) -> None:
        for number, arg in enumerate(args):
            if re.fullmatch(r"-\w*c", arg) and number + 1 < len(args):
                self.command(args[number + 1], folder, depth + 1)
                return
            if not arg.startswith("-"):
                self._script(arg, folder, depth, shell=True)
                return

    def _interpreter(self, args: Sequence[str], folder: str, depth: int, *, run: bool) -> None:
        skip = False
        for number, arg in enumerate(args):
            if skip or (run and number == 0 and arg in ("run", "test")):
                skip = False
            elif arg == "-m" and number + 1 < len(args):
                self._run_module(args[number + 1], args[number + 2 :], folder, depth)
                return
            elif arg in ("-c", "-e", "-E", "--eval"):
                self._inline(args[number + 1] if arg == "-c" and number + 1 < len(args) else "", folder, depth)
                return
            elif arg.startswith("-"):
                skip = arg in _TAKES_ONE
            else:
                self._script(arg, folder, depth)
                return

    def _inline(self, code: str, folder: str, depth: int) -> None:
        """Read the modules that ``python -c`` imports: one that asserts is run by that."""
        for match in re.finditer(r"\b(?:import|from)\s+([\w.]+)", code):
            if (path := self._module(match[1], folder)) is not None:
                self._script(path, "", depth)

    def _run_module(self, name: str, args: Sequence[str], folder: str, depth: int) -> None:
        if name in _RUNNERS or name in _DOCTESTS:
            self._tests(name, args, folder)
        elif name in ("coverage", "kernprof", "trace", "pdb", "cProfile", "profile"):
            rest = [arg for arg in args if arg != "run"]
            self._interpreter(rest, folder, depth, run=False)
        elif (path := self._module(name, folder)) is not None:
            self._script(path, "", depth)

    def _script(self, name: str, folder: str, depth: int, *, shell: bool = False) -> None:
        """Note a script that the command runs, unless it is the program itself."""
        path = self._path(name, folder)
        if path is None or (self.root / path).is_dir():
            return
        text = self._text(path)
        shell = (
            shell
            or path.endswith((".sh", ".bash", ".zsh", ".bat", ".ps1"))
            or "sh" in text[:40].partition("\n")[0]
        )
        if shell or is_test(path) or _called_check(path) or _asserts(path, text):
            self._files.add(path)
            parents = [p.as_posix() for p in PurePosixPath(path).parents if p.name and _called_check(p.name)]
            self._folders |= set(parents)
        if shell:
            self.command(text, folder, depth + 1)

    def _make(self, name: str, args: Sequence[str], folder: str, depth: int) -> None:
        for number, arg in enumerate(args[:-1]):
            if arg in ("-C", "--directory"):
                folder = PurePosixPath(folder, args[number + 1]).as_posix()
        given = [b for a, b in itertools.pairwise(args) if a in ("-f", "--file", "--makefile", "-c", "--justfile")]
        given += [
            arg.partition("=")[2] for arg in args if arg.startswith(("--file=", "--makefile=", "--justfile="))
        ]
        queue = given or list(_MAKES[name])
        while queue:
            path = self._path(queue.pop(), folder)
            if path is not None and path not in self._files:
                self._files.add(path)
                queue += re.findall(r"^-?(?:s?include|import)\s+[\"']?([\w./-]+)", self._text(path), re.M)
                # A task file in a language of its own names its scripts in strings.
                tasks = self._text(path) if path.endswith((".py", ".ini", ".toml", ".yml", ".yaml")) else ""
                for script in re.findall(r"[\w./-]+\.(?:py|sh|js|mjs|ts|rb|R)\b", tasks):
                    self._script(script, folder, depth)
                wanted = [arg for arg in args if re.fullmatch(r"[\w./-]+", arg) and not arg.startswith("-")]
                for line in _recipes(self._text(path), wanted):
                    self.command(line, folder, depth + 1)

    def _package(self, args: Sequence[str], folder: str, depth: int) -> None:
        words = [arg for arg in args if not arg.startswith("-") and arg not in ("run", "run-script", "task")]
        for file in ("package.json", "deno.json", "composer.json"):
            path = self._path(file, folder)
            if path is not None and words:
                for script in (f"pre{words[0]}", words[0], f"post{words[0]}"):
                    if found := command_of(path, self._text(path), script):
                        self.command(found, folder, depth + 1)

    def _add(self, names: Iterable[str], folder: str) -> None:
        self._files |= {path for name in names if (path := self._path(name, folder)) is not None}

    def _path(self, name: str, folder: str) -> str | None:
        """Return an existing path below the root."""
        place = PurePosixPath(folder, name)
        if place.is_absolute():
            if not place.is_relative_to(self.root.as_posix()):
                return None
            place = place.relative_to(self.root.as_posix())
        parts: list[str] = []
        for part in place.parts:
            if part == ".." and not parts:
                return None
            parts = parts[:-1] if part == ".." else [*parts, part]
        try:
            exists = bool(parts) and self.root.joinpath(*parts).exists()
        except (OSError, ValueError):
            return None
        return "/".join(parts) if exists else None

    def _module(self, name: str, folder: str) -> str | None:
        parts = name.split(".")
        for size in range(len(parts), 0, -1):
            base = "/".join(parts[:size])
            for file in (f"{base}.py", f"{base}/__main__.py", f"src/{base}.py", f"src/{base}/__main__.py"):
                if (path := self._path(file, folder)) is not None:
                    return path
        return None

    def _text(self, path: str) -> str:
        try:
            with (self.root / path).open("rb") as file:
                return file.read(_LARGEST).decode("utf-8", "replace")
        except OSError:
            return ""


def _segments(command: str) -> Iterator[list[str]]:
    """Cut a shell command into simple ones; a file that one reads from is a segment of its own, after ``<``."""
    command = re.sub(r"(^|\s)#[^\n]*", r"\1", command.replace("\\\n", " "))
    for inner in re.findall(r"[<>]\(([^()]*)\)", command):
        yield from _segments(inner)
    command = re.sub(r"[<>]\([^()]*\)", " /dev/fd/63 ", command)
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            if word and set(word) <= _SEPARATORS:
                if words:
                    yield words
                words = ["<"] if word == "<" else [">"] if ">" in word else []
            else:
                words.append(word)
    except ValueError:  # an open quote: what was read so far counts
        pass
    if words:
        yield words


def _unwrapped(words: Sequence[str]) -> list[str]:
    """Return a command without what runs it: settings of variables, ``uv run``, ``timeout 60``."""
    left = list(words)
    wrapped = False
    while left:
        word = PurePosixPath(left[0]).name if not left[0].startswith(".") else left[0]
        number = wrapped and re.fullmatch(r"[\d.]+[smh]?", word)
        if not wrapped and left[0] in _KEYWORDS:
            left.pop(0)
        elif re.fullmatch(r"\w+=.*", left[0]) or word in _WRAPPERS or number or (wrapped and word.startswith("-")):
            wrapped = wrapped or word in _WRAPPERS
            left.pop(0)
        else:
            break
    return left


def _recipes(text: str, wanted: Sequence[str]) -> Iterator[str]:
    """Yield the lines that ``make`` runs for some targets, or for the first, with plain variables filled in."""
    values = dict(re.findall(r"^(\w+)\s*[:?]?=\s*(.*)$", text, re.M))
    rules: dict[str, tuple[list[str], list[str]]] = {}
    current: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        head = re.match(r"^([^\s#=:][^=:]*):(?!=)\s*([^#=]*)(?:#.*)?$", line)
        if head:
            current = []
            for name in head[1].split():
                rules.setdefault(name, ([], current))[0].extend(head[2].split())
                rules[name] = (rules[name][0], current)
        elif line[:1] in "\t ":
            current.append(line.strip().lstrip("@-+"))
    queue = [name for name in wanted if name in rules] or list(rules)[:1]
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in rules and name not in seen:
            seen.add(name)
            queue += rules[name][0]
            yield from (_filled(line, values) for line in rules[name][1])


def _filled(line: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$[({](\w+)[)}]", lambda m: values.get(m[1], ""), line)


def _has_tests(text: str) -> bool:
    return re.search(r"^\s*(?:async )?def test|^\s*class Test|\bunittest\b", text, re.M) is not None


def _asserts(path: str, text: str) -> bool:
    """Whether a script holds what fails a check: assertions, tests, or an end with a status that is not 0."""
    if not path.endswith((".py", ".pyw")) and "python" not in text.partition("\n")[0]:
        return _ASSERTING.search(text) is not None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return True
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    if not imported.isdisjoint({"unittest", "pytest", "doctest"}) or _has_tests(text):
        return True
    return any(isinstance(node, ast.Assert) for node in ast.walk(tree)) or any(
        map(_rejects, _top_level(tree.body))
    )


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a script does, those of functions and classes left out."""
    for node in body:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "orelse", "finalbody"):
                yield from _top_level(getattr(node, name, []))


def _rejects(node: ast.stmt) -> bool:
    if isinstance(node, ast.Raise):
        return True
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("exit"):
        return False
    return (
        bool(call.args)
        and not (isinstance(call.args[0], ast.Constant) and not call.args[0].value)
        and not (isinstance(call.args[0], ast.Call))
    )
