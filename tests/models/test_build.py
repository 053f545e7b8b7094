from __future__ import annotations

import pytest

from loom_jupyter.models import build


@pytest.mark.parametrize(
    ("line", "share"),
    [("[3/12] Building", 0.25), ("  [ 50%] Building CXX object", 0.5), ("-- Configuring done", None)],
)
def test_how_far_a_build_is(line: str, share: float | None) -> None:
    assert build.fraction(line) == share
