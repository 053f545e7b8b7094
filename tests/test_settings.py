from __future__ import annotations

from pathlib import Path

import pytest

from loom_jupyter import Loom
from loom_jupyter.errors import LoomError, SettingsError
from loom_jupyter.models import host
from loom_jupyter.settings import Settings, workspace_dir

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


def project(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, "utf-8")
    return folder


def test_models_of_one_s_own_have_names(tmp_path: Path) -> None:
    loom = Loom(project(tmp_path, OWN))
    assert loom.settings.models["team"].place == "http://gpu.example.org:11434/v1#qwen2.5-coder:14b"
    assert loom.settings.models["mine"].place == "~/models/mine.gguf"
    assert {"team", "mine", "auto", "qwen2.5-coder-1.5b"} <= set(loom.model_names())
    loom.use_model("mine")
    assert loom.model == "mine"
    assert ("model", True, "the server at http://gpu.example.org:11434/v1#qwen2.5-coder:14b") in Loom(
        tmp_path
    ).doctor()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('url = "http://a/v1"\nkey = "sk-secret-123"', "models.team.key"),
        ('url = "http://a/v1"\nkey = "AWS_SECRET_ACCESS_KEY"', "models.team.key"),
        ('url = "http://a/v1"\npath = "m.gguf"', "either url or path"),
        ("window = 4096", "either url or path"),
        ('url = "ftp://a"', "models.team.url"),
        ('url = "http://a/v1"\nwindow = 7', "models.team.window"),
        ('url = "http://a/v1"\nwindows = 8', "models.team.windows"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_without_its_secret(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        Settings.load(project(tmp_path, f"[tool.loom.models.team]\n{table}\n"))
    assert "sk-secret-123" not in str(caught.value)


def test_the_run_s_file_names_the_model_and_holds_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOM_TEAM", "sk-secret-123")
    monkeypatch.setattr(host._host, "idle", None)
    (tmp_path / "a.py").write_text("x = 1\n")
    # A port that nothing listens on: the run fails, and everything that it wrote is looked at.
    run = Loom(project(tmp_path, OWN.replace("http://gpu.example.org:11434", "http://127.0.0.1:1"))).run("x is 2")
    assert run.wait(60)
    assert "No server answers" in (run.error or "")
    written = "".join(f.read_text("utf-8", "replace") for f in run.folder.iterdir() if f.is_file())
    assert '"model": "team"' in written
    assert "sk-secret-123" not in written
    assert host._host.idle == 600  # unload_after


@pytest.mark.parametrize("points", ["inf", "-inf", "nan", "1e300", "-1e7", '"many"', "[1]", "{a = 1}"])
def test_points_of_a_rule_that_cannot_be_added_up_are_refused(tmp_path: Path, points: str) -> None:
    with pytest.raises(SettingsError, match=r"rules\.tagged"):
        Settings.load(project(tmp_path, f"[tool.loom.rules]\ntagged = {points}\n"))


@pytest.mark.parametrize("rules", ["inf", "3", '"all"', "[]"])
def test_rules_that_are_no_table_are_refused(tmp_path: Path, rules: str) -> None:
    with pytest.raises(SettingsError, match=r"\[tool\.loom\] rules"):
        Settings.load(project(tmp_path, f"[tool.loom]\nrules = {rules}\n"))


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(LoomError, match="set JUPYTER_DATA_DIR to a folder that you may write to"):
        workspace_dir(tmp_path)
