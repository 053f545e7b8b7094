"""Secrets: keys, tokens and passwords in texts are masked before anything keeps or shows the text.

Three things tell a secret: the mark of the service that gave it out (`secret_rules`), the name that it is
assigned to (`assigned_secrets`), and its place (a header, an address, between the lines of a key). A token is
long and looks like noise, so only the surroundings of long runs of token characters are searched for marks at
all. Every pattern reads a bounded piece of text from where it begins: the time grows with the text's length.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterator

from loom_jupyter.context.assigned_secrets import assigned, is_placeholder, lower
from loom_jupyter.context.secret_rules import rules_for

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
# Who is asked for what in an address: a name may be empty, a template's is left.
ADDRESS = re.compile(r"://([^\s/:@\"'<>{}$%]{0,100}+)(?::([^\s/:\"'<>{}]{3,200}))?@")
HEX_KEY = re.compile(r"[a-f0-9]{32,}")
HEADERS = ("bearer", "basic", "authorization")
HEADER = re.compile(
    r"(?:bearer|(basic)|authorization[\"']?[ \t]{0,9}+[:=][ \t]{0,9}+[\"']?"
    r"(?!bearer|basic)[a-z-]{2,20}+)[ \t]{1,9}+([\w.~+/-]{8,2000}={0,2})",
    re.I | re.ASCII,
)
VAULT = re.compile(
    r"\$ANSIBLE_VAULT;[0-9.]{3,5};AES\d{0,3}[^\n]{0,80}\n((?:[ \t]*[a-f0-9]{20,100}[ \t]*(?:\n|\Z))+)"
)
BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")
END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
BODY = re.compile(r"[A-Za-z0-9+/=\s\"'\\,:.()#*-]*+")
PARAGRAPH = re.compile(r"\n[ \t\r]*+\n")
KEY_BODY = re.compile(r"[A-Za-z0-9+/=]{40}")


def private_key_file(text: str) -> bool:
    """Whether the whole file is a private key."""
    if "PRIVATE KEY" not in text and "PuTTY-User-Key-File" not in text:
        return False
    start = text.lstrip("\ufeff \t\r\n")
    return start.startswith(("-----BEGIN ", "PuTTY-User-Key-File")) and bool(_keys(text))


def masked(text: str) -> str:
    """Return `text` with a mask in place of every key, token and password; lines stay lines."""
    low = lower(text)
    spans = [*_keys(text), *_places(text, low), *_tokens(text), *assigned(text, low)]
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
    """Find private keys, with more than their first line: up to their end, a blank line, or what is no key."""
    if "PRIVATE KEY" not in text and "PuTTY-User-Key-File" not in text:
        return []
    found: list[tuple[int, int]] = []
    done = 0
    for begin in BEGIN.finditer(text):
        if begin.start() < done:
            continue
        putty = begin[0].startswith("PuTTY")
        body = BODY.match(text, begin.end())
        stop = len(text) if putty or body is None else body.end()
        closed = END.search(text, begin.end(), min(len(text), stop + 80))
        blank = None if putty else PARAGRAPH.search(text, begin.end(), stop)
        done = min([stop, *(m.end() for m in (closed,) if m), *(m.start() for m in (blank,) if m)])
        if KEY_BODY.search(text, begin.end(), done):
            found.append((begin.start(), done))
    return found


def _places(text: str, low: str) -> Iterator[tuple[int, int]]:
    """Find what its place tells: passwords in addresses, headers, encrypted files."""
    if "://" in text and "@" in text:
        for who in ADDRESS.finditer(text):
            if who[2] and not is_placeholder(who[2]):
                yield who.span(2)
            elif not who[2] and HEX_KEY.fullmatch(who[1]):
                yield who.span(1)
    for name in HEADERS:
        at = low.find(name)
        while at >= 0:
            header = HEADER.match(text, at)
            if header and (
                _basic(header[2]) if header[1] else len(header[2]) >= 16 and _noisy(header[2].encode())
            ):
                yield header.span(2)
            at = low.find(name, header.end() if header else at + len(name))
    if "$ANSIBLE_VAULT;" in text:
        yield from (vault.span(1) for vault in VAULT.finditer(text))


def _basic(value: str) -> bool:
    """Whether a value is a name and a password, as HTTP's basic authentication encodes them."""
    try:
        plain = base64.b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in plain and plain.isprintable()


def _tokens(text: str) -> list[tuple[int, int]]:
    """Find what matches a rule, in the surroundings of long runs only."""
    plain = text if text.isascii() else text.encode("ascii", "replace").decode("ascii")
    windows = list(_windows(plain))
    if not windows:
        return []
    near = "\n".join(plain[start:end] for start, end in windows)
    starts = [0]
    for start, end in windows:
        starts.append(starts[-1] + end - start + 1)
    spans: list[tuple[int, int]] = []
    for rule in rules_for(near):
        done = 0
        for match in rule.finditer(near):
            place = bisect_right(starts, match.start()) - 1
            shift = windows[place][0] - starts[place]
            if match.end() + shift > done:
                done = _end(plain, match.end() + shift)
                spans += _runs(plain, match.start() + shift, done)
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
    if len(letters) == len(run) and run.islower():  # most long runs are names in lower case
        return False
    mixed = len(letters) < len(run) and letters.strip(b"_-+/=") != b""
    return mixed or len(run) - len(run.translate(None, UPPER)) >= CAPITALS or len(HUMPS.findall(run)) >= FEW_HUMPS


def _end(text: str, end: int) -> int:
    """Return where a token really ends."""
    tail = TAIL.match(text, end)
    return tail.end() if tail else end


def _runs(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return what of a match is the token itself."""
    runs = [m.span() for m in RUN.finditer(text, start, end) if _noisy(m.group().encode())]
    return runs or [(start, end)]
