from __future__ import annotations

import pytest

from loom_jupyter.edits.syntax import plain


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("x = 1\n", "x = 1\n"),
        ("a % b\n", "a % b\n"),
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("if x:\n    !ls {x}\n", "if x:\n    pass\n"),
        ("files = !ls\nx = %timeit -o f()", "files = None\nx = None"),
        ("str.join?\nx", "pass\nx"),
        ("?str\n", "pass\n"),
        ("%%bash\nls |\n", ""),
        ("%%time\nx = 1\n", "\nx = 1\n"),
        ("x = (\n", "x = (\n"),
    ],
)
def test_plain(cell: str, expected: str) -> None:
    assert plain(cell) == expected


def test_lines_keep_their_numbers() -> None:
    cell = "%%time\n%load_ext x\n!ls\nboom("
    assert plain(cell).count("\n") == cell.count("\n")
