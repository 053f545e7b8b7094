"""Secrets: keys, tokens and passwords in texts are masked before anything keeps or shows the text.

Three things tell a secret: the mark of the service that gave it out (`secret_patterns`), the name that it is
assigned to (`HINTS`), and its place (a header, an address, between the lines of a key). A token is
long and looks like noise, so only the surroundings of long runs of token characters are searched for marks at
all. Every pattern reads a bounded piece of text from where it begins: the time grows with the text's length.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterator

from loom_jupyter.secret_patterns import rules_for

# Secrets that are told by the name that they are assigned to: ``password = "…"``, ``SECRET_KEY=…``, ``token: …``.
#
# Source code is full of such names, and masking code harms whoever works on it. So the name must end in what it
# says (``token``, not ``tokenizer``), what is assigned must be a literal, and it must not look like a word, a
# name, a path, a template or a placeholder. Where there are no quotes it must look like noise.

# What is looked for, in lower case: few words, for each is looked for in all text. Where a word is common, only
# with one of these before it, or after it.
HINTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pass": (("_", "-", "db", "user", "store"), ("w", "code", "phrase", "=", ":", '"', "'", " =", " :")),
    "pw": (("",), ()),
    "credential": (("",), ()),
    "secret": (("",), ()),
    "token": (("",), ()),
    "key": (
        (
            *("_", "-", "api", "access", "account", "auth", "encryption", "signing", "private", "secret"),
            *("master", "license", "shared"),
        ),
        (),
    ),
    "auth": (("_",), ('"', "'")),
}
PASSWORD = (
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "passcode",
    "pwd",
    "_pass",
    "-pass",
    "dbpass",
    "userpass",
    "storepass",
    "_pw",
    "_psk",
)
SECRET = (
    *(
        "secret",
        "token",
        "apikey",
        "api_key",
        "secretkey",
        "secret_key",
        "secret_key_base",
        "accesskey",
        "access_key",
    ),
    *(
        "accountkey",
        "account_key",
        "authkey",
        "auth_key",
        "encryption_key",
        "encryptionkey",
        "signing_key",
        "signingkey",
    ),
    *("private_key", "privatekey", "master_key", "app_key", "appkey", "admin_key", "hmac_key", "fernet_key"),
    *("subscription_key", "preshared_key", "presharedkey", "license_key", "secret_salt"),
    *("credential", "credentials"),
)
_NAME = re.compile(r"[\w-]{1,80}+")
_BEFORE = 60
# From the end of the name: what may follow it, then a literal in quotes, or one without.
_GIVEN = re.compile(
    r"""(?P<close>\\?["'`])?\]?[ \t]{0,20}+
        (?P<sign>[,{]?[ \t]{0,9}+(?:\r?\n[ \t]{0,40}+)?["']?(?:[Vv]alue|default)["']?[ \t]{0,9}+[:=]
                |:=|=>|<-|[=!]=|=|:[ \t]{0,3}+[A-Za-z_.\[\]|,&'? ]{1,40}?=(?!=)|:|>|,|\(
                |(?<=[ \t])(?=["']?[^\s=:,>]))
        [ \t]{0,20}+
        (?:(?:Secret(?:Str|Bytes)?|Field|Some|String::from|str|bytes)\((?:default=)?)?
        (?:[A-Za-z@$]{1,2}(?=["']))?
        (?:(?P<quote>\\?["'`]|\"{3}|'{3})(?P<value>(?:(?!(?P=quote))[^\n]){4,300}+)(?P=quote)
          |(?P<bare>[^\s"'`\\,;&(){}\[\]<>]{6,300}+)(?=$|[ \t]*$|[ \t]+[#;]|["'`\\;&<,]|[ \t]+-|[ \t]+\S))
    """,
    re.X | re.M,
)
_PLACEHOLDER = re.compile(
    r"""(?ix) .*(?:change[-_ ]?me|placeholder|example|your|xxx|\*\*\*|\.\.\.|…|redacted|masked|dummy|insert|replace
                 |todo|fake|sample|not[-_ ]?a?[-_ ]?real|<[^<>]*>|</|\{|\}|%\(|%s|\$\().*
      | \$\w*|\$.*[A-Z_]{3,}.*|%\w+%
      | (?:(?:my|the|a|an|test|new|old|user|admin|default|db|root|some|any|super|top|secret|bad|wrong|good|invalid
             |valid|client|access|refresh|auth|api|next|session|csrf|id|bot|hash|hashed|plain|confirm|current
             |database)[-_.]?)*
        (?:password|passwd|passwort|pwd|pass|secret|token|key|passphrase|user|username|name|id|auth)?s?\d{0,4}
      | none|null|nil|true|false|undefined|str|string|text|bytes|hidden|required|optional|missing|empty|unset
      | unknown|test(?:ing)?|foo(?:bar)?|bar|baz|qux|basic|bearer|digest|plain(?:text)?|md5|sha-?\d+|bcrypt
      | argon2\w*|scrypt|object|number|integer|boolean|varchar|char|field|value|keyring|prompt
      | password\w*|token\w*|secret\w{0,12}
    """,
)
_WORDS = re.compile(r"[A-Za-z]+(?:[._/:\- ]+[A-Za-z]+)*[._/:-]?")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.]*")
_MIXED = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_SPECIAL = re.compile(r"[^\w.\-/:,\s]")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_ENVIRONMENT = re.compile(r"[A-Z][A-Z0-9_]*")
_CURL = re.compile(r"\bcurl\b[^\n]{0,500}+")
_USER = re.compile(
    r"(?<!\S)(?:--user|--proxy-user|-u|-U)[ =]{0,4}+[\"']?"
    r"(?:[\w.@+-]{1,80}+:([^\s\"'$<{]{5,100}+)|([a-f0-9]{32}):)"
)
# A name and a password, side by side.
_PAIR = re.compile(
    r"""(?:auth[ \t]{0,3}+=[ \t]{0,3}+\(|BasicAuth\(|DigestAuth\(|\.login\()[ \t]{0,9}+["'][^"'\n]{1,80}+["']
        [ \t]{0,3}+,[ \t]{0,3}+["']([^"'\n]{4,100}+)["']""",
    re.X,
)
_SECOND = re.compile(r"""[ \t]{0,3}+=[ \t]{0,3}+["'][^"'\n]{1,80}+["'],[ \t]{0,3}+["']([^"'\n]{4,100}+)["']""")
# Commands that are given a password behind one letter.
_COMMAND = re.compile(
    r"\b(?:sshpass|docker login|az login|mysql(?:dump|admin)?|mariadb)\b[^\n]{0,200}?[ \t]"
    r"(?:(?<=[ \t])-p[ \t]?[\"']?)([^\s\"'$<{-][^\s\"'$<{]{3,100}+)"
)
_SPACED = re.compile(r"(?:ENV|ARG|setx|%env|%set_env|set -g?x|export|\#define)[ \t]{0,9}+")


def assigned(text: str, low: str) -> Iterator[tuple[int, int]]:  # noqa: C901
    """Yield where literals stand that a name calls a secret; `low` is the text in `lower` case."""
    done: set[int] = set()
    seen: set[str] = set()
    for hint, (before, after) in HINTS.items():
        at = low.find(hint)
        if at >= 0:
            seen.add(hint)
        while at >= 0:
            if not (low.endswith(before, 0, at) or low.startswith(after, at + len(hint))):
                at = low.find(hint, at + len(hint))
                continue
            start, end = _name(text, at)
            if end not in done:
                done.add(end)
                yield from _given(text, start, end)
            at = low.find(hint, max(end, at + len(hint)))
    if "curl" in low:
        for line in _CURL.finditer(text):
            for user in _USER.finditer(text, *line.span()):
                if not is_placeholder(user[1] or user[2]):
                    yield user.span(1 if user[1] else 2)
    beside = [_PAIR] if "auth" in seen or "login(" in low else []
    for pattern in [*beside, _COMMAND] if " -p" in low else beside:
        yield from (m.span(1) for m in pattern.finditer(text) if not is_placeholder(m[1]) and _is_password(m[1]))


def lower(text: str) -> str:
    """Return a text in lower case, letter for letter; what is not ASCII is replaced."""
    return (text if text.isascii() else text.encode("ascii", "replace").decode("ascii")).lower()


def is_placeholder(value: str) -> bool:
    """Whether a value stands for a secret instead of being one: ``changeme``, ``<your key>``, ``${TOKEN}``."""
    return _PLACEHOLDER.fullmatch(value) is not None


def _name(text: str, at: int) -> tuple[int, int]:
    """Return where the name begins and ends that this place is part of."""
    start = at
    while start > 0 and at - start < _BEFORE and (text[start - 1].isalnum() or text[start - 1] in "_-"):
        start -= 1
    found = _NAME.match(text, start)
    return start, found.end() if found else at


def _given(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:  # noqa: C901
    name = text[start:end].lower().strip("-").rstrip("_0123456789")
    underlined = name.replace("-", "_")
    password = name in ("pass", "password", "pw", "psk") or name.endswith(PASSWORD)
    if (
        not (password or underlined.endswith(SECRET) or name == "auth" or name.endswith("_auth"))
        or "public" in name
    ):
        return
    if text.endswith("::", 0, start):  # a type: AWS::IAM::AccessKey
        return
    second = _SECOND.match(text, end) if password and text.endswith(", ", 0, start) else None
    if second and _is_password(second[1]) and not is_placeholder(second[1]):
        yield second.span(1)
    found = _GIVEN.match(text, end)
    if found is None:
        return
    quoted, sign = found["value"] is not None, found["sign"]
    value = found["value"] if quoted else found["bare"]
    line = text[text.rfind("\n", max(0, start - 60), start) + 1 : start].strip()
    flag = text.startswith("-", start) or text.endswith("-", 0, start)
    spaced = (
        not sign and _SPACED.fullmatch(line) is not None and _ENVIRONMENT.fullmatch(text[start:end]) is not None
    )
    spoken = not sign and password and (quoted or " login " in f" {line} ")
    if not sign and not flag and not spaced and not spoken:
        return
    if sign == "," and not (quoted and found["close"]):
        return
    if sign == "(" and not (quoted and password and name.startswith(("set", "with"))):
        return
    if is_placeholder(value) or not value.strip():
        return
    environment = (
        not quoted
        and sign == "="
        and line in ("", "export", "set", "ENV", "-e", "env")
        and _ENVIRONMENT.fullmatch(text[start:end]) is not None
        and _DOTTED.fullmatch(value) is None
    )
    if spaced or spoken:
        secret = _is_password(value) if password else _is_secret(value) or _is_noise(value)
    elif (sign[-1:] in ":=" and sign[:-1].strip(",{ \t\r\n\"'") in ("value", "Value", "default")) or (
        quoted and sign != ","
    ):
        secret = _is_password(value) if password else _is_secret(value)
    elif environment:
        secret = _is_password(value) if password else _is_secret(value) or _is_noise(value)
    else:
        secret = _is_noise(value)
    if secret:
        yield found.span("value" if quoted else "bare")


def _is_password(value: str) -> bool:
    """Whether a literal can be a password: not prose, no path and no name of something."""
    if any(c.isspace() for c in value) or value.startswith(("/", "./", "~/", "@")) or "://" in value:
        return False
    if _SPECIAL.search(value):
        return True
    if any(c.isdigit() for c in value):
        return any(c.isalpha() for c in value) or len(value) >= 6
    return value.isalpha() and value.islower() and len(value) >= 6


def _is_secret(value: str) -> bool:
    """Whether a literal is no word, name, path or version, but long and irregular."""
    if len(value) < 8 or any(c.isspace() for c in value) or value.startswith(("/", "./", "~/")) or "://" in value:
        return False
    if _WORDS.fullmatch(value):
        return len(value) >= 20 and len(re.findall(r"[A-Z][a-z]?(?=[A-Z])|[a-z][A-Z](?=[a-z][A-Z])", value)) >= 3
    mixed = len(_MIXED.findall(value))
    return (
        mixed >= 3 or (mixed >= 1 and len(value) >= 12) or (len(value) >= 12 and len(_SPECIAL.findall(value)) >= 2)
    )


def _is_noise(value: str) -> bool:
    """Whether text without quotes is a secret rather than code: no name of a variable looks like it."""
    if not _is_secret(value) and not (len(value) >= 8 and _SPECIAL.search(value) and any(map(str.isdigit, value))):
        return False
    if "=" in value.rstrip("=") or value.startswith(("$", "*", "&", "!", "-", "|")) or value.endswith((":", "*")):
        return False
    return not _IDENTIFIER.fullmatch(value) or len(_MIXED.findall(value)) >= 3


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
