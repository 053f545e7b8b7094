"""Folders that do not outlive their process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from loom_jupyter.edits import temporary
from loom_jupyter.edits.staging import StagedCopy

OWNER = """
import sys, os, signal, threading, time
from pathlib import Path
from loom_jupyter.edits.staging import StagedCopy
copy = StagedCopy(Path(sys.argv[1]))
copy.__enter__()
(copy.root / "locked").mkdir()
(copy.root / "locked" / "x").touch()
(copy.root / "locked").chmod(0)
print(copy.root, flush=True)
for line in sys.stdin:
    sys.exit() if line == "exit\\n" else os._exit(0)
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "a.py").write_text("x = 1")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT", "exit", "_exit", "group"])
def test_a_process_that_ends_in_any_way_leaves_no_copy_and_no_process(base: Path, how: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(base / "ws")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    copy = Path(owner.stdout.readline().strip())
    assert copy.parent == (base / "tmp").resolve()
    assert f"-{owner.pid}-" in copy.name
    assert (copy / "a.py").exists()
    children = psutil.Process(owner.pid).children(recursive=True)
    if how == "group":
        os.killpg(owner.pid, signal.SIGKILL)
    elif how.startswith("SIG"):
        owner.send_signal(getattr(signal, how))
    else:
        owner.stdin.write(f"{how}\n")
        owner.stdin.flush()
    owner.wait(10)
    until = time.monotonic() + 20
    while time.monotonic() < until and (copy.exists() or any(map(lives, children))):
        time.sleep(0.05)
    assert os.listdir(base / "tmp") == []
    assert not [child for child in children if lives(child)]
    owner.stdin.close()
    owner.stdout.close()


def test_what_was_left_is_swept_and_what_is_in_use_stays(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = base / "outside"
    outside.mkdir()
    (outside / "mine").touch()
    left = base / "tmp" / "loom-99999-1700000000-0123abcd"
    (left / "deep").mkdir(parents=True)
    (left / "deep" / "link").symlink_to(outside)
    (base / "tmp" / "loom-99999-1700000000-0123abce").symlink_to(outside)
    (base / "tmp" / "loom-notes").mkdir()
    with StagedCopy(base / "ws") as staged:
        temporary.sweep()
        assert (staged.root / "a.py").exists()
        assert not left.exists()
        assert (base / "tmp" / "loom-notes").exists()
        assert os.listdir(outside) == ["mine"]


def test_a_folder_of_another_user_is_left_alone(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = base / "tmp" / "loom-99999-1700000000-0123abcd"
    left.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: left.stat().st_uid + 1)
    temporary.sweep()
    assert left.exists()


def test_leaving_normally_ends_the_janitor(base: Path) -> None:
    before = psutil.Process().children()
    with StagedCopy(base / "ws") as staged:
        assert len(psutil.Process().children()) == len(before) + 1
    assert not staged.root.exists()
    assert len(psutil.Process().children()) == len(before)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, None])
def test_a_folder_for_a_while_goes_with_its_process(base: Path, sign: int | None) -> None:
    code = (
        "import sys; from loom_jupyter.edits import temporary\n"
        "with temporary.folder() as place:\n"
        "    (place / 'x').touch(); print(place, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdin is not None
        place = Path(owner.stdout.readline().strip())
        assert place.is_relative_to((base / "tmp").resolve())
        if sign is None:
            owner.stdin.close()
        else:
            owner.send_signal(sign)
        owner.wait()
    until = time.monotonic() + 20
    while place.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not place.exists()
