"""From pieces to text: no half characters, and nothing that may still turn out to be a stop string."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

# What a string holds instead of a character that was cut: half of a UTF-16 pair (JSON's escapes), or bytes that
# are not UTF-8 by themselves, as Python's "surrogateescape" keeps them.
_CUT = re.compile("([\ud800-\udbff][\udc00-\udfff])|([\udc80-\udcff]+)|[\ud800-\udfff]")
_TAIL = re.compile("[\udc80-\udcff]+\\Z")


class Characters:
    """Joins the pieces of a text that may have been cut inside a character."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Take a piece in; return the characters that are whole."""
        text = self._held + piece
        cut = len(text) - _half(text)
        self._held = text[cut:]
        return whole(text[:cut])

    def close(self) -> str:
        """Return what was held back: its other half never came."""
        rest, self._held = self._held, ""
        return whole(rest)


def whole(text: str) -> str:
    """Return a text whose halves are joined; what has no other half is the replacement character."""
    return _CUT.sub(_joined, text)


def _joined(cut: re.Match[str]) -> str:
    pair, escaped = cut.groups()
    if pair:
        return str(pair).encode("utf-16", "surrogatepass").decode("utf-16")
    return str(escaped).encode("utf-8", "surrogateescape").decode("utf-8", "replace") if escaped else "\ufffd"


def _half(text: str) -> int:
    """Length of the end of `text` that may be the first half of a character."""
    if "\ud800" <= text[-1:] <= "\udbff":
        return 1
    tail = _TAIL.search(text)
    if tail is None:
        return 0
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    decoder.decode(tail[0].encode("utf-8", "surrogateescape"))
    return len(decoder.getstate()[0])


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
