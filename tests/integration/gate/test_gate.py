from __future__ import annotations

from pathlib import Path

import loom_jupyter
from loom_jupyter.edits.syntax import undefined


def test_no_false_alarm_on_real_code() -> None:
    """The package's own modules and those of the standard library define what they use."""
    import argparse
    import dataclasses
    import typing

    files = [*Path(loom_jupyter.__file__).parent.rglob("*.py")]
    files += [Path(module.__file__) for module in (argparse, dataclasses, typing) if module.__file__]
    assert {f.name: names for f in files if (names := undefined(f.read_text("utf-8")))} == {}
