from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from loom_jupyter.edits.checks.environment import check_environment


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
