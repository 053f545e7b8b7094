"""Languages and roles: what a file is, told by its name alone."""

from __future__ import annotations

import functools
import re
from typing import Literal

from loom_jupyter.context.terms import words

Role = Literal["source", "test", "doc", "config", "generated"]

LANGUAGES = {
    "python": "py pyi pyw pyx",
    "javascript": "js jsx mjs cjs",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "rust": "rs",
    "go": "go",
    "c": "c h",
    "cpp": "cc cpp cxx hh hpp hxx",
    "java": "java",
    "sql": "sql ddl",
    "julia": "jl",
    "json": "json jsonc",
    "toml": "toml",
    "yaml": "yaml yml",
    "markdown": "md markdown mdx",
    "rst": "rst",
    "notebook": "ipynb",
}
CONFIG = ("json", "toml", "yaml")
BY_SUFFIX = {suffix: name for name, suffixes in LANGUAGES.items() for suffix in suffixes.split()}

OTHER_SOURCE = words(
    "r rb php cs kt kts scala swift m mm lua pl pm sh bash zsh fish ps1 vue svelte astro css scss "
    "sass less html htm xhtml jinja jinja2 j2 tmpl gotmpl hbs ex exs erl hs ml mli fs clj dart zig nim "
    "proto thrift graphql f f90 f95 cu cuh asm s v sv vhd tcl vim el lisp scm rkt groovy gradle cmake mk "
    "bat qml pxd pxi"
)
DOC_SUFFIXES = frozenset(
    ["md", "markdown", "mdx", "rst", "txt", "adoc", "asciidoc", "org", "tex", "textile", "1", "5", "8"]
)
DOC_FOLDERS = words("doc docs documentation changelog changelogs newsfragments")
# What a folder of tests, or of what tests read, is called.
TEST_FOLDERS = words(
    "test tests __tests__ spec specs testdata ui-tests testutils e2e galata fixtures __mocks__ testthat "
    "__test__ __fixtures__ __snapshots__ golden goldens unittests step_definitions cypress"
)
# Not the program, and not what judges it either: ranked as tests are, and may be changed.
_BESIDE = words("benches benchmarks")
# `testing` is no such folder: packages keep helpers for their users' tests there.
TEST_FOLDER = re.compile(r"tests?[-_.].*|.*[-_.]tests?|testsuites?")
# As Gradle, Xcode and .NET write it: androidTest, testFixtures, AppUITests.
_TEST_FOLDER_CAMEL = re.compile(r"test[A-Z]\w*|\w*[a-z0-9](?:UI)?(?:Tests?|Specs?)")
_TEST_NAME = re.compile(
    r"(?:tests?|conftest|(?:run|all|self|smoke)[-_]?tests?|(?:unit|doc|integration|functional|system)[-_]?tests"
    r"|test[-_]?(?:suite|case)s?)(?:\.[^/]*)?"
    r"|tests?[-_][^/]*"
    r"|[^./]*[-_](?:(?:unit)?tests?|specs?)(?:\.[^/]*)?"
    r"|[^/]*\.(?:tests?|specs?|cy|e2e|test-d|bench|approved|received|verified)\.[^/]*"
    r"|[^/]*\.(?:snap|ambr|golden|snapshot|feature|bats|robot|t)"
)
# FooTest.java, FooTests.cs, FooSpec.scala, FooIT.java, TestFoo.php: capitals tell them from Contest and Latest.
_TEST_NAME_CAMEL = re.compile(
    r"(?:\w*[a-z0-9](?:Tests?|TestCase|Specs?|IT)|Tests?[A-Z]\w*)"
    r"\.(?:java|kt|kts|scala|groovy|cs|fs|vb|php|swift|dart|cc|cpp|cxx|hpp|h|m|mm|py|hs|pas)"
)
# What says how a project's tests run, and nothing else. Of pyproject.toml and the like only a part does:
# `loom_jupyter.checks.judges` reads that.
_CHECK_SETTINGS = re.compile(
    r"\.?pytest\.(?:ini|toml)|tox\.(?:ini|toml)|noxfile\.py|\.coveragerc|nose2?\.cfg|unittest\.cfg|behave\.ini|\.behaverc"
    r"|(?:jest|vitest|playwright|cypress|ava|nightwatch|cucumber)\.(?:config|setup|workspace|conf)\.\w+|cypress\.json"
    r"|(?:karma|wdio|protractor)\.conf\.\w+|\.mocharc(?:\.\w+)?|mocha\.opts|setuptests\.\w+|\.(?:nyc|c8|tap)rc(?:\.\w+)?"
    r"|\.?phpunit\.(?:dist\.)?xml(?:\.dist)?|phpspec\.ya?ml|behat\.ya?ml|codeception\.ya?ml|testng\.xml|\.?nextest\.toml"
    r"|\.rspec|[^/]*\.xctestplan|[^/]*\.runsettings"
)
GENERATED_NAMES = words(
    "package-lock.json yarn.lock pnpm-lock.yaml poetry.lock cargo.lock go.sum uv.lock pipfile.lock "
    "npm-shrinkwrap.json composer.lock gemfile.lock"
)


def suffix_of(path: str) -> str:
    """Return the last suffix in lower case, without its dot; empty where there is none."""
    base = path.rsplit("/", 1)[-1]
    return base.rsplit(".", 1)[1].lower() if "." in base[1:] else ""


def language_of(path: str) -> str:
    """Return the language that a file's name tells, or ``text``."""
    return BY_SUFFIX.get(suffix_of(path), "text")


def is_test(path: str) -> bool:
    """Whether a path alone says that a file is a test, serves tests, or says how they run.

    The index, the choice of targets and the gate all ask this. What else judges in a run (scripts that a check
    command names, files from which failing tests come) is told by :mod:`loom_jupyter.checks.judges`.

    Parameters
    ----------
    path
        POSIX path relative to the workspace.
    """
    folder, _, name = path.rpartition("/")
    low = name.lower()
    return (
        _TEST_NAME.fullmatch(low) is not None
        or _TEST_NAME_CAMEL.fullmatch(name) is not None
        or _CHECK_SETTINGS.fullmatch(low) is not None
        or _in_tests(folder)
    )


@functools.lru_cache(maxsize=4096)
def _in_tests(folder: str) -> bool:
    """Whether a folder, or one above it, holds tests."""
    parts = folder.split("/")
    steps = any(part.lower() == "features" for part in parts) and parts[-1].lower() in ("steps", "support")
    return steps or any(
        part.lower() in TEST_FOLDERS
        or TEST_FOLDER.fullmatch(part.lower()) is not None
        or _TEST_FOLDER_CAMEL.fullmatch(part) is not None
        for part in parts
    )


def role_of(path: str) -> Role:
    """Return what the file is for."""
    *folders, base = path.lower().split("/")
    suffix = suffix_of(path)
    if base in GENERATED_NAMES or ".min." in base or suffix == "map":
        return "generated"
    if is_test(path) or any(folder in _BESIDE for folder in folders):
        return "test"
    if suffix in DOC_SUFFIXES or any(f in DOC_FOLDERS for f in folders):
        return "doc"
    if BY_SUFFIX.get(suffix, "json") not in CONFIG or suffix in OTHER_SOURCE:
        return "source"
    return "config"
