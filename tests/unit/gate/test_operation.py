from __future__ import annotations

import pytest

from loom_jupyter.gate.operation import only_renames


@pytest.mark.parametrize(
    ("after", "only"),
    [
        ("from a import read\n\n\ndef test_parse():\n    assert read('1') == 1\n", True),
        ("from a import read\n\n\ndef test_parse():\n    assert read('1') == 2\n", False),
        ("from a import read\n\n\ndef test_parse():\n    assert parse('1') == 1\n", True),
        ("from a import read\n", False),
    ],
)
def test_a_rename_changes_nothing_but_the_name(after: str, only: bool) -> None:
    before = "from a import parse\n\n\ndef test_parse():\n    assert parse('1') == 1\n"
    assert only_renames(before, after, ("parse", "read")) is only
    assert not only_renames(f"{before}\nread = 3\n", after, ("parse", "read"))
