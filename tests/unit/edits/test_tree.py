"""Files of a folder that somebody else may turn into anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from loom_jupyter.edits.tree import Tree, erase


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("mine")
    folder.chmod(0o711)
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    (tmp_path / "root").mkdir()
    made = Tree(tmp_path / "root")
    yield made
    made.close()


def unchanged(outside: Path) -> bool:
    found = {name: (outside / name).read_text() for name in os.listdir(outside)}
    return found == {"file": "mine"} and outside.stat().st_mode & 0o777 == 0o711


def test_a_link_in_place_of_a_folder_is_replaced_not_followed(tree: Tree, outside: Path) -> None:
    (tree.root / "a").symlink_to(outside)
    tree.write("a/file", b"new")
    assert not (tree.root / "a").is_symlink()
    assert (tree.root / "a/file").read_bytes() == b"new"
    (tree.root / "b").symlink_to(outside)
    tree.copy(outside / "file", "b/deep/file")
    (tree.root / "c").symlink_to(outside)
    tree.link("c/file", "x")
    (tree.root / "d").symlink_to(outside)
    tree.remove("d/file")
    assert tree.stat("d/file") is None
    assert unchanged(outside)


def test_a_link_in_place_of_a_file_is_replaced_not_followed(tree: Tree, outside: Path) -> None:
    for name, put in {
        "a": lambda: tree.write("a", b"new"),
        "b": lambda: tree.copy(outside / "file", "b"),
        "c": lambda: tree.remove("c"),
    }.items():
        (tree.root / name).symlink_to(outside / "file")
        put()
    (tree.root / "e").symlink_to(outside / "file")
    with pytest.raises(OSError, match=r"loop|links"):
        tree.read("e", 10)
    assert unchanged(outside)


def test_everything_is_removed_whatever_it_is(tree: Tree, outside: Path) -> None:
    root = tree.root
    for number in range(3):
        (root / f"d{number}" / "x").mkdir(parents=True)
        (root / f"d{number}" / "x" / "link").symlink_to(outside)
        (root / f"d{number}" / "up").symlink_to("../../..")
        os.mkfifo(root / f"d{number}" / "x" / "fifo")
    os.link(outside / "file", root / "hard")
    (root / "hard2").symlink_to(outside / "file")
    (root / "d1" / "x").chmod(0)
    (root / "d1").chmod(0o500)
    (root / "d2").chmod(0)
    root.chmod(0)
    tree.clear()
    assert os.listdir(tree.fd) == []
    assert unchanged(outside)


def test_folders_deeper_than_any_path_may_be_are_removed(tree: Tree) -> None:
    fd = os.dup(tree.fd)
    for _ in range(3000):
        os.mkdir("d" * 20, dir_fd=fd)
        inner = os.open("d" * 20, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    tree.clear()
    assert os.listdir(tree.fd) == []


def test_a_fifo_is_not_waited_for(tree: Tree, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    os.mkfifo(tree.root / "fifo")
    with pytest.raises(OSError, match="regular"):
        tree.copy(tmp_path / "fifo", "copied")
    with pytest.raises(OSError, match="regular"):
        tree.read("fifo", 10)
    tree.write("fifo", b"new")
    assert (tree.root / "fifo").read_bytes() == b"new"


def test_erasing_a_path_that_became_a_link_removes_the_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "copy").symlink_to(outside)
    erase(str(tmp_path / "copy"))
    assert not (tmp_path / "copy").is_symlink()
    assert unchanged(outside)


def test_a_folder_that_was_moved_away_is_noticed(tree: Tree, outside: Path) -> None:
    assert tree.in_place
    tree.root.rename(tree.root.with_name("moved"))
    tree.root.symlink_to(outside)
    assert not tree.in_place
    tree.clear()
    assert unchanged(outside)
