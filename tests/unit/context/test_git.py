from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context import git as door
from loom_jupyter.context.index import Index
from loom_jupyter.context.repository import NoGitError

Open = Callable[..., Index]
Run = Callable[..., None]


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own; nothing is remembered of other tests."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    door._read_user.cache_clear()
    door._hung.clear()
    return home


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "RAN"


@pytest.fixture
def evil(tmp_path: Path, mark: Path) -> Callable[[str], str]:
    """Make a program that leaves a mark."""

    def make(name: str) -> str:
        file = tmp_path / f"evil-{name}"
        file.write_text(f"#!/bin/sh\necho {name} >> {mark}\nexit 1\n")
        file.chmod(0o755)
        return str(file)

    return make


def say(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def touched(root: Path) -> None:
    """Make git look into a file: its content, its attributes."""
    (root / ".gitattributes").write_text("*.py filter=x diff=x merge=x\n")
    file = root / "src/tariff.py"
    file.write_text(file.read_text().replace("6.90", "7.90"))


SETTINGS = {
    "what git runs here": [
        ("core.fsmonitor", "{}"), ("filter.x.clean", "{}"), ("filter.x.smudge", "{}"),
        ("filter.x.required", "true"), ("diff.external", "{}"), ("diff.x.textconv", "{}"),
        ("diff.x.command", "{}"), ("core.hooksPath", "{folder}"), ("log.showSignature", "true"),
        ("gpg.program", "{}"), ("gpg.ssh.program", "{}"), ("core.pager", "{}"), ("pager.log", "{}"),
        ("pager.status", "{}"), ("core.editor", "{}"), ("alias.status", "!{}"), ("alias.ls-files", "!{}"),
        ("interactive.diffFilter", "{}"), ("credential.helper", "!{}"), ("core.askPass", "{}"),
        ("core.gitProxy", "{}"), ("submodule.x.update", "!{}"), ("status.submoduleSummary", "true"),
        ("diff.submodule", "log"),
    ],
    "a filter process": [("filter.x.process", "{}")],
    "a lazy fetch by ssh": [
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "origin"),
        ("remote.origin.url", "ssh://evil/x"), ("remote.origin.promisor", "true"), ("core.sshCommand", "{}"),
    ],
    "a lazy fetch by a remote helper": [
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "origin"),
        ("remote.origin.url", "ext::{}"), ("remote.origin.promisor", "true"), ("protocol.ext.allow", "always"),
    ],
    "a lazy fetch by uploadpack": [
        ("core.repositoryformatversion", "1"), ("extensions.partialClone", "origin"),
        ("remote.origin.url", "/nowhere"), ("remote.origin.promisor", "true"), ("remote.origin.uploadpack", "{}"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("where", ["config", "include", "includeIf", "worktree"])
def test_no_setting_of_a_repository_runs_anything(
    shop: Path, opened: Open, evil: Callable[[str], str], mark: Path, name: str, where: str
) -> None:
    target = shop / ".git" / "config"
    if where != "config":
        target = shop / ".git" / "config.worktree" if where == "worktree" else shop.parent / "more"
        key = {"include": "include.path", "includeIf": f"includeIf.gitdir:{shop}/.path"}.get(where)
        say(shop, "config", *((key, str(target)) if key else ("extensions.worktreeConfig", "true")))
    program = evil("setting")
    hook = shop.parent / "hooks" / "post-index-change"
    hook.parent.mkdir()
    hook.write_text(Path(program).read_text())
    hook.chmod(0o755)
    for key, value in SETTINGS[name]:
        subprocess.run(
            ["git", "config", "--file", target, key, value.format(program, folder=hook.parent)], check=True
        )
    touched(shop)
    if name.startswith("a lazy"):
        tree = say(shop.parent, "-C", str(shop), "-c", "protocol.allow=never", "rev-parse", "HEAD^{tree}")
        mark.unlink(missing_ok=True)
        (shop / ".git/objects" / tree[:2] / tree[2:]).unlink()
    mark.unlink(missing_ok=True)
    index = opened(shop)
    assert index.refresh().files == 6
    index.rank("tariff of a parcel")
    assert not mark.exists(), mark.read_text()


def test_hooks_do_not_run_and_nothing_is_written(
    shop: Path, opened: Open, evil: Callable[[str], str], mark: Path
) -> None:
    for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "pre-auto-gc"):
        hook = shop / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(Path(evil(name)).read_text())
        hook.chmod(0o755)
    for key, value in (("core.untrackedCache", "true"), ("core.splitIndex", "true"), ("gc.auto", "1")):
        say(shop, "config", key, value)
    mark.unlink(missing_ok=True)
    touched(shop)
    os.utime(shop / "README.md", (1, 1))

    def state() -> dict[str, tuple[int, bytes]]:
        files = (p for p in sorted((shop / ".git").rglob("*")) if p.is_file())
        return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}

    before = state()
    opened(shop).refresh()
    assert not mark.exists()
    assert state() == before


def test_a_filter_of_the_users_own_does_not_run_either(
    shop: Path, opened: Open, evil: Callable[[str], str], mark: Path, own_settings: Path
) -> None:
    program = evil("lfs")
    (own_settings / ".gitconfig").write_text(
        f'[filter "x"]\n\tclean = {program}\n[core]\n\tfsmonitor = {program}\n'
    )
    touched(shop)
    opened(shop).refresh()
    assert not mark.exists()


def test_an_embedded_bare_repository_is_an_ordinary_folder(
    shop: Path, git: Run, write: Run, opened: Open, evil: Callable[[str], str], mark: Path
) -> None:
    inner = shop / "examples"
    for folder in ("objects", "refs"):
        write(inner / folder, {"README": "x"})
    monitor = f"\tbare = false\n\tworktree = .\n\tfsmonitor = {evil('bare')}\n"
    write(
        inner,
        {
            "HEAD": "ref: refs/heads/main\n",
            "config": f"[core]\n\trepositoryformatversion = 0\n{monitor}",
            "demo.py": "def demo():\n    return 1\n",
        },
    )
    git(shop, "add", "-A")
    git(shop, "commit", "-q", "-m", "Add examples")
    index = opened(inner)
    index.refresh()
    assert "demo.py" in index.snapshot.paths
    assert index.rank("add examples").evidence("demo.py")
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["nested", "submodule"])
def test_a_repository_in_the_workspace_runs_nothing(
    shop: Path, git: Run, write: Run, opened: Open, evil: Callable[[str], str], mark: Path, kind: str
) -> None:
    inner = shop / "vendor/x"
    write(inner, {"a.py": "def nested(): pass\n"})
    git(inner, "init", "-q")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "Nested")
    if kind == "submodule":
        git(shop, "add", "vendor/x")
        git(shop, "commit", "-q", "-m", "Add a submodule")
    git(inner, "config", "core.fsmonitor", evil("nested"))
    touched(shop)
    index = opened(shop)
    index.refresh()
    assert "vendor/x/a.py" in index.snapshot.paths
    assert not mark.exists()


def test_git_in_the_workspace_or_in_a_relative_folder_is_not_taken(
    shop: Path, opened: Open, evil: Callable[[str], str], mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = shop / "bin" / "git"
    program.parent.mkdir()
    program.write_text(Path(evil("path")).read_text())
    program.chmod(0o755)
    monkeypatch.chdir(shop)
    monkeypatch.setenv("PATH", os.pathsep.join(["bin", "", ".", str(program.parent), os.environ["PATH"]]))
    assert not any("git" in notice for notice in opened(shop).refresh().notices)
    assert not mark.exists()


def test_without_git_the_files_are_listed_and_it_is_said(
    shop: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    report = opened(shop).refresh()
    assert report.files == 5
    assert "git is not installed" in report.notices[0]


@pytest.mark.parametrize("how", ["a pipe as .gitignore", "git sleeps", "git works for ever", "git says too much"])
def test_git_that_does_not_answer_is_a_notice(
    shop: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    monkeypatch.setattr(door, "QUIET", 0.8)
    monkeypatch.setattr(door, "BUSY", 1.0)
    monkeypatch.setattr(door, "LIMIT", 9.0)
    if how.startswith("a pipe"):
        os.mkfifo(shop / "src" / ".gitignore")
    else:
        does = {"git sleeps": "sleep 30", "git works for ever": "while :; do :; done", "git says too much": "yes"}
        program = tmp_path / "bin" / "git"
        program.parent.mkdir()
        real = door.program("/nowhere")
        program.write_text(f'#!/bin/sh\ncase "$*" in *status*) {does[how]};; *) exec {real} "$@";; esac\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr("loom_jupyter.context.git.LARGEST_ANSWER", 1 << 20)
    index = opened(shop)
    start = time.monotonic()
    report = index.refresh()
    assert report.files == 5
    assert "did not answer" in report.notices[0]
    again = index.refresh()
    assert time.monotonic() - start < 20
    assert again.notices == report.notices
    assert again.seconds < 1


FOREIGN = ["a .git file", "a linked .git", "commondir", "linked objects", "linked refs", "a linked branch"]


@pytest.mark.parametrize("how", FOREIGN)
def test_history_of_another_repository_is_not_lent(
    shop: Path, git: Run, write: Run, opened: Open, tmp_path: Path, how: str
) -> None:
    other = tmp_path / "private"
    write(other, {"README.md": "x"})
    git(other, "init", "-q", "-b", "main")
    git(other, "add", "-A")
    git(other, "commit", "-q", "-m", "Zanzibar")
    theirs, own = other / ".git", shop / ".git"
    if how in FOREIGN[:2]:
        own.rename(tmp_path / "aside")
        if how == "a .git file":
            own.write_text(f"gitdir: {theirs}\n")
        else:
            own.symlink_to(theirs)
    elif how == "commondir":
        (own / "commondir").write_text(f"{theirs}\n")
    else:
        name = {"linked objects": "objects", "linked refs": "refs", "a linked branch": "refs/heads/main"}[how]
        say(shop, "checkout", "-q", "-B", "main")
        (own / name).rename(tmp_path / "aside")
        (own / name).symlink_to(theirs / name)
    index = opened(shop)
    report = index.refresh()
    assert report.files == 5
    assert report.notices
    assert "Zanzibar" not in index.rank("zanzibar").to_json().replace('"query": "zanzibar"', "")
    assert index.sql("select * from commits").empty


@pytest.mark.parametrize("name", ["HEAD", "index", "packed-refs", "info/exclude", "config", "shallow"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_in_gits_folder_is_a_notice(shop: Path, opened: Open, name: str, kind: str) -> None:
    file = shop / ".git" / name
    file.unlink(missing_ok=True)
    file.parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(file)
    else:
        file.symlink_to("/dev/zero")
    start = time.monotonic()
    report = opened(shop).refresh()
    assert report.files == 5
    assert "not a regular file" in report.notices[0]
    assert time.monotonic() - start < 10


def test_a_worktree_a_submodule_and_odd_repositories_are_read(
    shop: Path, git: Run, opened: Open, tmp_path: Path
) -> None:
    def history(root: Path) -> list[str]:
        index = opened(root)
        report = index.refresh()
        assert not report.notices, report.notices
        return sorted(index.sql("select subject from commits").subject)

    git(shop, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    assert history(tmp_path / "tree") == ["Open the shop"]
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{shop}", "shallow")
    git(tmp_path / "shallow", "checkout", "-q", "--detach")
    assert history(tmp_path / "shallow") == ["Open the shop"]
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(shop), "inner")
    assert history(outer / "inner") == ["Open the shop"]
    git(shop, "update-index", "--split-index")
    git(shop, "pack-refs", "--all")
    assert history(shop) == ["Open the shop"]
    modern = tmp_path / "modern"
    modern.mkdir()
    git(modern, "init", "-q", "--object-format=sha256")
    (modern / "a.py").write_text("x = 1\n")
    assert history(modern) == []
    git(modern, "add", "-A")
    git(modern, "commit", "-q", "-m", "Start")
    assert history(modern) == ["Start"]


def test_harmless_settings_count(shop: Path, git: Run, opened: Open, own_settings: Path) -> None:
    (own_settings / "ignored").write_text("*.tmp.py\n")
    (own_settings / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignored\n")
    (shop / "x.tmp.py").write_text("x = 1\n")
    git(shop, "config", "core.fileMode", "false")
    (shop / "README.md").chmod(0o755)
    (shop / ".git/info/exclude").write_text("own.py\n")
    (shop / "own.py").write_text("x = 1\n")
    index = opened(shop)
    index.refresh()
    assert index.snapshot.paths == sorted(index.snapshot.paths)
    assert not {"x.tmp.py", "own.py"} & set(index.snapshot.paths)
    assert not [row for row in index.rank("README.md").rows if row.rule == "changed in git"]


def test_a_repository_of_another_user_is_named_with_the_remedy(
    shop: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, own_settings: Path
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    index = opened(shop)
    report = index.refresh()
    assert report.files == 5
    assert f"git config --global --add safe.directory {shop}" in report.notices[0]
    (own_settings / ".gitconfig").write_text(f"[safe]\n\tdirectory = {shop}\n")
    door._read_user.cache_clear()
    assert not index.refresh().notices


def test_a_lost_object_is_a_notice(shop: Path, git: Run, write: Run, opened: Open) -> None:
    write(shop, {"src/tariff.py": "x = 1\n"})
    first = say(shop, "rev-parse", "HEAD^{tree}")
    git(shop, "commit", "-qam", "Second")
    (shop / ".git/objects" / first[:2] / first[2:]).unlink()
    report = opened(shop).refresh()
    assert report.files == 5
    assert "the evidence 'history' is missing" in report.notices[0]


def test_nothing_is_left_in_the_temporary_folder(
    shop: Path, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "tmp"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    left = room / "loom-git-killed"
    left.mkdir()
    os.utime(left, (1, 1))
    opened(shop).refresh()
    assert not list(room.iterdir())


def test_git_that_cannot_have_a_folder_is_a_notice(
    shop: Path, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    report = opened(shop).refresh()
    assert report.files == 5
    assert "temporary" in report.notices[0]


def test_refusal_is_told_in_gits_words(shop: Path) -> None:
    at = door.find(str(shop))
    assert at is not None
    with pytest.raises(NoGitError, match=r"git log failed: bad revision|git log failed: ambiguous argument"):
        door.ask(at, "log", "nothing-of-that-name", "--")
