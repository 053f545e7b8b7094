from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loom_jupyter.context.extract import Field, extract
from loom_jupyter.context.extract import keys as module

TOML = '''name = "x"

[tool.loom]
model = "a"
rules = { tagged = 40 }

[[package]]
"odd name" = 1
a.b = """
two lines"""
'''
YAML = """on: push
jobs:
  # a comment
  test:
    steps:
      - run: pytest
    env: {CI: 1}

"quoted key": |
  text
---
second: 2
"""
JSON = '{\n  "name": "x",\n  "scripts": {\n    "build": "tsc",\n    "list": [{"inner": 1}]\n  },\n  "end": 1\n}\n'
CASES = {
    "a.toml": (
        TOML,
        {
            "name": (1, 1),
            "tool.loom": (3, 5),
            "tool.loom.model": (4, 4),
            "tool.loom.rules": (5, 5),
            "tool.loom.rules.tagged": (5, 5),
            "package": (7, 10),
            "package.odd name": (8, 8),
            "package.a.b": (9, 10),
        },
    ),
    "a.yml": (
        YAML,
        {
            "on": (1, 1),
            "jobs": (2, 7),
            "jobs.test": (4, 7),
            "jobs.test.steps": (5, 6),
            "jobs.test.env": (7, 7),
            "jobs.test.env.CI": (7, 7),
            "quoted key": (9, 10),
            "second": (12, 12),
        },
    ),
    "a.json": (
        JSON,
        {"name": (2, 2), "scripts": (3, 6), "scripts.build": (4, 4), "scripts.list": (5, 5), "end": (7, 7)},
    ),
}


def found(path: str, text: str) -> dict[str, tuple[int, int]]:
    return {s.name: (s.start, s.end) for s in extract(path, text.encode()).symbols if s.kind == "key"}


@pytest.mark.parametrize("path", CASES)
def test_keys_have_dotted_paths_and_exact_lines(path: str) -> None:
    text, expected = CASES[path]
    assert found(path, text) == expected


@pytest.mark.parametrize(
    ("path", "text", "kept"),
    [
        ("a.json", '{"good": 1, "bad": , "later": 2', "good"),
        ("a.toml", 'good = 1\nbad = = "\n', "good"),
        ("a.yaml", "good: 1\nbad: [1, 2\n", "good"),
    ],
)
def test_broken_syntax_keeps_what_parsed(path: str, text: str, kept: str) -> None:
    assert kept in found(path, text)


def test_data_and_generated_files_have_no_keys() -> None:
    many = json.dumps({f"k{n}": {"deep": n} for n in range(1000)}, indent=1)
    names = found("a.json", many)
    assert len(names) == module.MAX_KEYS
    assert all("." not in n for n in names)  # the outer ones come first
    assert found("a.json", json.dumps({"k": "x " * module.LARGEST})) == {}
    assert found("package-lock.json", '{"a": 1}') == {}
    assert found("uv.lock", "a = 1\n") == {}


def test_depth_is_bounded() -> None:
    nested = '{"a": ' * 500 + "1" + "}" * 500
    assert max(n.count(".") for n in found("a.json", nested)) == module.DEPTH - 1
    assert found("a.json", "[" * 3000 + "]" * 3000) == {}


def test_keys_are_no_names_of_code() -> None:
    got = extract("a.toml", TOML.encode())
    assert Field.SYMBOL not in got.terms
    assert "tagged" in got.terms[Field.CONTENT]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["a.json", "a.toml", "a.yaml"]), st.text(alphabet="{}[]:,\"'\n -=.#&*|>ab1é", max_size=200))
def test_no_text_breaks_it(path: str, text: str) -> None:
    lines = text.count("\n") + 1
    assert all(1 <= start <= end <= lines for start, end in found(path, text).values())


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(alphabet="abcxyz", min_size=1, max_size=4), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_keys_of_json_are_those_of_the_parser(value: object) -> None:
    def paths(part: object, outer: str, depth: int) -> set[str]:
        if not isinstance(part, dict) or depth > module.DEPTH:
            return set()
        here = {f"{outer}{key}" for key in part}
        return here.union(*(paths(v, f"{outer}{k}.", depth + 1) for k, v in part.items()))

    assert set(found("a.json", json.dumps(value, indent=1))) == paths(value, "", 1)
