"""Take the documentation's pictures again, with a real model: ``python -m tests.browser.pictures MODEL``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fixtures"))

from lab import Lab, Notebook  # noqa: E402
from sidebar import Sidebar  # noqa: E402

from tests.browser.conftest import BROWSERS, QUIET  # noqa: E402

TASK = "parcel_price(weight=2.0) charges the 2-5 kg tariff; up to and including 2 kg should cost the small one"
CELLS = [
    "%load_ext loom_jupyter",
    "",
    "from parcels.tariff import parcel_price\n\nparcel_price(2.0), parcel_price(2.1)",
]
GIT = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def project(folder: Path) -> None:
    """Make the sample project, under git."""
    shutil.copytree(ROOT / "notebooks" / "parcels", folder, dirs_exist_ok=True)
    for words in (["init", "-q"], ["add", "."], [*GIT, "commit", "-qm", "Parcels"]):
        subprocess.run(["git", *words], cwd=folder, check=True)


def take(page: Any, base: Path, theme: str) -> None:
    """Run the sample task, and picture sidebar and panel while they wait for the review."""
    lab = Lab(base / theme, theme)
    try:
        project(lab.work)
        notebook = Notebook(lab, page, "tariff.ipynb", CELLS)
        notebook.run(0)
        notebook.do("widget.content.activeCellIndex = 1;")
        sidebar = Sidebar(notebook)
        sidebar.ask(TASK, "python -m pytest -q")
        sidebar.says_within("Waiting for your review", 300)
        sidebar.place.get_by_role("button", name="Task", exact=True).click()
        page.wait_for_timeout(2_000)
        page.screenshot(path=ROOT / "docs" / f"sidebar-{theme.lower()}.png")
        page.set_viewport_size({"width": 2000, "height": 1500})
        page.wait_for_timeout(1_000)
        page.locator(".jp-CodeCell", has_text="%%loom").first.screenshot(
            path=ROOT / "docs" / f"panel-{theme.lower()}.png"
        )
    finally:
        lab.close()


def main(model: str) -> None:
    """Take them in both themes."""
    os.environ["LOOM_MODEL"] = model
    os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # the servers have homes of their own
    path = next(found for name in BROWSERS if (found := shutil.which(name)))
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as base:
        browser = driver.chromium.launch(executable_path=path, args=QUIET)
        for theme in ("Light", "Dark"):
            page = browser.new_page(viewport={"width": 1500, "height": 1180})
            page.set_default_timeout(30_000)
            take(page, Path(base), theme)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
