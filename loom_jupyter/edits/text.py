"""Text that turns back into the very same bytes: encoding, byte-order mark, line ends, final newline."""

from __future__ import annotations

import codecs
import io
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from loom_jupyter.edits.errors import EditError, NotTextError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


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
    """Decode a file so that encoding the text again gives the same bytes.

    Tried in order: byte-order mark, Python's coding cookie, UTF-8, Windows-1252, Latin-1.

    Raises
    ------
    NotTextError
        The bytes are binary, or no codec gives them back unchanged.
    """
    for encoding in _candidates(path, data):
        try:
            text = data[len(encoding.mark) :].decode(encoding.codec)
            if encoding.mark + text.encode(encoding.codec) == data:
                return text, encoding
        except (UnicodeError, LookupError):
            continue
    raise NotTextError(f"{path} is not text in a known encoding; convert it to UTF-8, or leave it out.")


def _candidates(path: str, data: bytes) -> Iterator[Encoding]:
    for mark, codec in _MARKS:
        if data.startswith(mark):
            yield Encoding(codec, mark)
            return
    if b"\0" in data:
        return
    if path.endswith((".py", ".pyi", ".pyw")):
        try:
            yield Encoding(tokenize.detect_encoding(io.BytesIO(data).readline)[0])
        except SyntaxError as error:
            raise NotTextError(f"{path}: {error.msg}; mend its coding line.") from error
    yield from (Encoding("utf-8"), Encoding("cp1252"), Encoding("latin-1"))


def split_lines(text: str) -> list[str]:
    r"""Split after ``\n`` (which ends ``\r\n`` too), or after ``\r`` where a file knows no ``\n``; ends are kept.

    Other characters that :meth:`str.splitlines` takes for line ends, such as a form feed, stay inside a line,
    as they do for parsers and editors.
    """
    end = "\n" if "\n" in text or "\r" not in text else "\r"
    *lines, rest = text.split(end)
    return [line + end for line in lines] + ([rest] if rest else [])


def bare(line: str) -> str:
    """Return a line without its end."""
    return line.removesuffix("\n").removesuffix("\r")


def replace_lines(path: str, text: str, edits: Sequence[tuple[int, int, str]]) -> str:
    r"""Replace line ranges; every other line stays as it is.

    Parameters
    ----------
    edits
        ``(start, end, new text)``, lines 1-based and both included, in any order, not overlapping.
        ``end = start - 1`` inserts before `start`. ``(0, 0, …)`` fills an empty text.

    Notes
    -----
    New lines take the line end that prevails in the range, else in the file. Lines of the range that the new
    text repeats keep their own. A text without a final newline stays without one.
    """
    lines = split_lines(text)
    prevailing = _line_end(lines)
    floor = len(lines) + 1
    for start, end, new in sorted(edits, key=lambda edit: (edit[0], edit[1]), reverse=True):
        if not lines and start <= 1 and end <= 1:
            start, end = 1, 0
        if not 1 <= start <= end + 1 <= len(lines) + 1:
            raise EditError(
                f"{path} has {len(lines)} lines, so lines {start}-{end} cannot be replaced; run again."
            )
        if max(start, end + 1) > floor:
            raise EditError(f"{path}: two rewrites overlap at line {end}; ask for one of them at a time.")
        floor = start
        _splice(lines, start - 1, end, new, prevailing)
    return "".join(lines)


def _splice(lines: list[str], first: int, last: int, new: str, prevailing: str) -> None:
    old = lines[first:last]
    at_end = last == len(lines)
    open_end = at_end and bool(lines) and bare(lines[-1]) == lines[-1]
    ending = _line_end(old, prevailing)
    fresh = [closed(line, ending) for line in _merge(old, _bare_lines(new), ending)]
    if open_end and fresh:
        if first == last:
            lines[-1] = closed(lines[-1], ending)
        fresh[-1] = bare(fresh[-1])
    lines[first:last] = fresh


def _bare_lines(new: str) -> list[str]:
    if not new:
        return []
    return new.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _merge(old: list[str], new: list[str], ending: str) -> list[str]:
    """Take over old lines, ends included, wherever the new text repeats them."""
    merged = [line + ending for line in new]
    matcher = SequenceMatcher(None, [bare(line) for line in old], new, autojunk=False)
    for a, b, size in matcher.get_matching_blocks():
        merged[b : b + size] = old[a : a + size]
    return merged


def closed(line: str, ending: str) -> str:
    """Return a line that has an end: its own, else `ending`."""
    return line + ending if bare(line) == line else line


def _line_end(lines: Sequence[str], default: str = "\n") -> str:
    ends = Counter(line[len(bare(line)) :] for line in lines)
    del ends[""]
    return ends.most_common(1)[0][0] if ends else default
