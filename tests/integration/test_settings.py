from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from loom_jupyter import Loom
from loom_jupyter.cli import main
from loom_jupyter.errors import LoomError
from loom_jupyter.models import host
from loom_jupyter.settings import LARGEST, Settings, read, workspace_dir

OWN = """
[tool.loom]
model = "team"
unload_after = 600

[tool.loom.models.team]
url = "http://gpu.example.org:11434/v1"
model = "qwen2.5-coder:14b"
window = 32768
key = "LOOM_TEAM"

[tool.loom.models.mine]
path = "~/models/mine.gguf"
"""


def project(folder: Path, text: str | bytes) -> Path:
    (folder / "pyproject.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with room outside it."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_models_of_one_s_own_have_names(root: Path) -> None:
    loom = Loom(project(root, OWN))
    loom.trust().grant()
    assert loom.settings.models["team"].place == "http://gpu.example.org:11434/v1#qwen2.5-coder:14b"
    assert loom.settings.models["mine"].place == "~/models/mine.gguf"
    assert {"team", "mine", "auto", "qwen2.5-coder-1.5b"} <= set(loom.model_names())
    loom.use_model("mine")
    assert loom.model == "mine"
    assert ("model", True, "the server at http://gpu.example.org:11434/v1#qwen2.5-coder:14b") in Loom(
        root
    ).doctor()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('url = "http://a/v1"\nkey = "sk-secret-123"', "models.team.key"),
        ('url = "http://a/v1"\nkey = "AWS_SECRET_ACCESS_KEY"', "models.team.key"),
        ('url = "http://a/v1"\npath = "m.gguf"', "either url or path"),
        ("window = 4096", "either url or path"),
        ('url = "ftp://a"', "models.team.url"),
        ('url = "http://api.example.org@evil.example/v1"', "no user name"),
        ('url = "http://\u0430pi.example.org/v1"', "ASCII"),
        ('url = "http://a/v1"\nwindow = 7', "models.team.window"),
        ('url = "http://a/v1"\nwindow = 99999999999', "models.team.window"),
        ('url = "http://a/v1"\nwindows = 8', "models.team.windows"),
    ],
)
def test_a_table_that_makes_no_sense_is_left_out_without_its_secret(root: Path, table: str, says: str) -> None:
    found = read(project(root, f"[tool.loom]\nbudget = 9\n[tool.loom.models.team]\n{table}\n"))
    assert found.settings.budget == 9
    assert not found.settings.models
    assert says in str(found.notice)
    assert "sk-secret-123" not in str(found.notice)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("bugdet = 3", "did you mean budget"),
        ("schema = 2", "schema is unknown"),
        ("budget = inf", "budget"),
        ("budget = nan", "budget"),
        ("budget = 1e9", "budget"),
        ("budget = -1", "budget"),
        ("budget = [1]", "budget"),
        (f"budget = 0x{'f' * 9000}", "budget"),
        ("check_timeout = inf", "check_timeout"),
        ("unload_after = 1e-9", "unload_after"),
        ("unload_after = 1e300", "unload_after"),
        ("check = 3", "check"),
        ("models = 3", "models"),
        ("rules = { tagged = inf }", "rules.tagged"),
        ("rules = { tagged = nan }", "rules.tagged"),
        ("rules = { tagged = 1e99 }", "rules.tagged"),
        ("rules = { taged = 1 }", "did you mean 'tagged'"),
        ("models = { 'a/b' = { path = 'x' } }", "is not a name"),
    ],
)
def test_one_key_that_makes_no_sense_leaves_the_others_as_they_are(root: Path, line: str, says: str) -> None:
    loom = Loom(project(root, f"[tool.loom]\n{line}\nexpand = true\n[tool.other]\nx = 1\n"))
    assert loom.settings == Settings(expand=True)
    (notice,) = loom.notices
    assert says in notice
    assert "pyproject.toml" in notice
    assert len(notice) < 600


def test_one_notice_names_a_few_problems_and_counts_the_rest(root: Path) -> None:
    found = read(project(root, "[tool.loom]\n" + "".join(f"key{n} = 1\n" for n in range(5_000))))
    assert "and 4995 more" in str(found.notice)
    assert len(str(found.notice)) < 1_500


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<<<<<<< HEAD\nversion = 1\n", "line 1"),
        (b"[tool.loom]\nbudget = \xff\n", "not UTF-8"),
        ("[tool.loom]\nbudget = 9\n".encode("utf-16"), "UTF-16"),
        (b"tool = 3\n", "tool is not a table"),
        (b"[tool]\nloom = [1]\n", "loom is not a table"),
        (b"x = " + b"[" * 5_000, "nested too deeply"),
        (b"x = " + b"1" * 50_000, "not TOML"),
        (b".".join([b"a"] * 50_000) + b" = 1\n", "more than 32 parts"),
        (b"[" + b".".join([b'"a"'] * 40_000) + b"]\n", "more than 32 parts"),
        (b"#" * (LARGEST + 1), "larger than"),
    ],
)
def test_a_file_that_is_not_settings_stops_nothing(root: Path, data: bytes, says: str) -> None:
    found = read(project(root, data))
    assert found.settings == Settings()
    assert says in str(found.notice)
    assert len(str(found.notice)) < 400


def test_a_byte_order_mark_is_no_part_of_the_text(root: Path) -> None:
    data = b'\xef\xbb\xbf[project]\r\nname = "p"\r\n\r\n[tool.loom]\r\nbudget = 7\r\ncheck = "pytest -q"\r\n'
    loom = Loom(project(root, data))
    assert loom.settings.budget == 7
    assert loom.trust().needed == {"check": "pytest -q"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "/dev/zero", "/dev/null", "circle", "secret"])
@pytest.mark.timeout(20)
def test_a_file_that_is_no_file_is_not_waited_for(root: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = root / "pyproject.toml"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "socket":
        monkeypatch.chdir(root)  # an address of a socket is short
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(file.name)
        bound.close()
    elif kind == "circle":
        file.symlink_to(file)
    elif kind == "secret":
        (root.parent / "secret").write_text("password-of-mine\n")
        file.symlink_to(root.parent / "secret")
    else:
        file.symlink_to(kind)
    loom = Loom(root)
    assert loom.settings == Settings()
    (notice,) = loom.notices
    assert "pyproject.toml" in notice
    assert "password-of-mine" not in notice


def test_every_verb_works_beside_a_broken_file(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.py").write_text("x = 1\n")
    monkeypatch.chdir(project(root, "[project\n"))
    for verb in (
        ["status"],
        ["doctor"],
        ["runs"],
        ["ledger", "x"],
        ["index"],
        ["model"],
        ["trust"],
        ["sql", "select 1"],
    ):
        assert main(verb) == 0
    said = capsys.readouterr()
    assert not said.err
    assert "pyproject.toml: the file is not TOML" in said.out


def test_the_run_s_file_names_the_model_and_holds_no_key(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOM_TEAM", "sk-secret-123")
    monkeypatch.setattr(host._host, "idle", None)
    (root / "a.py").write_text("x = 1\n")
    # A port that nothing listens on: the run fails, and everything that it wrote is looked at.
    loom = Loom(project(root, OWN.replace("http://gpu.example.org:11434", "http://127.0.0.1:1")))
    loom.trust().grant()
    run = loom.run("x is 2")
    assert run.wait(60)
    assert "No server answers" in (run.error or "")
    written = "".join(f.read_text("utf-8", "replace") for f in run.folder.iterdir() if f.is_file())
    assert '"model": "team"' in written
    assert "sk-secret-123" not in written
    assert host._host.idle == 600  # unload_after


@pytest.mark.parametrize("points", ["inf", "-inf", "nan", "1e300", "-1e7", '"many"', "[1]", "{a = 1}"])
def test_points_of_a_rule_that_cannot_be_added_up_are_left_out(root: Path, points: str) -> None:
    found = read(project(root, f"[tool.loom.rules]\ntagged = {points}\n"))
    assert not found.settings.rules
    assert "rules.tagged" in (found.notice or "")


@pytest.mark.parametrize("rules", ["inf", "3", '"all"', "[]"])
def test_rules_that_are_not_a_table_are_left_out(root: Path, rules: str) -> None:
    found = read(project(root, f"[tool.loom]\nbudget = 9\nrules = {rules}\n"))
    assert (found.settings.budget, found.settings.rules) == (9, {})
    assert "rules" in (found.notice or "")


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(LoomError, match="set JUPYTER_DATA_DIR to a folder that you may write to"):
        workspace_dir(tmp_path)
