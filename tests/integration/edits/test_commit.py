from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from loom_jupyter.context import git as door
from loom_jupyter.edits.commit import commit, uncommitted
from loom_jupyter.errors import EditError


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    root = tmp_path / "repo"
    root.mkdir()
    git(root, "init", "-q")
    git(root, "config", "user.name", "Ada")
    git(root, "config", "user.email", "ada@example.org")
    for name in ("a.py", "b.py", "sub/c.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("1\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "start")
    return root


def test_one_commit_of_these_files_alone(repository: Path) -> None:
    (repository / "b.py").write_text("staged by the user\n")
    git(repository, "add", "b.py")
    (repository / "a.py").write_text("2\n")
    (repository / "né w*.py").write_text("new\n")
    (repository / "other.py").write_text("untracked\n")
    short = commit(repository, ["a.py", "né w*.py"], "Charge the small tariff up to 2 kg")
    assert (
        git(repository, "log", "--format=%h %an %s", "-1").strip()
        == f"{short} Ada Charge the small tariff up to 2 kg"
    )
    assert git(repository, "-c", "core.quotepath=off", "show", "--name-only", "--format=").split("\n")[:2] == [
        "a.py",
        "né w*.py",
    ]
    assert git(repository, "status", "--porcelain").splitlines() == ["M  b.py", "?? other.py"]


def test_uncommitted_changes_are_told(repository: Path) -> None:
    assert uncommitted(repository, ["a.py", "b.py"]) == []
    (repository / "b.py").write_text("2\n")
    (repository / "new file").touch()
    (repository / "sub" / "c.py").write_text("2\n")
    assert uncommitted(repository, ["a.py", "b.py", "new file", "absent"]) == ["b.py", "new file"]
    assert uncommitted(repository / "sub", ["c.py"]) == ["c.py"]


def test_a_refusal_is_one_sentence_and_leaves_the_index(repository: Path) -> None:
    (repository / "new.py").touch()
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho style is wrong\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(EditError, match="style is wrong"):
        commit(repository, ["new.py"], "x")
    assert git(repository, "status", "--porcelain").splitlines() == ["?? new.py"]
    assert (repository / "new.py").exists()


def test_no_identity_and_no_repository(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repository, "config", "--unset", "user.name")
    git(repository, "config", "--unset", "user.email")
    git(repository, "config", "user.useConfigOnly", "true")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    (repository / "a.py").write_text("2\n")
    with pytest.raises(EditError, match=r"user\.name"):
        commit(repository, ["a.py"], "x")
    plain = tmp_path / "plain"
    plain.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(EditError, match="not a git repository"):
        uncommitted(plain, ["a.py"])
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EditError, match="not installed"):
        commit(repository, ["a.py"], "x")


def test_a_commit_is_the_users_own_with_hooks_and_filters(repository: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho hook >> {mark}\n")
    hook.chmod(0o755)
    git(repository, "config", "filter.x.clean", "sed s/secret/clean/")
    (repository / ".gitattributes").write_text("*.py filter=x\n")
    (repository / "a.py").write_text("secret\n")
    commit(repository, ["a.py"], "x")
    assert mark.read_text() == "hook\n"
    assert git(repository, "show", "HEAD:a.py") == "clean\n"
    assert uncommitted(repository, ["a.py"]) == []


def test_a_commit_starts_no_monitor_and_takes_no_git_of_the_workspace(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "ran"
    program = repository / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho ran >> {mark}\nexit 1\n")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))
    monkeypatch.setenv("PATH", os.pathsep.join([str(program.parent), "bin", os.environ["PATH"]]))
    (repository / "a.py").write_text("2\n")
    mark.unlink(missing_ok=True)
    assert commit(repository, ["a.py"], "x")
    assert not mark.exists()


def test_an_embedded_bare_repository_takes_no_commit(repository: Path, tmp_path: Path) -> None:
    inner, mark = repository / "examples", tmp_path / "ran"
    for folder in ("objects", "refs", "hooks"):
        (inner / folder).mkdir(parents=True)
    (inner / "HEAD").write_text("ref: refs/heads/main\n")
    (inner / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n")
    hook = inner / "hooks" / "pre-commit"
    hook.write_text(f"#!/bin/sh\necho ran >> {mark}\n")
    hook.chmod(0o755)
    (inner / "a.py").write_text("1\n")
    with pytest.raises(EditError, match="is not a git repository"):
        commit(inner, ["a.py"], "x")
    assert not mark.exists()


def test_a_repository_of_another_user_is_told_with_the_remedy(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(EditError, match=r"belongs to another user.*safe\.directory"):
        uncommitted(repository, ["a.py"])


def test_a_commit_that_does_not_end_is_stopped(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "COMMIT_LIMIT", 1.0)
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nsleep 60\n")
    hook.chmod(0o755)
    (repository / "a.py").write_text("2\n")
    with pytest.raises(EditError, match="did not end within"):
        commit(repository, ["a.py"], "x")
