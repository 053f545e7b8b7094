# ruff: noqa: E501 - sources read better on few lines
from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loom_jupyter.context.extract import Field, code, extract
from loom_jupyter.context.terms import terms


def symbols(path: str, text: str) -> dict[str, tuple[str, int, int]]:
    return {s.name: (s.kind, s.start, s.end) for s in extract(path, text.encode()).symbols}


CASES = {
    "a.py": (
        "import os\n\n@wrap\n@twice\ndef f(a):\n    def g():\n        pass\n    return g\n\n\n"
        "class C(B):\n    x: int = 1\n\n    @property\n    def m(self):\n        return 1\n\n\nasync def h(): ...\n",
        {
            "f": ("function", 3, 8),
            "f.g": ("function", 6, 7),
            "C": ("class", 11, 16),
            "C.m": ("method", 14, 16),
            "h": ("function", 19, 19),
        },
    ),
    "a.js": (
        "import x from 'y';\nexport default class A {\n  b() { return 1; }\n}\nexport const c = (d) => {\n  return d;\n};\n"
        "function* e() {}\n",
        {"A": ("class", 2, 4), "A.b": ("method", 3, 3), "c": ("function", 5, 7), "e": ("function", 8, 8)},
    ),
    "a.ts": (
        "export interface I {\n  x: number;\n}\nexport type T = I | null;\nenum E { A }\nabstract class K<T> {\n  m(): void {}\n}\n"
        "namespace N {\n  export function f() {}\n}\n",
        {
            "I": ("interface", 1, 3),
            "T": ("type", 4, 4),
            "E": ("enum", 5, 5),
            "K": ("class", 6, 8),
            "K.m": ("method", 7, 7),
            "N": ("namespace", 9, 11),
            "N.f": ("function", 10, 10),
        },
    ),
    "a.tsx": ("export const App = () => {\n  return <div/>;\n};\n", {"App": ("function", 1, 3)}),
    "a.rs": (
        "use std::io;\n/// Doc.\npub struct S<T> { x: T }\nimpl<T> S<T> {\n    fn m(&self) {\n    }\n}\ntrait R { fn q(); }\n"
        "macro_rules! z { () => {} }\n",
        {
            "S": ("impl", 4, 7),
            "S.m": ("method", 5, 6),
            "R": ("trait", 8, 8),
            "R.q": ("method", 8, 8),
            "z": ("macro", 9, 9),
        },
    ),
    "a.go": (
        'package p\n\nimport "fmt"\n\ntype S struct {\n\tx int\n}\n\nfunc (s *S) M() {\n\tfmt.Println()\n}\n\nfunc F() {}\n',
        {"S": ("type", 5, 7), "S.M": ("method", 9, 11), "F": ("function", 13, 13)},
    ),
    "a.java": (
        "class A {\n  A() {}\n  int b() { return 1; }\n}\n",
        {"A": ("class", 1, 4), "A.b": ("method", 3, 3)},
    ),
    "a.c": (
        "#include <x.h>\nint f(int a) {\n  return a;\n}\nstruct S { int x; };\n",
        {"f": ("function", 2, 4), "S": ("struct", 5, 5)},
    ),
    "a.cpp": (
        "namespace n {\nclass C {\n  int m() { return 1; }\n};\n}\n",
        {"n.C": ("class", 2, 4), "n.C.m": ("method", 3, 3)},
    ),
    "a.sql": (
        "-- Orders.\nCREATE TABLE IF NOT EXISTS shop.orders (\n  id int\n);\n\nCREATE OR REPLACE VIEW recent AS\n"
        "SELECT * FROM shop.orders;\ncreate function plus(a int) returns int\nlanguage sql as $$ select 1 $$;\n"
        "CREATE INDEX by_id ON shop.orders (id);\nFOO BAR (;\nCREATE TABLE later (a int);\n",
        {
            "shop.orders": ("table", 2, 4),
            "recent": ("view", 6, 7),
            "plus": ("function", 8, 9),
            "by_id": ("index", 10, 10),
            "later": ("table", 12, 12),
        },
    ),
    "a.jl": (
        "module M\nusing LinearAlgebra\nfunction area(c::Circle)::Float64\n  c.r\nend\nf(x) = x + 1\n"
        "function Base.show(io, x::T) where T\nend\nstruct P{T} <: Q\n  x::T\nend\nabstract type Q end\n"
        "macro m(x)\n x\nend\nend\n",
        {
            "M": ("module", 1, 16),
            "M.area": ("function", 3, 5),
            "M.f": ("function", 6, 6),
            "M.Base.show": ("function", 7, 8),
            "M.P": ("struct", 9, 11),
            "M.Q": ("type", 12, 12),
            "M.m": ("macro", 13, 15),
        },
    ),
    "a.md": (
        "# One\n\ntext\n\n## Two\n\n```\n# no heading\n```\n\nThree\n=====\nend\n",
        {"One": ("section", 1, 10), "One / Two": ("section", 5, 10), "Three": ("section", 11, 13)},
    ),
    "a.rst": (
        "Title\n=====\n\nPart\n----\n\ntext\n",
        {"Title": ("section", 1, 7), "Title / Part": ("section", 4, 7)},
    ),
}


OPTIONAL = {"a.sql": "tree_sitter_sql", "a.jl": "tree_sitter_julia"}


@pytest.mark.parametrize("path", CASES)
def test_symbols_have_exact_lines(path: str) -> None:
    if path in OPTIONAL:
        pytest.importorskip(OPTIONAL[path])
    text, expected = CASES[path]
    found = symbols(path, text)
    assert {name: found.get(name) for name in expected} == expected


def test_broken_syntax_keeps_what_parsed() -> None:
    found = symbols("a.py", "def good():\n    pass\n\ndef bad(:\n    x = (\n\ndef later():\n    pass\n")
    assert found["good"] == ("function", 1, 2)


def test_a_language_without_its_grammar_is_read_by_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter_sql", None)
    code.grammar.cache_clear()
    got = extract("a.sql", b"CREATE TABLE orders (id int);\n")
    code.grammar.cache_clear()
    assert (got.language, got.reason, got.symbols) == ("sql", "", [])
    assert "orders" in got.terms[Field.CONTENT]


def test_docs_and_signatures() -> None:
    got = extract("a.py", b'class A:\n    """The A."""\n    def m(self, x=1):\n        """Do m."""\n')
    assert [(s.signature, s.doc) for s in got.symbols] == [("class A:", "The A."), ("def m(self, x=1):", "Do m.")]
    got = extract("a.rs", b"/// Adds.\n/// More.\nfn add() {}\n")
    assert got.symbols[0].doc == "Adds."


def notebook(*cells: tuple[str, str, str | list[str]]) -> bytes:
    made = [{"id": i, "cell_type": k, "source": s, "outputs": [{"text": "SECRETOUTPUT"}]} for i, k, s in cells]
    return json.dumps({"nbformat": 4, "cells": made, "metadata": {"kernelspec": {"name": "python3"}}}).encode()


def test_notebook_cells_are_symbols_and_outputs_unread() -> None:
    data = notebook(
        ("aa", "markdown", "# Load\nthe data"),
        ("bb", "code", ["import pandas\n", "def load():\n", "    return 1"]),
    )
    got = extract("n.ipynb", data)
    assert [(s.name, s.kind, s.cell, s.start, s.end, s.base) for s in got.symbols] == [
        ("aa", "cell", "aa", 1, 2, 0),
        ("bb", "cell", "bb", 1, 3, 2),
        ("load", "function", "bb", 2, 3, 2),
    ]
    assert got.terms[Field.SYMBOL]["load"] == [1, 4]
    assert "secretoutput" not in got.terms[Field.CONTENT]
    assert got.terms[Field.HEADING]["load"] == [1, 1]


def test_a_task_cell_is_no_evidence_for_itself() -> None:
    data = notebook(("aa", "code", "%%loom --check true\nthe tariff is wrong"), ("bb", "code", "x = 1"))
    got = extract("n.ipynb", data)
    assert [s.name for s in got.symbols] == ["bb"]
    assert "tariff" not in got.terms.get(Field.CONTENT, {})


def test_damaged_notebook_is_text() -> None:
    got = extract("n.ipynb", b'{"cells": [1, "words here"')
    assert (got.language, got.reason) == ("text", "")
    assert "words" in got.terms[Field.CONTENT]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
)
def test_encodings(encoding: str) -> None:
    got = extract("a.py", ("# Größe der Straße\ndef straße():\n    return 1\n" * 3).encode(encoding))
    assert got.reason == ""
    assert "größe" in got.terms[Field.CONTENT]


def test_identifiers_split() -> None:
    assert terms("parseHTTPResponse2") == ("parse", "http", "response", "parsehttpresponse2")
    assert terms("__init__") == ("init",)
    assert terms("x" * 99) == ()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["a.py", "a.ts", "a.rs", "a.go", "a.md", "a.rst", "n.ipynb", "x"]))
def test_no_bytes_break_it(data: bytes, path: str) -> None:
    got = extract(path, data)
    assert all(1 <= s.start <= s.end for s in got.symbols)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["def f():\n", "    pass\n", "class A:\n", "\n", "x = (1,\n", ")\n", "é = '''\n"]))
)
def test_lines_stay_inside_the_file(pieces: list[str]) -> None:
    text = "".join(pieces)
    got = extract("a.py", text.encode())
    assert all(s.end <= max(got.lines, 1) for s in got.symbols)
    assert all(1 <= line <= max(got.lines, 1) for _, line in got.terms.get(Field.CONTENT, {}).values())
