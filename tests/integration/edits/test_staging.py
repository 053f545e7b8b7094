from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loom_jupyter.edits import staging
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import Cancelled, EditError, ForbiddenPathError


def tree(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "ws"
    for name, text in {
        "price.py": "RATE = 1\n",
        "pkg/__init__.py": "",
        "pkg/mod.py": "x = 1\n",
        "run.sh": "#!/bin/sh\n",
        ".git/config": "[core]\n",
        "pkg/__pycache__/mod.cpython-311.pyc": "old",
        "node_modules/left/index.js": "1",
        "env/pyvenv.cfg": "home = /usr",
        "env/bin/python": "",
        "out/CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55",
        "out/huge": "x",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "run.sh").chmod(0o755)
    return root


def test_what_is_copied_linked_and_left_out(workspace: Path, tmp_path: Path) -> None:
    before = tree(workspace)
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        assert set(tree(staged.root)) == {"price.py", "pkg/__init__.py", "pkg/mod.py", "run.sh"}
        assert sorted(staged.linked) == ["env", "node_modules"]
        assert (staged.root / "node_modules").readlink() == workspace / "node_modules"
        assert os.access(staged.root / "run.sh", os.X_OK)
        for path in ("price.py", "run.sh"):
            copied, original = (staged.root / path).stat(), (workspace / path).stat()
            assert copied.st_ino != original.st_ino
            assert copied.st_mtime_ns == original.st_mtime_ns
        assert staged.root.stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "stage").exists()
    assert tree(workspace) == before
    assert (workspace / "node_modules/left/index.js").exists()


def test_links_lead_into_the_copy(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("far")
    links = {
        "relative": "pkg/mod.py",
        "absolute": str(workspace / "pkg" / "mod.py"),
        "folder": "pkg",
        "far": "../outside.txt",
        "broken": "nowhere",
    }
    for name, goal in links.items():
        (workspace / name).symlink_to(goal)
    with StagedCopy(workspace, tmp_path / "deep" / "stage") as staged:
        for name in ("relative", "absolute"):
            assert (staged.root / name).resolve() == staged.root / "pkg" / "mod.py"
        assert (staged.root / "folder").resolve() == staged.root / "pkg"
        assert (staged.root / "far").read_text() == "far"
        assert (staged.root / "broken").is_symlink()
    assert (tmp_path / "outside.txt").exists()


def test_put_and_restore(workspace: Path, tmp_path: Path) -> None:
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        pristine = tree(staged.root)
        staged.put([FileChange("price.py", b"RATE = 1\n", b"RATE = 2\n"), FileChange("new/a.py", None, b"y\n")])
        assert (staged.root / "price.py").read_bytes() == b"RATE = 2\n"
        assert (staged.root / "new/a.py").exists()
        staged.put([FileChange("pkg/mod.py", b"x = 1\n", b"x = 3\n")])
        assert tree(staged.root) == pristine | {"pkg/mod.py": b"x = 3\n"}
        staged.restore()
        assert tree(staged.root) == pristine
        assert not (staged.root / "new").exists()


def test_restore_mends_what_a_check_did(workspace: Path, tmp_path: Path) -> None:
    before = tree(workspace)
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        pristine = tree(staged.root)
        root = staged.root
        (root / "price.py").write_text("RATE = 9\n")
        (root / "run.sh").unlink()
        (root / "run.sh").mkdir()
        (root / "pkg" / "mod.py").unlink()
        (root / "test.db").write_text("left over")
        (root / "results" / "deep").mkdir(parents=True)
        (root / "pkg" / "__init__.py").chmod(0o777)
        (root / "target").mkdir()
        (root / "target" / "cached.o").write_text("kept")
        staged.restore()
        assert tree(root) == pristine | {"target/cached.o": b"kept"}
        assert not (root / "results").exists()
        assert os.access(root / "run.sh", os.X_OK)
        assert (root / "pkg" / "__init__.py").stat().st_mode == (workspace / "pkg/__init__.py").stat().st_mode
    assert tree(workspace) == before


def test_candidates_of_one_second_and_one_size_are_not_mixed_up(workspace: Path, tmp_path: Path) -> None:
    """Python trusts bytecode whose source has the recorded size and second."""
    show = [sys.executable, "-c", "import price; print(price.RATE)"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    with StagedCopy(workspace, tmp_path / "stage") as staged:

        def seen() -> str:
            run = subprocess.run(show, cwd=staged.root, capture_output=True, text=True, check=True, env=env)
            return run.stdout.strip()

        frozen = 1_700_000_000
        said = [seen()]
        for rate in (b"2", b"3", b"4"):
            staged.put([FileChange("price.py", b"RATE = 1\n", b"RATE = %s\n" % rate)])
            # The worst case: same second for every candidate.
            os.utime(staged.root / "price.py", (frozen, frozen))
            said.append(seen())
        staged.restore()
        os.utime(staged.root / "price.py", (frozen, frozen))
        said.append(seen())
        assert (staged.root / "__pycache__").is_dir()
    assert said == ["1", "2", "3", "4", "1"]


def test_big_files_are_linked(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / "data.bin").write_bytes(b"x" * 4000)
    (workspace / "medium.bin").write_bytes(b"x" * 2000)
    monkeypatch.setattr(staging, "BIG_FILE", 3000)
    with StagedCopy(workspace, tmp_path / "a") as staged:
        assert "data.bin" in staged.linked
        assert "medium.bin" not in staged.linked
    monkeypatch.setattr(staging, "COPY_LIMIT", 1500)
    with StagedCopy(workspace, tmp_path / "b") as staged:
        assert {"data.bin", "medium.bin"} <= set(staged.linked)
        assert (staged.root / "price.py").is_symlink() is False


def test_folders_of_many_files_without_code_are_linked(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MANY_FILES", 20)
    monkeypatch.setattr(staging, "BULK", 10)
    for folder in ("images/train", "images/test", "generated"):
        (workspace / folder).mkdir(parents=True)
        for number in range(12):
            (workspace / folder / f"{number}.png").touch()
    (workspace / "generated" / "make.py").touch()
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        assert (staged.root / "images").readlink() == workspace / "images"
        assert not (staged.root / "generated").is_symlink()
        (staged.root / "images").unlink()
        staged.restore()
        assert (staged.root / "images").readlink() == workspace / "images"
    monkeypatch.setattr(staging, "MOST_FILES", 20)
    with pytest.raises(EditError, match="project's own folder"), StagedCopy(workspace, tmp_path / "stage"):
        pass
    assert len(list((workspace / "images" / "train").iterdir())) == 12


def test_write_protected_files_are_tried_too(workspace: Path, tmp_path: Path) -> None:
    (workspace / "price.py").chmod(0o444)
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        staged.put([FileChange("price.py", b"RATE = 1\n", b"RATE = 2\n")])
        assert (staged.root / "price.py").read_bytes() == b"RATE = 2\n"
        assert (staged.root / "price.py").stat().st_mode & 0o777 == 0o444
        staged.restore()
        assert (staged.root / "price.py").read_bytes() == b"RATE = 1\n"


def test_a_candidate_is_not_written_through_a_link(workspace: Path, tmp_path: Path) -> None:
    """A check may replace a file by a link into the workspace between two trials."""
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        staged.put([FileChange("price.py", b"RATE = 1\n", b"RATE = 2\n")])
        (staged.root / "price.py").unlink()
        (staged.root / "price.py").symlink_to(workspace / "price.py")
        staged.restore()
        assert not (staged.root / "price.py").is_symlink()
    assert (workspace / "price.py").read_bytes() == b"RATE = 1\n"


def test_copying_can_be_stopped(workspace: Path, tmp_path: Path) -> None:
    cancel = threading.Event()
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            cancel.set()

    with pytest.raises(Cancelled), StagedCopy(workspace, tmp_path / "stage", cancel, progress):
        pass
    assert not (tmp_path / "stage").exists()
    assert seen == [(0, 4), (1, 4), (2, 4)]


def test_progress_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    for number in range(300):
        (tmp_path / "ws" / f"{number}.txt").touch()
    seen: list[tuple[int, int]] = []
    with StagedCopy(tmp_path / "ws", tmp_path / "stage", progress=lambda *at: seen.append(at)):
        assert len(seen) <= 25
        assert seen[-1] == (300, 300)


def test_a_copy_inside_the_workspace_is_not_copied_into_itself(workspace: Path) -> None:
    with StagedCopy(workspace, workspace / "pkg" / "stage") as staged:
        assert not (staged.root / "pkg" / "stage").exists()


def test_puts_stay_inside(workspace: Path, tmp_path: Path) -> None:
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        for path in ("../x", "node_modules/left/index.js", "env/bin/python"):
            with pytest.raises(ForbiddenPathError):
                staged.put([FileChange(path, None, b"bad")])
    assert (workspace / "node_modules/left/index.js").read_text() == "1"


def test_a_folder_without_write_permission_goes_away_too(workspace: Path, tmp_path: Path) -> None:
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        locked = staged.root / "locked"
        locked.mkdir()
        (locked / "file").touch()
        locked.chmod(0o500)
    assert not (tmp_path / "stage").exists()
    assert workspace.exists()


@pytest.mark.parametrize("name", ["pkg", "target", "build"])
def test_no_folder_that_became_a_link_is_followed(workspace: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mod.py").write_text("mine\n")
    (workspace / "build").mkdir()
    (workspace / "build" / "mod.py").write_text("x = 0\n")
    outside.chmod(0o711)
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        pristine = tree(staged.root)
        staged.put([FileChange("pkg/mod.py", b"x = 1\n", b"x = 2\n")])
        if (staged.root / name).exists():
            (staged.root / name).rename(staged.root / "moved")
        (staged.root / name).symlink_to(outside)
        staged.restore()
        assert tree(staged.root) == pristine
        assert not (staged.root / name).is_symlink()
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"mod.py": "mine\n"}
    assert outside.stat().st_mode & 0o777 == 0o711


def test_nothing_above_the_copy_changes_its_permissions(workspace: Path, tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o1777)
    with StagedCopy(workspace, above / "stage") as staged:
        for folder in (staged.root / "pkg", staged.root):
            folder.chmod(0)
        staged.restore()
        assert (staged.root / "pkg" / "mod.py").read_text() == "x = 1\n"
        staged.root.chmod(0)
    assert above.stat().st_mode & 0o7777 == 0o1777
    assert list(above.iterdir()) == []


def test_a_file_with_its_old_time_and_size_is_still_seen_to_be_changed(workspace: Path, tmp_path: Path) -> None:
    (workspace / "build").mkdir()
    (workspace / "build" / "tool.py").write_text("x = 1\n")
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        for path in ("price.py", "build/tool.py"):
            file = staged.root / path
            was = file.stat()
            file.write_bytes(b"!" * was.st_size)
            os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
        staged.restore()
        assert (staged.root / "price.py").read_text() == "RATE = 1\n"
        assert (staged.root / "build/tool.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    "plant",
    [
        *("pkg/__pycache__/mod.cpython-311.pyc", "pkg/mod.so", "pkg/mod.pyc", "mod.abi3.so", "conftest.py"),
        *("sitecustomize.py", "build/__pycache__/x.pyc", "pytest.ini", ".coverage", "pkg/other.o", "x.egg-link"),
    ],
)
def test_no_candidate_leaves_what_a_later_one_would_import(workspace: Path, tmp_path: Path, plant: str) -> None:
    (workspace / "build").mkdir()
    (workspace / "build" / "x.py").touch()
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        (staged.root / plant).parent.mkdir(exist_ok=True)
        (staged.root / plant).write_text("planted")
        staged.restore()
        assert not (staged.root / plant).exists()


def compiled(staged: StagedCopy) -> dict[str, int]:
    """Import both modules in the copy; return their bytecode files with their inodes."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    code = [sys.executable, "-c", "import price, pkg.mod"]
    subprocess.run(code, cwd=staged.root, check=True, env=env)
    return present(staged)


def present(staged: StagedCopy) -> dict[str, int]:
    found = sorted(staged.root.rglob("*.pyc"))
    return {file.relative_to(staged.root).as_posix(): file.stat().st_ino for file in found}


def test_bytecode_of_the_code_as_it_is_stays_and_that_of_candidates_goes(workspace: Path, tmp_path: Path) -> None:
    (workspace / "pkg" / "__init__.py").touch()
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        first = compiled(staged)
        staged.restore()
        assert present(staged) == first
        staged.put([FileChange("price.py", b"RATE = 1\n", b"RATE = 2\n")])
        others = {path: inode for path, inode in first.items() if not path.startswith("__pycache__/price.")}
        assert len(others) == len(first) - 1
        assert present(staged) == others
        compiled(staged)
        staged.restore()
        assert present(staged) == others


@pytest.mark.parametrize("how", ["overwritten", "replaced", "added"])
def test_bytecode_that_a_candidate_forges_is_removed(workspace: Path, tmp_path: Path, how: str) -> None:
    (workspace / "pkg" / "__init__.py").touch()
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        first = compiled(staged)
        staged.restore()
        staged.put([FileChange("price.py", b"RATE = 1\n", b"RATE = 2\n")])
        victim = staged.root / next(path for path in first if path.startswith("pkg/__pycache__/mod."))
        was = victim.stat()
        if how == "added":
            victim = victim.with_name("mod.cpython-399.pyc")
        elif how == "replaced":
            victim.unlink()
        victim.write_bytes(b"planted")
        os.utime(victim, ns=(was.st_atime_ns, was.st_mtime_ns))
        staged.restore()
        assert not victim.exists()


def test_build_outputs_go_too_where_nothing_may_be_left(workspace: Path, tmp_path: Path) -> None:
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        (staged.root / "target" / "deep").mkdir(parents=True)
        (staged.root / "target" / "deep" / "lib").touch()
        staged.restore()
        assert (staged.root / "target" / "deep" / "lib").exists()
        staged.restore(kept=False)
        assert not (staged.root / "target").exists()


def test_odd_things_in_place_of_files_and_folders_are_put_right(workspace: Path, tmp_path: Path) -> None:
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        pristine = tree(staged.root)
        (staged.root / "price.py").unlink()
        os.mkfifo(staged.root / "price.py")
        (staged.root / "pkg" / "mod.py").unlink()
        (staged.root / "pkg").rename(staged.root / "was")
        os.mkfifo(staged.root / "pkg")
        os.mkfifo(staged.root / "new")
        os.link(staged.root / "was" / "__init__.py", staged.root / "hard")
        staged.restore()
        assert tree(staged.root) == pristine


def test_a_copy_that_was_moved_away_ends_the_trials(workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "price.py").write_text("mine")
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        staged.root.rename(tmp_path / "moved")
        staged.root.symlink_to(outside)
        with pytest.raises(EditError, match="start the run again"):
            staged.restore()
    assert (outside / "price.py").read_text() == "mine"
