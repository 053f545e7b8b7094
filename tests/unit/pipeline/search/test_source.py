from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.models.protocol import Alternative, TokenScore
from loom_jupyter.pipeline.search.source import undocumented

BODY = "    if w < 2:\n        return 1\n    return 2\n"


@pytest.mark.parametrize(
    "doc",
    ['    """Say it."""\n', '    """Say it.\n\n    At length.\n    """\n', "    'Say it.'\n\n", '    """ä"""\n'],
)
@pytest.mark.parametrize("indent", ["", "    "])
def test_a_unit_without_its_docstring(doc: str, indent: str) -> None:
    head = "@cached\ndef price(w):\n"
    text = "".join(f"{indent}{line}" if line.strip() else line for line in (head + doc + BODY).splitlines(True))
    told = undocumented(text)
    assert "Say" not in told.text
    assert "ä" not in told.text
    for word in ("def", "if", "return 2"):
        assert told.offset(told.text.index(word)) == text.index(word)


@pytest.mark.parametrize(
    "text",
    [
        "def f(): return 1\n",
        'def f():\n    """Only this."""\n',
        'def f():\n    """Say."""; return 1\n',
        "def f():\n    1\n    return 2\n",
        "def f(:\n",
        "x = 1\n",
        '"""Module."""\nx = 1\n',
    ],
)
def test_what_has_no_docstring_of_its_own_lines_stays(text: str) -> None:
    told = undocumented(text)
    assert told.text == text
    assert told.offset(3) == 3


@given(st.text(alphabet="abc \n\"'", max_size=30))
def test_every_character_stands_where_it_is_said_to(said: str) -> None:
    text = f"def f():\n    {said!r}\n    return 1\n"
    told = undocumented(text)
    assert all(text[told.offset(at)] == character for at, character in enumerate(told.text))


def test_another_docstring_is_no_doubt() -> None:
    text = 'def price(w):\n    """Say it."""\n' + BODY
    told = undocumented(text)
    at = told.text.index("if")
    others = (Alternative(1, '"""', -0.1), Alternative(2, " while", -0.2))
    first, later = told.placed([TokenScore(0, at, "if", -1.0, others), TokenScore(1, at + 20, "2", -1.0, others)])
    assert [other.text for other in first.alternatives] == [" while"]
    assert len(later.alternatives) == 2
    assert first.start == text.index("if")
