"""The self-test."""

from __future__ import annotations

from pathlib import Path

import pytest

from loom_jupyter.doctor import examine
from loom_jupyter.edits.checks import check


@pytest.mark.parametrize(("level", "said"), [("none", "not isolated: "), ("user", "isolated: ")])
def test_says_what_holds_a_check(level: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "isolation", lambda: level)
    found = {name: text for name, _, text in examine(tmp_path, tmp_path, None)}
    assert found["checks run"].startswith(said)
