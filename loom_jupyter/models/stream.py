"""From token bytes to text: no half characters, and nothing that may still turn out to be a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Collects the bytes of generated tokens and releases text that is certain.

    Attributes
    ----------
    text
        All text released so far.
    stopped
        Whether a stop string was met; it and what follows it are left out.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(s for s in stop if s)
        self._held = ""
        self.text = ""
        self.stopped = False

    def feed(self, data: bytes) -> str:
        """Take one token's bytes and return the text that they release."""
        return self._take(self._decoder.decode(data))

    def close(self) -> str:
        """Return what was held back: the reply has ended."""
        piece = self._take(self._decoder.decode(b"", final=True))
        if self.stopped:
            return piece
        rest, self._held = self._held, ""
        self.text += rest
        return piece + rest

    def _take(self, new: str) -> str:
        if self.stopped:
            return ""
        self._held += new
        found = [at for s in self._stop if (at := self._held.find(s)) >= 0]
        if found:
            self.stopped = True
            piece, self._held = self._held[: min(found)], ""
        else:
            keep = max((_overlap(self._held, s) for s in self._stop), default=0)
            cut = len(self._held) - keep
            piece, self._held = self._held[:cut], self._held[cut:]
        self.text += piece
        return piece


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:size]):
            return size
    return 0
