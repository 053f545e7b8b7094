from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from loom_jupyter.context.index import Index
from loom_jupyter.context.scan import scan

Do = Callable[..., None]
Make = Callable[[dict[str, str | bytes]], Path]


def names(root: Path) -> set[str]:
    return {f.path for f in scan(root).files}


def test_git_and_plain_walk_agree(make: Make, git: Do) -> None:
    root = make(
        {
            ".gitignore": "*.log\n/build/\n!keep.log\n",
            "a.py": "x",
            "b.log": "x",
            "keep.log": "x",
            "build/c.py": "x",
            "sub/.gitignore": "secret*\n!secret_but_not.py\n",
            "sub/secret.py": "x",
            "sub/secret_but_not.py": "x",
            "sub/deep/secret.py": "x",
            "node_modules/x/index.js": "x",
            "with space/naïve 🙂.py": "x",
            "line\nbreak.py": "x",
        }
    )
    plain = names(root)
    assert {"a.py", "keep.log", "sub/secret_but_not.py", "with space/naïve 🙂.py", "line\nbreak.py"} <= plain
    assert not any("secret.py" in n or "build" in n or "node_modules" in n or n == "b.log" for n in plain)
    git(root, "init", "-q")
    assert names(root) == plain


def test_submodules_and_nested_repositories_are_entered(make: Make, git: Do) -> None:
    root = make({"a.py": "x", "inner/b.py": "x", "inner/c.log": "x", "inner/.gitignore": "*.log"})
    git(root / "inner", "init", "-q")
    git(root / "inner", "add", "-A")
    git(root / "inner", "commit", "-q", "-m", "x")
    git(root, "init", "-q")
    assert names(root) == {"a.py", "inner/b.py", "inner/.gitignore"}
    git(root, "add", "-A")  # now a gitlink
    assert names(root) == {"a.py", "inner/b.py", "inner/.gitignore"}


def test_workspace_below_the_repository_and_an_ignored_one(make: Make, git: Do) -> None:
    root = make({".gitignore": "out/\n", "pkg/a.py": "x", "out/b.py": "x", "c.py": "x"})
    git(root, "init", "-q")
    assert names(root / "pkg") == {"a.py"}
    assert names(root / "out") == {"b.py"}


def test_what_is_left_out_is_named(make: Make, opened: Callable[..., Index]) -> None:
    root = make(
        {
            "big.csv": b"1,2\n" * 100_000,
            "photo.png": b"\x89PNG",
            "blob": b"\0\1\2" * 100,
            "bundle.js": "var a=1;" * 5000,
            "good.py": "x = 1\n",
        }
    )
    os.symlink("good.py", root / "link.py")
    os.symlink(".", root / "loop")
    os.mkfifo(root / "pipe")
    report = opened(root).refresh()
    assert report.files == 1
    reasons = {s.path: s.reason for s in report.skipped}
    assert reasons["big.csv"].startswith("too large")
    assert {reasons["photo.png"], reasons["blob"]} == {"binary"}
    assert reasons["bundle.js"] == "minified"
    assert reasons["link.py"] == reasons["loop"] == "symbolic link"
    assert reasons["pipe"] == "not a regular file"


def test_name_that_is_no_utf8_is_named(make: Make) -> None:
    root = make({"a.py": "x"})
    with open(os.fsencode(root) + b"/b\xff.py", "wb") as file:
        file.write(b"x")
    assert names(root) == {"a.py"}
    assert scan(root).skipped[0].reason == "name is not valid UTF-8"


def test_secrets_stay_out(make: Make) -> None:
    root = make(
        {n: "x" for n in (".env", ".env.local", "prod.env", "id_rsa", "tls.PEM", ".env.example", "envelope.py")}
    )
    assert names(root) == {".env.example", "envelope.py"}
    assert {s.reason for s in scan(root).skipped} == {"may hold secrets"}
