from __future__ import annotations

import os
import shutil
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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


def test_installed_packages_are_named_once(make: Make, git: Do) -> None:
    files = {"a.py": "x", "vendor/lib.py": "x", "web/node_modules/x/i.js": "x", "web/node_modules/y/i.js": "x"}
    root = make({**files, "inner/node_modules/z.js": "x", "inner/b.py": "x", "__pycache__/a.pyc": "x"})
    expected = [("inner/node_modules/", "folder of installed packages")]
    expected += [("web/node_modules/", "folder of installed packages")]
    assert [tuple(s) for s in scan(root).skipped] == expected
    git(root / "inner", "init", "-q")
    git(root, "init", "-q")
    assert [tuple(s) for s in scan(root).skipped] == expected
    assert names(root) == {"a.py", "vendor/lib.py", "inner/b.py"}


def test_huge_data_files_are_named_and_not_read(make: Make, opened: Callable[..., Index]) -> None:
    root = make({"a.py": "x = 1\n"})
    for name in ("table.csv", "points.txt", "weights", "model.safetensors"):
        with (root / name).open("wb") as file:
            file.truncate(200_000_000)
    tracemalloc.start()
    report = opened(root).refresh()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.files == 1
    assert {s.path for s in report.skipped} == {"table.csv", "points.txt", "weights", "model.safetensors"}
    assert most < 50_000_000


def test_links_in_a_circle_end(make: Make, git: Do) -> None:
    root = make({"a/x.py": "x", "b/y.py": "x"})
    (root / "a/to_b").symlink_to("../b")
    (root / "b/to_a").symlink_to("../a")
    (root / "own").symlink_to("own")
    for _ in range(2):
        assert names(root) == {"a/x.py", "b/y.py"}
        assert {s.path for s in scan(root).skipped} == {"a/to_b", "b/to_a", "own"}
        git(root, "init", "-q")
        git(root, "add", "-A")


def test_generated_files_are_read_or_named(make: Make, opened: Callable[..., Index]) -> None:
    root = make(
        {
            "package-lock.json": '{\n "lockfileVersion": 3\n}\n',
            "yarn.lock": "x:\n" * 100_000,
            "app.min.js": "function a(){return 1}\n",
            "app.js.map": '{"version":3,"mappings":"' + "AAAA;" * 10_000 + '"}',
        }
    )
    index = opened(root)
    skipped = {s.path: s.reason for s in index.refresh().skipped}
    assert skipped.keys() == {"yarn.lock", "app.js.map"}
    assert index.sql("select path from symbols")["path"].tolist() == ["app.min.js"]


def test_other_encodings_are_indexed(make: Make, opened: Callable[..., Index]) -> None:
    text = "def stra\xdfe():\n    return 'Gr\xf6\xdfe'\n"
    root = make({f"{e}.py": text.encode(e) for e in ("latin-1", "utf-16", "utf-16-le", "utf-8-sig")})
    found = opened(root).sql("select distinct symbol from symbols")
    assert found["symbol"].tolist() == ["stra\xdfe"]


def test_odd_names_come_through(make: Make, git: Do, opened: Callable[..., Index]) -> None:
    odd = [
        "with space.py",
        "line\nbreak.py",
        "\U0001f642/na\xefve.py",
        "quote'\".py",
        "-dash.py",
        "tab\t.py",
        "#x.py",
    ]
    root = make(dict.fromkeys(odd, "def odd_one():\n    pass\n"))
    for _ in range(2):
        index = opened(root)
        assert sorted(index.rank("odd_one").files()["path"]) == sorted(odd)
        assert sorted(index.sql("select path from symbols")["path"]) == sorted(odd)
        git(root, "init", "-q")


@pytest.fixture
def nobody() -> Iterator[None]:
    """Be a user to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_read_is_named(request: pytest.FixtureRequest, opened: Callable[..., Index]) -> None:
    top = Path(tempfile.mkdtemp())
    try:
        root = top / "work"
        (root / "closed").mkdir(parents=True)
        (root / "closed/a.py").write_text("x = 1\n")
        (root / "locked.py").write_text("x = 1\n")
        (root / "open.py").write_text("x = 1\n")
        (top / "data").mkdir()
        for path, mode in ((top, 0o755), (top / "data", 0o777), (root / "closed", 0), (root / "locked.py", 0)):
            path.chmod(mode)
        request.getfixturevalue("nobody")
        report = opened(root, top / "data").refresh()
        assert report.files == 1
        assert [tuple(s) for s in report.skipped] == [
            ("closed/", "folder cannot be read: Permission denied"),
            ("locked.py", "cannot be read: Permission denied"),
        ]
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        (root / "closed").chmod(0o755)
        shutil.rmtree(top)
