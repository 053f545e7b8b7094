"""A Chromium, and a JupyterLab."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import SETUP, Lab, Notebook
from scripted_runs import project
from sidebar import Sidebar

HERE = Path(__file__).parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), "Light")
    yield lab
    lab.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(20_000)
    yield page
    page.close()


@pytest.fixture
def cells() -> list[str]:
    """The cells of the notebook that the sidebar stands beside; the first one is run."""
    return [SETUP, ""]


@pytest.fixture
def notebook(lab: Lab, page: Any, cells: list[str]) -> Notebook:
    shutil.rmtree(lab.data / "loom", ignore_errors=True)
    project(lab.work)
    notebook = Notebook(lab, page, f"s{time.time_ns()}.ipynb", cells)
    notebook.run(0)
    return notebook


@pytest.fixture
def sidebar(notebook: Notebook) -> Sidebar:
    return Sidebar(notebook)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow for the start of JupyterLab and its kernels."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(600))
