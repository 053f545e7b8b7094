from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.pipeline.patch import fence_around, fenced_code, tag_of


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("Sure:\n\n```\nx = 1\n```\nDone.", "x = 1\n"),
        ("~~~py\nx = 1\n~~~", "x = 1\n"),
        ("```python\nx = 1", "x = 1\n"),
        ("````md\n```\ninner\n```\n````", "```\ninner\n```\n"),
        ("```python\na\n```\n```python\nb\n```", "a\n"),
        ("no code here", None),
        ("```python\n\n```", None),
        ("", None),
    ],
)
def test_the_first_block_is_the_code(text: str, code: str | None) -> None:
    assert fenced_code(text) == code


def test_a_reply_that_starts_inside_the_block() -> None:
    assert fenced_code("x = 1\n```\nThat is all.", opened="```") == "x = 1\n"
    assert fenced_code("x = 1", opened="```") == "x = 1\n"


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    code = fenced_code(text)
    assert code is None or code.strip()


def test_tags() -> None:
    assert tag_of("a/b.py") == tag_of("n.ipynb") == "python"
    assert tag_of("LICENSE") == ""


@pytest.mark.parametrize(
    ("path", "text", "fence"),
    [
        ("a.py", "x = 1\n", "```"),
        ("a.py", 'def f():\n    """\n    ```python\n    f()\n    ```\n    """\n', "````"),
        ("README.md", "", "````"),
        ("README.md", "````md\n```\n````\n", "`````"),
        ("a.py", "x = '```'\n", "```"),
    ],
)
def test_a_fence_is_longer_than_those_inside(path: str, text: str, fence: str) -> None:
    assert fence_around(path, text) == fence


def test_a_block_with_fences_inside_is_whole() -> None:
    inner = "# Use\n\n```bash\nmake\n```\n\nThat is all.\n"
    assert fenced_code(f"{inner}````\nDone.", opened="````") == inner
    assert fenced_code(inner, opened="````") == inner
    assert fenced_code(f"{inner}```", opened="````") == inner
    assert fenced_code("# Use\n\n```bash\nmake\n```", opened="````") == "# Use\n\n```bash\nmake\n```\n"
