"""The wheel, installed where there is no Node.js."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

BUILT = ROOT / "loom_jupyter" / "labextension" / "package.json"


@pytest.mark.timeout(600)  # builds a wheel and installs it
@pytest.mark.skipif(not BUILT.exists() and not os.environ.get("CI"), reason="not built: make sidebar")
def test_an_installed_wheel_shows_the_sidebar_without_node(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True, timeout=300)
    wheel = next(tmp_path.glob("*.whl"))
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = shutil.which("python", path=str(place / ("Scripts" if os.name == "nt" else "bin")))
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True, timeout=120)
    # The JupyterLab of this environment looks into that one; Node.js is nowhere.
    seen = {
        "PATH": str(place / "bin"),
        "HOME": str(tmp_path),
        "JUPYTER_PATH": str(place / "share" / "jupyter"),
        "JUPYTER_CONFIG_PATH": str(place / "etc" / "jupyter"),
    }
    listed = subprocess.run(
        [sys.executable, "-c", "from jupyterlab.labextensions import main; main()", "list"],
        capture_output=True,
        text=True,
        env=seen,
        check=True,
        timeout=60,
    )
    assert f"{place}" in listed.stderr + listed.stdout
    assert "loom-jupyter" in listed.stderr + listed.stdout
    enabled = place / "etc" / "jupyter" / "jupyter_server_config.d" / "loom_jupyter.json"
    assert json.loads(enabled.read_text())["ServerApp"]["jpserver_extensions"]["loom_jupyter.server"]
    told = json.loads((place / "share/jupyter/labextensions/loom-jupyter/install.json").read_text())
    assert told["packageName"] == "loom-jupyter"
