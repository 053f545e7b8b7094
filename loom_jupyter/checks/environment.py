"""The environment of a check: the kernel's Python first, the staged copy's modules first, no keys."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|COOKIE|WEBHOOK|_AUTH|^X?AUTH|SSH_A|GPG_|DBUS_|^(JPY|JUPYTER)_"
    r"|(^|_)(CREDS?|PAT|PW|DSN|SAS|JWT|BEARER)(_|\d|$)|(?<!^OLD)(?<!^)PWD",
    re.I,
)
# In an address, as a setting in a longer text, or with what tokens of well-known services begin; never in a path.
_SECRET_VALUE = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@|://[^/\s:@]{16,}@"
    r"|(token|secret|password|passwd|pwd|key)=[^\s&;]|\bsig(nature)?=|authorization: *(basic|bearer) "
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|(?<![\w/.-])(sk|pk|rk|ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[a-z]|xapp|hf|npm|pypi|dckr_pat)[-_]"
    r"(?=\S*\d)(?=\S*[a-z])[\w-]{16,}"
    r"|\b(AKIA|ASIA)[A-Z0-9]{16}|\bAIza[\w-]{20}|\beyJ[\w-]{8,}\.[\w-]{8,}\.",
    re.I,
)
_FORGOTTEN = ("PYTHONPYCACHEPREFIX", "PYTHONSAFEPATH", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTEST_CURRENT_TEST")


def check_environment(
    cwd: Path,
    workspace: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    sandboxed: bool = False,
) -> dict[str, str]:
    """Build the environment in which a check runs.

    Parameters
    ----------
    cwd
        The staged copy.
    workspace
        What it is a copy of. Every place from which the kernel's Python imports the workspace's modules is
        answered by the same place in the copy, so that an editable install does not win over a candidate.
    environ
        Defaults to this process's.
    sandboxed
        Whether the check has a sandbox, with a temporary folder of its own.

    Returns
    -------
    dict
        Without variables whose name or value speaks of a key, token, password or agent. Names decide first; by
        its value a variable is told where it has the shape of a token, or carries one in an address.
    """
    env = {
        name: value
        for name, value in (os.environ if environ is None else environ).items()
        if not _SECRET_NAME.search(name) and not _SECRET_VALUE.search(value) and name not in _FORGOTTEN
    }
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    env["PYTHONPATH"] = os.pathsep.join(_import_places(cwd, workspace, env.get("PYTHONPATH", "")))
    env["PYTEST_ADDOPTS"] = f"{env.get('PYTEST_ADDOPTS', '')} --color=no".strip()
    env |= {
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "120",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    if sandboxed:
        env["TMPDIR"] = "/tmp"
        for name in ("TMP", "TEMP", "XDG_RUNTIME_DIR"):
            env.pop(name, None)
    if env.get("MPLBACKEND", "").startswith("module://"):
        env["MPLBACKEND"] = "Agg"
    return env


def _import_places(cwd: Path, workspace: Path | None, present: str) -> list[str]:
    """List folders for ``PYTHONPATH``: the copy, its ``src``, and the twins of the workspace's own places."""
    places = [cwd, cwd / "src"]
    known = [entry for entry in present.split(os.pathsep) if entry]
    for entry in [*known, *sys.path]:
        twin = _twin(Path(entry), cwd, workspace)
        if twin is not None:
            places.append(twin)
    kept = [entry for entry in known if _twin(Path(entry), cwd, workspace) is None]
    return list(dict.fromkeys([str(place) for place in places if place.is_dir()] + kept))


def _twin(place: Path, cwd: Path, workspace: Path | None) -> Path | None:
    if workspace is None or not place.is_absolute() or place.is_relative_to(cwd):
        return None
    try:
        inside = place.resolve().relative_to(workspace.resolve())
    except ValueError:
        return None
    return None if "site-packages" in inside.parts or "lib" in inside.parts[:2] else cwd / inside
