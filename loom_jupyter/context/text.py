"""Bytes to text and back: one rule for what the index reads, what excerpts show and what edits write.

Tried in order: a byte order mark, UTF-16 without one, Python's coding cookie, UTF-8, Windows-1252, Latin-1. The
text turns back into the very same bytes. What the index reads has Unix line ends, and masks in place of secrets.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from loom_jupyter import secrets
from loom_jupyter.errors import NotTextError

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
PROBE = 8192
PYTHON = (".py", ".pyi", ".pyw")
# Codecs that a coding cookie may name and no editor would use; some take ages for a long text.
_ODD = frozenset({"punycode", "idna", "utf-7", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"})


class Unreadable(ValueError):  # noqa: N818 - the reason is the message
    """The bytes are not text that can be indexed; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file's bytes become text: a codec, and the byte-order mark in front."""

    codec: str = "utf-8"
    mark: bytes = b""

    def encode(self, path: str, text: str) -> bytes:
        """Return the file's bytes, or refuse if the codec cannot hold the text."""
        try:
            return self.mark + text.encode(self.codec)
        except UnicodeEncodeError as error:
            bad = text[error.start]
            raise NotTextError(
                f"{path} is encoded as {self.codec}, which cannot hold {bad!r}; convert the file to UTF-8 first."
            ) from error


def decode(path: str, data: bytes) -> tuple[str, Encoding]:
    r"""Decode a file so that encoding the text again gives the same bytes.

    Raises
    ------
    NotTextError
        The bytes are binary, or no codec gives them back unchanged.

    Examples
    --------
    >>> decode("a.txt", b"caf\xe9")
    ('café', Encoding(codec='cp1252', mark=b''))
    """
    for encoding in _candidates(path, data):
        try:
            text = data[len(encoding.mark) :].decode(encoding.codec)
            # UTF-8 is read strictly: it always turns back.
            if encoding.codec == "utf-8" or encoding.mark + text.encode(encoding.codec) == data:
                return text, encoding
        except (UnicodeError, LookupError):
            continue
    raise NotTextError(f"{path} is not text in a known encoding; convert it to UTF-8, or leave it out.")


def _candidates(path: str, data: bytes) -> Iterator[Encoding]:
    for mark, codec in MARKS:
        if data.startswith(mark):
            yield Encoding(codec, mark)
            return
    if b"\0" in data:
        yield from _wide(data[:PROBE])
        return
    if path.endswith(PYTHON):
        # A file that breaks Python's own rule is still text that can be given back as it was.
        with contextlib.suppress(SyntaxError):
            codec = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
            if codecs.lookup(codec).name.replace("_", "-") not in _ODD:
                yield Encoding(codec)
    yield from (Encoding("utf-8"), Encoding("cp1252"), Encoding("latin-1"))


def _wide(probe: bytes) -> Iterator[Encoding]:
    """Tell UTF-16 without a mark: nearly half of it is zero bytes, all of them in even or in odd places."""
    even, odd = probe[::2].count(0), probe[1::2].count(0)
    if max(even, odd) > 0.4 * len(probe[::2]) and min(even, odd) < 0.05 * len(probe[::2]):
        yield Encoding("utf-16-be" if even > odd else "utf-16-le")


def indexed(path: str, data: bytes) -> str:
    """Return what the index reads of a file: Unix line ends, and a mask in place of every secret.

    Raises
    ------
    Unreadable
        If the bytes are binary, or a private key.
    """
    try:
        text, encoding = decode(path, data)
    except NotTextError:
        raise Unreadable("binary" if b"\0" in data else "not valid text") from None
    if encoding.codec in ("cp1252", "latin-1"):
        probe = data[:PROBE]
        if sum(b < 32 and b not in (9, 10, 12, 13, 27) for b in probe) > 0.02 * len(probe):
            raise Unreadable("binary")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if secrets.private_key_file(text):
        raise Unreadable(secrets.KEY_FILE)
    return secrets.masked(text)


def minified(text: str) -> bool:
    """Whether the text is made of lines too long for people, as bundlers write them."""
    return len(text) > 20_000 and len(text) / (text.count("\n") + 1) > 400
