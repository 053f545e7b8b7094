"""The part of a server's reply that continues a given prefix, whether the server went on after it or began anew.

Few servers continue an assistant's message; the others write a sentence and open the code block themselves. A stop
string that ends a block would then end the reply before it, so with a prefix the stop strings are looked for here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

FENCE = "```"
_OPENING = re.compile(r"^[ \t]*```[\w.+-]*[ \t]*\n", re.M)


class Continued:
    """Collects a reply as it comes.

    Parameters
    ----------
    prefix
        What the reply was to continue; empty if nothing.
    stop
        Strings that end it.
    """

    def __init__(self, prefix: str, stop: Sequence[str]) -> None:
        self._prefix = prefix
        self._stop = [s for s in stop if s] if prefix else []
        self._raw = ""
        self._told = ""

    @property
    def stopped(self) -> bool:
        """Whether a stop string has come."""
        return len(self.text) < len(self._after())

    @property
    def text(self) -> str:
        """What has come so far, without the prefix and up to the first stop string."""
        after = self._after()
        ends = [at for s in self._stop if (at := after.find(s)) >= 0]
        return after[: min(ends, default=len(after))]

    def feed(self, piece: str) -> str:
        """Take a piece in; return what is new and certain."""
        if not self._prefix:
            self._raw += piece
            return piece
        self._raw += piece
        return self._new(self._certain())

    def close(self) -> str:
        """Return what was held back."""
        return self._new(self.text) if self._prefix else ""

    def _new(self, text: str) -> str:
        if not text.startswith(self._told):  # a block was opened after a sentence that was told already
            self._told = ""
        piece, self._told = text[len(self._told) :], text
        return piece

    def _certain(self) -> str:
        """Leave out an end that may be the beginning of the prefix, or of a stop string."""
        if self._prefix.startswith(self._raw):
            return ""
        text = self.text
        held = max((n for s in self._stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
        return text[: len(text) - held]

    def _after(self) -> str:
        """Return what follows the prefix where the server wrote it itself, or else everything."""
        if not self._prefix.startswith(FENCE):
            return self._raw.removeprefix(self._prefix)
        opening = _OPENING.search(self._raw)
        if opening is None or (opening.start() > 0 and not self._opens(opening)):
            return self._raw
        return self._raw[opening.end() :]

    def _opens(self, fence: re.Match[str]) -> bool:
        """Whether a fence after some text opens a block, and does not close the one that the prefix opened."""
        if fence[0].strip() != FENCE:
            return True
        return self._prefix.strip() == FENCE and FENCE in self._raw[fence.end() :]
