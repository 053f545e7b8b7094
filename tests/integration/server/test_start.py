"""How a server comes to load the extension."""

from __future__ import annotations

import json
import tomllib

from places import ROOT


def test_the_wheel_switches_the_extension_on() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    source = next(k for k, v in wheel["shared-data"].items() if "jupyter_server_config.d" in v)
    enabled = json.loads((ROOT / source).read_text())["ServerApp"]["jpserver_extensions"]
    assert enabled == {"loom_jupyter.server": True}
