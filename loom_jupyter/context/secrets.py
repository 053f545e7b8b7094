"""Secrets: keys and tokens in texts are masked before anything keeps or shows the text.

A token is long and looks like noise. So only the surroundings of long runs of token characters with digits or many
capitals are searched for the patterns at all: one file in a few has any, and finding them costs next to nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from loom_jupyter.context.secret_rules import rules

MASK = "<***>"
KEY_FILE = "holds a private key"
LONG = 20
AROUND = 120
CAPITALS = 12
HUMPS = re.compile(rb"[A-Z][a-z]?(?=[A-Z])")
FEW_HUMPS = 3
TOKEN_BYTES = bytes(97 if (chr(b).isalnum() and b < 128) or b in b"_-+/=" else 32 for b in range(256))
DIGITS, UPPER = bytes(range(48, 58)), bytes(range(65, 91))
RUN = re.compile(r"[A-Za-z0-9_+/.-]{16,}={0,3}")
TAIL = re.compile(r"[A-Za-z0-9_+/=.-]*")
# A password in an address; not a template's, and not a word of an example.
ADDRESS = re.compile(r"://[^\s/:@\"'<>{}$%]*:((?=[^@]*\d)[^\s/:@\"'<>{}$%]{8,})@")
KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
    r"(?P<body>[A-Za-z0-9+/=\s\"'\\,:.()#*-]*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|(?=\n\s*\n)|\Z)"
    r"|PuTTY-User-Key-File-\d(?P<putty>.*)",
    re.DOTALL,
)
KEY_BODY = re.compile(r"[A-Za-z0-9+/=]{40}")


def private_key_file(text: str) -> bool:
    """Whether the whole file is a private key."""
    if "PRIVATE KEY" not in text and "PuTTY-User-Key-File" not in text:
        return False
    start = text.lstrip("\ufeff \t\r\n")
    return start.startswith(("-----BEGIN ", "PuTTY-User-Key-File")) and bool(_keys(text))


def masked(text: str) -> str:
    """Return `text` with a mask in place of every key and token; lines stay lines."""
    spans = _keys(text)
    if "://" in text and "@" in text:
        spans += [m.span(1) for m in ADDRESS.finditer(text)]
    spans += _tokens(text)
    if not spans:
        return text
    out: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if end > done:
            out += [text[done : max(start, done)], _mask(text[max(start, done) : end])]
            done = end
    return "".join([*out, text[done:]])


def _mask(text: str) -> str:
    return "\n".join(MASK if line.strip() else line for line in text.split("\n"))


def _keys(text: str) -> list[tuple[int, int]]:
    """Find private keys, with more than their first line."""
    if "PRIVATE KEY" not in text and "PuTTY-User-Key-File" not in text:
        return []
    found = KEY.finditer(text)
    return [m.span() for m in found if KEY_BODY.search(m["body"] or m["putty"] or "")]


def _tokens(text: str) -> list[tuple[int, int]]:
    """Find what matches a pattern, in the surroundings of long runs only."""
    plain = text if text.isascii() else text.encode("ascii", "replace").decode("ascii")
    windows = list(_windows(plain))
    if not windows:
        return []
    near = "\n".join(plain[start:end] for start, end in windows)
    starts = [0]
    for start, end in windows:
        starts.append(starts[-1] + end - start + 1)
    spans: list[tuple[int, int]] = []
    for rule in rules():
        for match in rule.finditer(near):
            place = bisect_right(starts, match.start()) - 1
            shift = windows[place][0] - starts[place]
            spans += _token(plain, match.start() + shift, match.end() + shift)
    return spans


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """Yield the parts of lines around long runs that may be tokens, each part once."""
    data = text.encode("ascii")
    runs = data.translate(TOKEN_BYTES)
    need = b"a" * LONG
    first = last = -1
    at = runs.find(need)
    while at >= 0:
        end = runs.find(b" ", at)
        end = len(runs) if end < 0 else end
        if _noisy(data[at:end]):
            start = max(data.rfind(b"\n", max(0, at - AROUND), at) + 1, at - AROUND, 0)
            stop = data.find(b"\n", end, end + AROUND)
            stop = min(end + AROUND, len(data)) if stop < 0 else stop
            if start > last:
                if last >= 0:
                    yield first, last
                first = start
            last = max(last, stop)
        at = runs.find(need, end)
    if last >= 0:
        yield first, last


def _noisy(run: bytes) -> bool:
    """Whether there is a digit among letters, or many or irregular capitals: no ruler, no plain name."""
    letters = run.translate(None, DIGITS)
    mixed = len(letters) < len(run) and letters.strip(b"_-+/=") != b""
    return mixed or len(run) - len(run.translate(None, UPPER)) >= CAPITALS or len(HUMPS.findall(run)) >= FEW_HUMPS


def _token(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return what of a match is the token itself, to its end."""
    tail = TAIL.match(text, end)
    end = tail.end() if tail else end
    runs = [m.span() for m in RUN.finditer(text, start, end) if _noisy(m.group().encode())]
    return runs or [(start, end)]
