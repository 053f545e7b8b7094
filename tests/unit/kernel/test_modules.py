from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.kernel.modules import loaded, placed


def test_only_the_workspaces_own_files_have_a_place(sample: Path) -> None:
    place = placed(sample)
    assert place(str(sample / "parcels/tariff.py")) == "parcels/tariff.py"
    assert place(str(sample / "pyproject.toml")) == "pyproject.toml"
    for other in (__file__, "", "<string>", str(sample / ".venv/x.py"), str(sample / "venv/site-packages/a.py")):
        assert place(other) == ""


def test_a_linked_folder_is_the_workspace_too(sample: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(sample)
    assert placed(sample)(str(link / "parcels/tariff.py")) == "parcels/tariff.py"


def test_modules_that_the_notebook_uses_come_first(notebook: Any) -> None:
    notebook.run("from parcels.order import Order\nimport parcels.report as r")
    found = loaded(placed(notebook.root), notebook.shell.user_ns)
    assert [m.path for m in found if m.direct] == ["parcels/order.py", "parcels/report.py"]
    assert {m.path for m in found if not m.direct} >= {"parcels/zones.py", "parcels/tariff.py"}


def test_a_lazy_module_stays_unloaded(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sample / "lazy.py").write_text("raise AssertionError('it was loaded')\n")
    spec = importlib.util.spec_from_file_location("lazy", sample / "lazy.py")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy", module)
    spec.loader.exec_module(module)
    assert [m.path for m in loaded(placed(sample), {"lazy": module})] == ["lazy.py"]
