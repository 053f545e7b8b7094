from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context.index import Index

Open = Callable[..., Index]


REQUEST = "tariff(weight=2.0) charges too much; up to 2 kg should cost the small one"


ELSEWHERE = """
import os, pathlib, random, sys
from loom_jupyter.context import build, history
from loom_jupyter.context.index import Index
from loom_jupyter.settings import Settings
rnd = random.Random(int(sys.argv[3]))
def shuffled(found):
    return rnd.sample(list(found), len(found))
split, chunks, listed = history._split, build._chunks, os.scandir
history._split = lambda answer: shuffled(split(answer))
build._chunks = lambda files: shuffled(chunks(shuffled(files)))
build.ALONE, build.CHUNK = 0, 300
class Entries(list):
    __enter__ = lambda self: self
    __exit__ = lambda *_: None
os.scandir = lambda *path: Entries(shuffled(list(listed(*path))))
folder = pathlib.Path(sys.argv[2])
folder.mkdir()
sys.stdout.write(Index(pathlib.Path(sys.argv[1]), Settings(), folder).rank(sys.argv[4]).to_json())
"""


@pytest.mark.parametrize("seed", ["1", "2"])
@pytest.mark.parametrize("with_git", [True, False])
def test_same_ledger_in_another_process_however_files_are_listed(
    shop: Path, tmp_path: Path, opened: Open, seed: str, with_git: bool
) -> None:
    if not with_git:
        shutil.rmtree(shop / ".git")
    expected = opened(shop).rank(REQUEST).to_json()
    other = tmp_path / f"at {seed}" / "another path"
    shutil.copytree(shop, other)
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "TZ": "Asia/Tokyo",
    }
    command = [sys.executable, "-c", ELSEWHERE, str(other), str(tmp_path / "other"), seed, REQUEST]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.stdout == expected.encode(), done.stderr.decode()


def test_folders_of_any_depth_do_no_harm(tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "deep"
    root.mkdir()
    (root / "top.py").write_text("x = 1\n")
    monkeypatch.chdir(root)
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    with open("bottom.py", "w") as file:
        file.write("x = 1\n")
    os.chdir(root)
    try:
        report = opened(root).refresh()
    finally:
        subprocess.run(["rm", "-rf", str(root / "d")], check=True)
    assert report.files == 1
    assert any("folders deep" in skipped.reason for skipped in report.skipped)
