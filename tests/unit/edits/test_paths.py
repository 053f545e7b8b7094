from __future__ import annotations

import os
from pathlib import Path

import pytest

from loom_jupyter.edits.paths import resolve
from loom_jupyter.errors import ForbiddenPathError


@pytest.mark.parametrize(
    "path", ["a.py", "new/deep/b.py", ".gitignore", ".github/x", "é.txt", "x y", "a:b", "..a"]
)
def test_files_inside(tmp_path: Path, path: str) -> None:
    (tmp_path / "a.py").touch()
    assert resolve(tmp_path, path) == tmp_path / path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "inside the workspace"),
        (".", "inside the workspace"),
        ("/etc/passwd", "inside the workspace"),
        ("../x", "inside the workspace"),
        ("a/../../x", "inside the workspace"),
        (".. /x", "inside the workspace"),
        ("a\0b", "inside the workspace"),
        ("..\\x", "inside the workspace"),
        ("C:\\x", "inside the workspace"),
        ("C:/x", "inside the workspace"),
        ("./a.py", r"write it as a\.py"),
        ("a//b.py", r"write it as a/b\.py"),
        ("a/./b.py", r"write it as a/b\.py"),
        ("a/", "write it as a"),
        (".git", "git's own"),
        (".git/config", "git's own"),
        ("sub/.GIT/hooks/x", "git's own"),
        (".git /config", "git's own"),
        (".git./config", "git's own"),
        (".git. ./config", "git's own"),
        ("GIT~1/config", "git's own"),
        (".g\u200cit/config", "git's own"),
        (".git::$INDEX_ALLOCATION/config", "git's own"),
        ("é" * 128 + ".py", "longer than"),
        ("new/" + "a" * 256, "longer than"),
        ("a\udc80.py", "not valid text"),
        ("file/x.py", "below a file"),
        ("folder", "is a folder"),
        ("pipe", "not a regular file"),
        ("link/x.py", "symbolic link"),
    ],
)
def test_everything_else_is_refused_in_one_sentence(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ForbiddenPathError, match=said):
        resolve(tmp_path, path)


def test_a_folder_that_may_not_be_searched_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lstat(_: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "lstat", lstat)
    with pytest.raises(ForbiddenPathError, match=r"cannot be reached \(Permission denied\)"):
        resolve(tmp_path, "closed/a.py")
