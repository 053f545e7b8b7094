"""Bytes to text: UTF-8 first, then what a byte order mark says, then Latin-1. Secrets do not come through."""

from __future__ import annotations

import codecs

from loom_jupyter import secrets

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
PROBE = 8192


class Unreadable(ValueError):  # noqa: N818 - the reason is the message
    """The bytes are no text that can be indexed; the message is the reason."""


def encoding_of(data: bytes) -> str:
    """Return the encoding that `data` can be decoded with.

    Raises
    ------
    Unreadable
        If the bytes are binary.
    """
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    probe = data[:PROBE]
    if b"\0" in probe:
        even, odd = probe[::2].count(0), probe[1::2].count(0)
        if max(even, odd) > 0.4 * len(probe[::2]) and min(even, odd) < 0.05 * len(probe[::2]):
            return "utf-16-be" if even > odd else "utf-16-le"
        raise Unreadable("binary")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        control = sum(b < 32 and b not in (9, 10, 12, 13, 27) for b in probe)
        if control > 0.02 * len(probe):
            raise Unreadable("binary") from None
        return "latin-1"
    return "utf-8"


def decode(data: bytes) -> str:
    """Return the text with Unix line ends and a mask in place of every secret.

    Raises
    ------
    Unreadable
        If the bytes are binary, or a private key.
    """
    try:
        text = data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        raise Unreadable(f"not valid {error.encoding}") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if secrets.private_key_file(text):
        raise Unreadable(secrets.KEY_FILE)
    return secrets.masked(text)


def minified(text: str) -> bool:
    """Whether the text is made of lines too long for people, as bundlers write them."""
    return len(text) > 20_000 and len(text) / (text.count("\n") + 1) > 400
