from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loom_jupyter.context.extract import extract
from loom_jupyter.context.index import Index
from loom_jupyter.secrets import MASK, masked, private_key_file

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
B64 = ALNUM + "+/"
URL = ALNUM + "-_"
# Prefix, alphabet, length: put together at run time, so that nothing here is a token.
KINDS = {
    "aws": ("AK" + "IA", string.ascii_uppercase + "234567", 16),
    "github": ("gh" + "p_", ALNUM, 36),
    "github fine": ("github" + "_pat_", ALNUM, 60),
    "gitlab": ("glp" + "at-", ALNUM, 20),
    "slack": ("xo" + "xb-123456789012-1234567890123-", ALNUM.lower(), 24),
    "stripe": ("sk_" + "live_", ALNUM, 24),
    "openai": ("sk-" + "proj-", URL, 60),
    "anthropic": ("sk-" + "ant-", URL, 90),
    "google": ("AI" + "za", URL, 35),
    "hugging face": ("h" + "f_", ALNUM, 34),
    "npm": ("np" + "m_", ALNUM, 36),
    "pypi": ("py" + "pi-AgEIcHlwaS5vcmc", URL, 120),
    "sendgrid": ("S" + "G.abcdefghij1234567890AB.", ALNUM, 43),
    "azure": ("Account" + "Key=", B64, 86),
    "jwt": ("ey" + "JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", ALNUM, 40),
}


def token(kind: str, seed: int = 1) -> str:
    start, alphabet, length = KINDS[kind]
    rnd = random.Random(seed)
    made = start + "".join(rnd.choice(alphabet) for _ in range(length))
    return made + {"azure": "==", "jwt": ".Ab1" + "".join(rnd.choice(ALNUM) for _ in range(40))}.get(kind, "")


def secret_of(made: str) -> str:
    """Return the end of a token, which must not be seen anywhere."""
    return made[-16:]


def pem(kind: str = "RSA ") -> str:
    rnd = random.Random(3)
    body = "\n".join("".join(rnd.choice(B64) for _ in range(64)) for _ in range(6))
    return f"-----BEGIN {kind}PRIV" + f"ATE KEY-----\n{body}\n-----END {kind}PRIV" + "ATE KEY-----\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_tokens_are_masked_and_lines_stay(kind: str, seed: int) -> None:
    made = token(kind, seed)
    for text in (
        f'KEY = "{made}"\nx = 1\n',
        f"key: {made}\nmore: 1\n",
        f"export KEY={made}\n",
        made,
        f"é {made} ü",
    ):
        out = masked(text)
        assert secret_of(made) not in out
        assert MASK in out
        assert out.count("\n") == text.count("\n")
    out = masked(f'KEY = "{made}"\nx = 1\n')
    assert out.startswith("KEY = ")
    assert out.endswith("x = 1\n")
    assert masked(out) == out


@settings(max_examples=200, deadline=None)
@example("", "stripe", "", 735)  # no digit and few capitals
@given(st.text(), st.sampled_from(sorted(KINDS)), st.text(), st.integers(0, 10**6))
def test_a_token_is_found_anywhere(before: str, kind: str, after: str, seed: int) -> None:
    made = token(kind, seed)
    text = f"{before} {made} {after}"
    assert secret_of(made) not in masked(text)
    assert masked(text).count("\n") == text.count("\n")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("abcdefXYZ_-=/+. \n\"'(){}:#,"))))
def test_text_without_digits_and_capitals_in_a_row_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "class VeryLongNameOfAnHttpClientFactory2: pass\n",
        "d41d8cd98f00b204e9800998ecf8427e  empty.txt\n",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
        "=" * 79 + "\n" + "-" * 79 + "\n",
        'url = f"postgres://{user}:{password}@{host}/db"\n',
        'if "BEGIN RSA PRIVATE KEY" in text:\n    raise ValueError("-----BEGIN PRIV" "ATE KEY-----")\n',
        "https://example.org/some/long/path-with-2-digits/and_more/1234567890/abcdefghij\n",
        "550e8400-e29b-41d4-a716-446655440000\n",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_private_keys_in_source_are_masked_line_by_line() -> None:
    text = f'KEY = """{pem()}"""\nafter = 1\n'
    out = masked(text)
    assert pem().splitlines()[2] not in out
    assert out.count("\n") == text.count("\n")
    assert out.endswith("after = 1\n")
    one_line = 'KEY = "' + pem("").replace("\n", "\\n") + '"\nafter = 1\n'
    assert pem("").splitlines()[2] not in masked(one_line)
    torn = f"log: {pem('EC ')[:300]}"
    assert pem("EC ").splitlines()[2] not in masked(torn)


def test_passwords_in_addresses() -> None:
    made = "s3cr" + "et99word"
    assert made not in masked(f"DB = 'postgres://me:{made}@db.example.org/x'\n")


def test_key_files_are_told() -> None:
    assert private_key_file(pem("OPENSSH "))
    assert private_key_file("\n" + pem(""))
    assert not private_key_file(f"# how to\n{pem()}")
    assert extract("deploy", pem().encode()).reason == "holds a private key"


def test_index_map_and_commits_hold_no_secret(
    make: Callable[..., Path], git: Callable[..., None], opened: Callable[..., Index], tmp_path: Path
) -> None:
    made = {kind: token(kind, 7) for kind in KINDS}
    source = "".join(f"def connect_{n}():\n    return open('{m}')\n\n\n" for n, m in enumerate(made.values()))
    cell = '{"id": "a", "cell_type": "code", "source": "TOKEN = \'%s\'"}'
    root = make(
        {
            "connect.py": source,
            "settings.yaml": "".join(f"k{n}: {m}\n" for n, m in enumerate(made.values())),
            "notes.md": "".join(f"# Token {m}\n\n" for m in made.values()),
            "book.ipynb": '{"nbformat": 4, "metadata": {}, "cells": [' + cell % made["github"] + "]}",
            "deploy_key": pem(),
        }
    )
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", f"Use {made['github']}")
    index = opened(root)
    report = index.refresh()
    assert ("deploy_key", "holds a private key") in report.skipped
    for table in ("files", "symbols", "imports", "terms", "commits"):
        said = index.sql(f"select * from {table}").to_csv().lower()
        assert [k for k, m in made.items() if secret_of(m).lower() in said] == []
    data = b"".join(f.read_bytes() for f in (tmp_path / "plain-data").iterdir() if f.is_file())
    assert [k for k, m in made.items() if secret_of(m).encode() in data] == []
    ledger = index.rank("connect_1 token settings notes book")
    packed = index.map(ledger, index.offers(ledger, 8), 20_000)
    shown = packed.model_dump_json() + ledger.to_json() + repr(ledger) + ledger._repr_html_()
    assert "connect_1" in packed.render()
    assert [k for k, m in made.items() if secret_of(m) in shown] == []
