"""A ledger's HTML in a page as JupyterLab colours it, and in one without its variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.context.index import Index
from loom_jupyter.settings import Settings

THEMES = {
    "lab light": ("#fff", "light", "--jp-ui-font-color1:rgba(0,0,0,.87);--jp-layout-color1:#fff"),
    "lab dark": ("#212121", "dark", "--jp-ui-font-color1:#fff;--jp-layout-color1:#212121"),
    "bare light": ("#fff", "light", ""),
    "bare dark": ("#212121", "dark", ""),
}
CONTRAST = """
(ground) => {
  const rgb = (text) => {
    const pen = new OffscreenCanvas(1, 1).getContext('2d');
    for (const colour of [ground, text]) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (c) => c.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [.2126, .7152, .0722][n], 0);
  const contrast = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  const back = light(rgb(ground));
  const of = (pick, what) => [...document.querySelectorAll(pick)]
    .map(node => contrast(light(rgb(getComputedStyle(node)[what])), back));
  return {text: Math.min(...of('.loom-ledger .f, .loom-ledger .e span', 'color')),
          bars: Math.min(...of('.loom-ledger .b i', 'backgroundColor'))};
}
"""


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("work")
    (root / "tariff.py").write_text("def tariff(weight):\n    # the tariff of a parcel\n    return weight\n")
    (root / "parcel.py").write_text("from tariff import tariff\n")
    index = Index(Path(root), Settings(), tmp_path_factory.mktemp("data"))
    return index.rank("tariff of a parcel in tariff.py")._repr_html_()


@pytest.mark.parametrize("theme", THEMES)
def test_a_ledger_can_be_read_in_every_theme(page: Any, html: str, theme: str) -> None:
    ground, scheme, variables = THEMES[theme]
    page.set_content(
        f"<html style='color-scheme:{scheme}'><body style='background:{ground};{variables}'>{html}</body></html>"
    )
    first = page.locator(".loom-ledger summary").first
    rows = page.locator(".loom-ledger .e").first
    assert not rows.is_visible()
    first.focus()
    page.keyboard.press("Enter")
    rows.wait_for()
    found = page.evaluate(CONTRAST, ground)
    assert found["text"] >= 4.5
    assert found["bars"] >= 1.3
    bar, track = page.evaluate(
        "() => ['.b i', '.b'].map(pick => [...document.querySelector('.loom-ledger').querySelectorAll(pick)]"
        ".filter(n => n.closest('details') === document.querySelector('details'))"
        ".reduce((sum, n) => sum + n.getBoundingClientRect().width, 0))"
    )
    assert 0.9 * track <= bar <= track  # the best file's bar is the longest


def test_a_narrow_cell_leaves_out_the_words(page: Any, html: str) -> None:
    page.set_viewport_size({"width": 480, "height": 600})
    page.set_content(f"<body>{html}</body>")
    assert not page.locator(".loom-ledger .w").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= 480")
