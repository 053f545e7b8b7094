from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from loom_jupyter.checks.environment import check_environment


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("HOME", "/home/ada", True),
        ("LANG", "C.UTF-8", True),
        ("OPENAI_API_KEY", "x", False),
        ("HF_TOKEN", "x", False),
        ("AWS_SECRET_ACCESS_KEY", "x", False),
        ("PGPASSWORD", "x", False),
        ("GOOGLE_APPLICATION_CREDENTIALS", "x", False),
        ("SSH_AUTH_SOCK", "/tmp/agent", False),
        ("PIP_INDEX_URL", "https://me:sesame@example.org/simple", False),
        ("PIP_INDEX_URL", "https://example.org/simple", True),
        ("JPY_PARENT_PID", "1", False),
        ("PIP_INDEX_URL", "https://sesame0sesame1sesame2@example.org/simple", False),
        ("PIP_INDEX_URL", "https://example.org/simple?token=sesame", False),
        ("DATABASE_URL", "postgresql://ada@localhost/parcels", True),
        ("DATABASE_URL", "postgresql://ada:sesame@localhost/parcels", False),
        ("REPOSITORY", "ssh://git@example.org/parcels.git", True),
        ("MYSQL_PWD", "sesame", False),
        ("PWD", "/home/ada/parcels", True),
        ("OLDPWD", "/home/ada", True),
        ("GH_PAT", "x", False),
        ("AZURE_DEVOPS_EXT_PAT", "x", False),
        ("PATH_INFO", "/x", True),
        ("PASS", "sesame", False),
        ("DB_PASS", "sesame", False),
        ("PGPASSFILE", "/home/ada/.pgpass", False),
        ("CREDS", "x", False),
        ("COOKIE", "x", False),
        ("XAUTHORITY", "/home/ada/.Xauthority", False),
        ("SENTRY_DSN", "https://example.org/1", False),
        ("SLACK_WEBHOOK_URL", "https://example.org/x", False),
        ("STORAGE", "AccountName=ada;AccountKey=c2VzYW1l", False),
        ("GIT_CONFIG_VALUE_0", "Authorization: basic c2VzYW1l", False),
        ("X", "sk-proj-a1B2c3D4e5F6a1B2c3D4", False),
        ("X", "ghp_a1B2c3D4e5F6a1B2c3D4e5F6", False),
        ("X", "github_pat_a1B2c3D4e5F6a1B2c3D4", False),
        ("X", "glpat-a1B2c3D4e5F6a1B2c3D4", False),
        ("X", "xoxb-1234567890-a1B2c3D4e5F6", False),
        ("X", "hf_a1B2c3D4e5F6a1B2c3D4e5F6", False),
        ("X", "AKIAA1B2C3D4E5F6G7H8", False),
        ("X", "AIzaa1B2c3D4e5F6a1B2c3D4", False),
        ("X", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2VzYW1l", False),
        ("X", '{"key": "-----BEGIN PRIVATE KEY-----"}', False),
        ("LD_LIBRARY_PATH", "/opt/npm-global-of-node-20-x/lib:/opt/hf-hub-of-2024-and-later/lib", True),
        ("PYTEST_PLUGINS", "-c config=a1", True),
        ("X", "task-force-of-the-risk-environment-in-2024", True),
        ("LS_COLORS", "di=01;34:ln=01;36:*.tar=01;31", True),
        ("PYTHONPYCACHEPREFIX", "/tmp", False),
    ],
)
def test_what_a_check_may_know(tmp_path: Path, name: str, value: str, kept: bool) -> None:
    assert (check_environment(tmp_path, environ={name: value}).get(name) == value) == kept


def test_the_kernels_programs_come_first(tmp_path: Path) -> None:
    env = check_environment(tmp_path, environ={"PATH": "/usr/bin", "MPLBACKEND": "module://inline"})
    assert env["PATH"] == os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin"])
    assert env["MPLBACKEND"] == "Agg"


def test_import_places_lead_into_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, stage, other = tmp_path / "ws", tmp_path / "stage", tmp_path / "other"
    for root in (workspace, stage):
        for folder in ("src", "python", ".venv/lib/python3.11/site-packages"):
            (root / folder).mkdir(parents=True)
    monkeypatch.setattr(
        sys, "path", [str(workspace / "python"), str(workspace / ".venv/lib/python3.11/site-packages")]
    )
    given = os.pathsep.join([str(workspace / "src"), str(other)])
    env = check_environment(stage, workspace, {"PYTHONPATH": given})
    places = [str(stage), str(stage / "src"), str(stage / "python"), str(other)]
    assert env["PYTHONPATH"].split(os.pathsep) == places
