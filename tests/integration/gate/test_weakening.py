"""What a proposal may not do to a test, whoever asked for what."""

from __future__ import annotations

from places import TESTS

from loom_jupyter.gate.weakening import weakened


def test_no_test_of_this_project_is_weaker_than_itself() -> None:
    for file in sorted(TESTS.rglob("test_*.py")):
        text = file.read_text("utf-8")
        assert (
            weakened(str(file), text, f"{text}\n\ndef test_one_more():\n    assert {len(text)} == len('x')\n")
            is None
        )
