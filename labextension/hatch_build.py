"""Build the sidebar: into a wheel (hatchling's hook), or into this checkout's environment (run as a script).

Users of the wheel need no Node.js; whoever builds it does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BUILT = HERE.parent / "loom_jupyter" / "labextension"
PLACE = "share/jupyter/labextensions/loom-jupyter"
WITHOUT = "LOOM_WITHOUT_SIDEBAR"
NO_NODE = (
    "No Node.js here (20 or newer): JupyterLab will show Loom's panel in the cells, but not its sidebar; "
    "install Node.js and run `make sidebar`."
)


def has_node() -> bool:
    """Whether there is an npm, and a Node.js that the build can use."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return False
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    return said.startswith("v") and int(said[1:].split(".")[0]) >= 20


def build() -> None:
    """Install the locked packages, compile and bundle; jupyter-builder must be on the path."""
    npm = shutil.which("npm") or "npm"
    installed, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run(install, cwd=HERE, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([npm, "run", "--silent", "build:prod"], cwd=HERE, check=True, stdout=subprocess.DEVNULL)


def link() -> None:
    """Have the environment that runs this show what was built here."""
    place = Path(sys.prefix, PLACE)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.is_dir():
        shutil.rmtree(place)
    try:
        place.symlink_to(BUILT, target_is_directory=True)
    except OSError:  # Windows without the right to link
        shutil.copytree(BUILT, place)


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script
    pass
else:

    class SidebarHook(BuildHookInterface):  # type: ignore[type-arg]
        """Puts the sidebar into wheels and source distributions."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Build the sidebar unless it is built, and add it where JupyterLab looks."""
            if version == "editable" or os.environ.get(WITHOUT):
                return
            if not (BUILT / "package.json").exists():
                if not has_node():
                    raise RuntimeError(
                        "The sidebar is built with Node.js (20 or newer): install it, "
                        f"or set {WITHOUT}=1 to build a wheel without the sidebar."
                    )
                build()
            if self.target_name == "wheel":
                build_data["shared_data"][str(BUILT)] = PLACE
                build_data["shared_data"][str(HERE / "install.json")] = f"{PLACE}/install.json"


if __name__ == "__main__":
    if not has_node():
        sys.exit(NO_NODE)
    try:
        build()
    except subprocess.CalledProcessError as error:
        sys.exit(f"The sidebar was not built ({' '.join(error.cmd[1:])}: see above); all else works without it.")
    link()
