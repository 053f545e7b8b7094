"""A release goes out only under the version that the package names."""

from __future__ import annotations

import subprocess
import sys

import pytest
from places import ROOT

import loom_jupyter

SCRIPT = ROOT / ".ci" / "check_tag.py"


@pytest.mark.parametrize(
    ("tag", "status"), [(f"v{loom_jupyter.__version__}", 0), (loom_jupyter.__version__, 1), ("v99.0", 1), ("", 1)]
)
def test_only_the_tag_of_the_version_passes(tag: str, status: int) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), tag], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert bool(done.stderr) == bool(status)
