"""Where models come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from loom_jupyter.models import download
from loom_jupyter.models.download import Store


def test_pip_is_pip_whatever_lies_in_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, goal = tmp_path / "ws", tmp_path / "goal"
    here.mkdir()
    goal.mkdir()
    for name in ("pip", "sitecustomize", "usercustomize", "runpy", "json"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'OWNED')!r}, 'w')\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", f"{here}:.:")
    monkeypatch.setenv("PYTHONSTARTUP", str(here / "json.py"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(download.SourceError, match="no-such-package-x"):
        download._download_wheel("no-such-package-x", goal, Store(goal, lambda *_: None))
    assert not (tmp_path / "OWNED").exists()
