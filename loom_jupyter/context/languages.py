"""Languages and roles: what a file is, told by its name alone."""

from __future__ import annotations

import re
from typing import Literal

from loom_jupyter.context.words import words

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
TEST_FOLDERS = words(
    "test tests __tests__ spec specs testdata ui-tests testutils e2e galata fixtures __mocks__ benches benchmarks"
)
# `testing` is no such folder: packages keep helpers for their users' tests there.
TEST_FOLDER = re.compile(r"tests?[-_.].*|.*[-_.]tests?|testsuites?")
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
    """Whether the name or a folder says that the file is a test or serves tests."""
    *folders, base = path.lower().split("/")
    stem = base.split(".", 1)[0]
    return (
        any(f in TEST_FOLDERS or TEST_FOLDER.fullmatch(f) for f in folders)
        or stem.startswith("test_")
        or stem.endswith(("_test", "_tests", "_spec"))
        or stem in ("conftest", "tests", "test")
        or ".spec." in base
        or ".test." in base
    )


def role_of(path: str) -> Role:
    """Return what the file is for."""
    *folders, base = path.lower().split("/")
    suffix = suffix_of(path)
    if base in GENERATED_NAMES or ".min." in base or suffix == "map":
        return "generated"
    if is_test(path):
        return "test"
    if suffix in DOC_SUFFIXES or any(f in DOC_FOLDERS for f in folders):
        return "doc"
    if BY_SUFFIX.get(suffix, "json") not in CONFIG or suffix in OTHER_SOURCE:
        return "source"
    return "config"
