from __future__ import annotations

import time

from loom_jupyter.context.intent import asks_for_tests, renamed


def test_long_words_take_no_time() -> None:
    began = time.perf_counter()
    for part in ("not ", "add a ", "test_a ", "x", "in tests/a.py ", "use a ", "fix the expected ", "to  "):
        asks_for_tests(part * (40_000 // len(part)))
        renamed(part * (40_000 // len(part)))
    assert time.perf_counter() - began < 8
