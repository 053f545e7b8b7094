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

INSIDE = """
import sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="python3", cwd=sys.argv[1])

def cell(source):
    def heard(message):
        content = message["content"]
        data = content.get("data", {})
        said.append(content.get("text") or data.get("text/plain") or content.get("evalue") or "")

    said = []
    reply = client.execute_interactive(source, timeout=120, output_hook=heard)
    return reply["content"]["status"], "\\n".join(map(str, said))

try:
    for source in (
        "import loom_jupyter; print(loom_jupyter.__file__)",
        "%load_ext loom_jupyter",
        "%loom",
        "%loom ledger a parcel of 2 kg costs too much",
        "%%loom --wait --model ./missing.gguf\\nparcel_price(2.0) should be 4.9",
    ):
        print("==", *cell(source))
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
"""
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


@pytest.mark.timeout(900)  # installs the wheel with all that it needs
@pytest.mark.skipif(not BUILT.exists() and not os.environ.get("CI"), reason="not built: make sidebar")
def test_a_new_environment_without_node_and_source_has_all_doors(sample: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True, timeout=300)
    wheel = next(tmp_path.glob("*.whl"))
    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    programs = place / ("Scripts" if os.name == "nt" else "bin")
    python = shutil.which("python", path=str(programs))
    subprocess.run([*pip, "--python", str(python), "install", f"{wheel}[lab]"], check=True, timeout=600)
    shell = {"PATH": str(programs), "HOME": str(tmp_path), "JUPYTER_DATA_DIR": str(tmp_path / "data")}
    assert shutil.which("node", path=shell["PATH"]) is None

    def done(*command: str) -> str:
        ended = subprocess.run(
            [shutil.which(command[0], path=shell["PATH"]) or command[0], *command[1:]],
            cwd=sample,
            env=shell,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    assert "accept [PATH]…" in done("jupyter", "loom", "--help")
    assert "parcels/tariff.py" in done("jupyter", "loom", "ledger", "a parcel of 2 kg costs too much")
    listed = next(line for line in done("jupyter", "labextension", "list").splitlines() if "loom-jupyter" in line)
    assert "enabled" in listed
    assert "OK" in listed
    served = next(
        line for line in done("jupyter", "server", "extension", "list").splitlines() if "loom_jupyter" in line
    )
    assert "enabled" in served
    module, loaded, status, ledger, run = done("python", "-c", INSIDE, str(sample)).split("== ")[1:]
    assert str(place) in module
    assert loaded.startswith("ok")
    assert status.startswith("ok")
    assert str(sample) in status
    assert "parcels/tariff.py" in ledger
    assert "missing.gguf" in run  # one sentence that says what is missing
    assert "Traceback" not in run
