from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context.files import plain, read
from loom_jupyter.context.index import Index

Open = Callable[..., Index]
SECRET = "def outside_the_workspace():\n    return 'OUTSIDE-MARK'\n"


def list_names(root: Path, names: list[str]) -> None:
    """Write git's index so that it lists these names, whatever they are."""
    made = subprocess.run(["git", "hash-object", "-w", "README.md"], cwd=root, check=True, capture_output=True)
    sha = bytes.fromhex(made.stdout.decode())
    out = b"DIRC" + struct.pack(">II", 2, len(names))
    for name in sorted(n.encode() for n in names):
        entry = struct.pack(">10I", *(0,) * 6, 0o100644, 0, 0, 0) + sha + struct.pack(">H", len(name)) + name
        out += entry + b"\0" * (8 - len(entry) % 8)
    (root / ".git/index").write_bytes(out + hashlib.sha1(out).digest())


@pytest.fixture
def private(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir()
    (folder / "secret.py").write_text(SECRET)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "../private/secret.py", "src/../../private/secret.py", "{private}/secret.py", "link/secret.py",
        "src/link/secret.py", "./README.md", "src//tariff.py", ".git/config", "src/.GIT/config", "linked.py",
    ],
)  # fmt: skip
def test_what_gits_index_names_is_never_read_outside(shop: Path, private: Path, opened: Open, name: str) -> None:
    for link in ("link", "src/link"):
        (shop / link).symlink_to(private)
    (shop / "linked.py").symlink_to(private / "secret.py")
    (shop / "src/.GIT").mkdir()
    (shop / "src/.GIT/config").write_text(SECRET)
    inside = shop / str(private)[1:]
    inside.mkdir(parents=True)
    (inside / "secret.py").write_text("x = 1\n")
    name = name.format(private=private)
    list_names(shop, ["README.md", name])
    index = opened(shop)
    report = index.refresh()
    assert name not in index.snapshot.paths
    ledger = index.rank("outside the workspace", terms=["OUTSIDE-MARK"])
    packed = index.map(ledger, index.offers(ledger, limit=8), 2000)
    assert "OUTSIDE-MARK" not in packed.render()
    assert "README.md" in index.snapshot.paths
    assert all(skipped.reason for skipped in report.skipped)


def test_a_file_that_became_a_link_is_not_read(shop: Path, private: Path, opened: Open) -> None:
    index = opened(shop)
    index.refresh()
    ledger = index.rank("tariff")
    offers = index.offers(ledger)
    for name in ("src/tariff.py", "tests/test_tariff.py"):
        (shop / name).unlink()
        (shop / name).symlink_to(private / "secret.py")
    assert "OUTSIDE-MARK" not in index.map(ledger, [o for o in offers if "tariff" not in o.path], 2000).render()
    (shop / "src/tariff.py").unlink()
    (shop / "src/parcel.py").unlink()
    (shop / "src").rmdir()
    (shop / "src").symlink_to(private)
    (private / "tariff.py").write_text(SECRET)
    assert "OUTSIDE-MARK" not in index.map(index.rank("tariff"), [], 2000).render()


@pytest.mark.parametrize(
    "path", ["../private/secret.py", "link/secret.py", "linked", "/etc/hostname", "", "a//b", "pipe", "folder"]
)
def test_only_regular_files_below_the_folder_are_read(tmp_path: Path, private: Path, path: str) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "link").symlink_to(private)
    (root / "linked").symlink_to(private / "secret.py")
    os.mkfifo(root / "pipe")
    with pytest.raises(OSError, match=r"outside|out of|link|regular|directory"):
        read(root, path)


def test_a_file_is_read_with_its_size(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b.py"
    file.parent.mkdir()
    file.write_bytes(b"x = 1\n")
    got = read(tmp_path, "a/b.py")
    assert (got.data, got.size, got.mtime_ns) == (b"x = 1\n", 6, file.stat().st_mtime_ns)
    with pytest.raises(OSError, match="too large"):
        read(tmp_path, "a/b.py", most=5)
    assert plain("a/..b/c.git")
