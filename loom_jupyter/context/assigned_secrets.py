"""Secrets that are told by the name that they are assigned to: ``password = "…"``, ``SECRET_KEY=…``, ``token: …``.

Source code is full of such names, and masking code harms whoever works on it. So the name must end in what it
says (``token``, not ``tokenizer``), what is assigned must be a literal, and it must not look like a word, a
name, a path, a template or a placeholder. Where there are no quotes it must look like noise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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
