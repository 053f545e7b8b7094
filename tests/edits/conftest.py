from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of crashes would wait for a disk thousands of times."""
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="loom-edits-", dir=memory if os.access(memory, os.W_OK) else None))
    yield place
    shutil.rmtree(place)
