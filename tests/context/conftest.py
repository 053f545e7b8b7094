from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context.index import Index
from loom_jupyter.settings import Settings

SHOP = {
    "src/tariff.py": (
        '"""Prices of parcels."""\n\nfrom decimal import Decimal\n\nLIMIT = 2\n\n\n'
        'def tariff(weight):\n    """Return the tariff of a parcel."""\n'
        "    if weight < LIMIT:\n        return Decimal('4.10')\n    return Decimal('6.90')\n\n\n"
        "class Depot:\n    def store(self, parcel):\n        return tariff(parcel.weight)\n\n"
        "    def release(self, parcel):\n        return parcel\n"
    ),
    "src/parcel.py": "from tariff import tariff\n\n\nclass Parcel:\n    weight = 0.0\n",
    "tests/test_tariff.py": "from tariff import tariff\n\n\n"
    "def test_tariff_small():\n    assert tariff(2) == 4.10\n",
    "docs/guide.md": "# Guide\n\n## Weigh a parcel\n\nPut it on the scale.\n",
    "README.md": "# Shop\n\nSells stamps.\n",
}


def run_git(root: Path, *arguments: str) -> None:
    """Run git as a fixed author."""
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def write_files(root: Path, files: dict[str, str | bytes]) -> None:
    """Write files below `root`."""
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


def open_index(root: Path, folder: Path | None = None) -> Index:
    """Open the index of `root` in a folder beside it."""
    folder = folder or root.parent / f"{root.name}-data"
    folder.mkdir(exist_ok=True)
    return Index(root, Settings(), folder)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A small git repository with one commit."""
    root = tmp_path / "shop"
    write_files(root, dict(SHOP))
    run_git(root, "init", "-q")
    run_git(root, "add", "-A")
    run_git(root, "commit", "-q", "-m", "Open the shop")
    return root


@pytest.fixture
def make(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Path]:
    """Make a folder of files without git."""

    def build(files: dict[str, str | bytes]) -> Path:
        root = tmp_path / "plain"
        root.mkdir(exist_ok=True)
        write_files(root, files)
        return root

    return build


@pytest.fixture
def git() -> Callable[..., None]:
    """`run_git`."""
    return run_git


@pytest.fixture
def write() -> Callable[[Path, dict[str, str | bytes]], None]:
    """`write_files`."""
    return write_files


@pytest.fixture
def opened() -> Callable[..., Index]:
    """`open_index`."""
    return open_index
