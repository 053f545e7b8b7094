"""What nobody sees is shown, in every view alike."""

from __future__ import annotations

import time

from loom_jupyter.invisible import visible


def test_a_megabyte_of_hidden_characters_is_shown_in_time() -> None:
    started = time.process_time()
    for sign in ("\u200b", "\x1b", "\x1b[", "\x1b]", "\u200d", "é", "a", "\r"):
        visible(sign * (500_000 // len(sign)))
    assert time.process_time() - started < 20
