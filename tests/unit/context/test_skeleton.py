"""The skeleton's definitions against those of the whole source, parsed by the same grammar."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loom_jupyter.context.extract import code
from loom_jupyter.context.extract.skeleton import skeleton

SOURCE = b'''"""Doc of the module."""
import os; import sys
from a import (b,
    c)
LIMIT = {"a": [1, (2, 3)],  # ) comment
    "b": "]"}
typed: int = 3
a = b = 1; later = 2
one, two = 1, 2
LONG = \\
    "x" \\
    "y"\\

@wrap(lambda x: (x,
    1))
def f(a, b=(1, 2), *c: "x)", d='"') -> "Z":
    r"""
    Doc of f."""
    if a == ")":
        import json
        x = [1,
             2]
        return x  # the end

    # a comment below

    for x in y: z = x
    else:
        pass
class C(B, metaclass=M): x = 1
class D(B):
    """Doc
    of D."""
    y = 1; from m import n

    async def m(self): return 1

    def n(self):
        "" "joined"
        while x[1:]:
            w = f"{x['a']}" + f'{y:>{3}}'
        with a(), \\
             b() as c:
            def inner(): ...
        match c:
            case (1, 2): pass
    x\t= 3
def last():
\t"""Only this."""
'''


def both(source: bytes) -> tuple[code.Code, code.Code]:
    """Parse as it is, and by way of the skeleton."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "skeleton", lambda _: None)
        whole = code.parse(source, "python")
    return whole, code.parse(source, "python")


def test_everything_is_found_in_the_skeleton() -> None:
    whole, bare = both(SOURCE)
    assert bare == whole
    made = skeleton(SOURCE)
    assert made is not None
    assert [len(line) for line in made.split(b"\n")] == [len(line) for line in SOURCE.split(b"\n")]
    assert {s.name for s in bare.symbols} >= {"LIMIT", "later", "typed", "LONG", "f", "D.n.inner", "last"}
    assert {s.doc for s in bare.symbols} >= {"Doc of f.", "Doc", "Only this."}


def test_little_is_left_to_parse() -> None:
    made = skeleton(b"def f(a, b):\n    x = a\n    y = [x]\n    if x > (y):\n        g(x)\n")
    assert made == b"def f(    ):\n    (    \n          )\n    if(      ):\n        (  )\n"


@pytest.mark.parametrize(
    "source",
    [
        b"x = (1,\n",
        b"x = 'open\n",
        b"x = 1)\n",
        b'"""open',
        b"cdef int f(x):\n    pass\n",
        b"x" + b"(" * 9 + b")" * 9,
    ],
)
def test_what_is_unclear_is_parsed_as_it_is(source: bytes) -> None:
    assert skeleton(source) is None


def test_the_standard_library_has_the_same_symbols_either_way() -> None:
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    for file in files[::4]:
        whole, bare = both(file.read_bytes())
        assert bare == whole, file


LINES = SOURCE.decode().splitlines(keepends=True)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_any_lines_that_parse_have_the_same_symbols_either_way(lines: list[str]) -> None:
    source = "".join(lines).encode()
    try:
        compile(source, "a.py", "exec")
    except (SyntaxError, ValueError):
        return
    whole, bare = both(source)
    assert bare == whole


@settings(max_examples=200, deadline=None)
@given(st.text("a=:()[]{}\"'#\\\n \tfi", max_size=60))
def test_lines_keep_their_places_whatever_is_written(text: str) -> None:
    made = skeleton(text.encode())
    if made is not None:
        assert [len(line) for line in made.split(b"\n")] == [len(line) for line in text.encode().split(b"\n")]
