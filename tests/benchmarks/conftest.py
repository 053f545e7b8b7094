"""The benchmarks are run as ``python -m tests.benchmarks…``; their tests import them the same way."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
