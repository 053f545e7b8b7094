from __future__ import annotations

import re

from loom_jupyter.ui.memory import WIDTH, Bar, Line, memory, names

GIB = 1 << 30
BAR = Bar(
    "RTX 4070",
    12 * GIB,
    [
        ("others", GIB),
        ("weights", 4 * GIB),
        ("KV", 2 * GIB),
        ("compute", 1 << 20),
        ("free", 5 * GIB - (1 << 20)),
    ],
)
LINES = [
    Line("small", GIB, True, False, 32_768, 32_768, 2 * GIB),
    Line("right <b>", 4 * GIB, False, True, 16_384, 131_072, 6 * GIB, "estimated"),
    Line("large", 40 * GIB, True, False, 0, 131_072, 44 * GIB),
]


def test_the_bar_has_its_width_and_shows_the_least_part() -> None:
    bar = str(memory("title", [BAR], LINES)).splitlines()[1]
    drawn = bar.split("  ")[0]
    assert len(drawn) == WIDTH
    assert {glyph: drawn.count(glyph) for glyph in "░█▓▒·"} == {"░": 5, "█": 20, "▓": 10, "▒": 1, "·": 24}
    assert bar.endswith("12 GB")


def test_a_crowded_bar_keeps_its_width() -> None:
    full = Bar("CPU", 10, [("others", 10), ("weights", 10), ("KV", 10), ("compute", 10), ("free", 0)])
    assert len(str(memory("", [full], LINES)).splitlines()[1].split("  ")[0]) == WIDTH


def test_the_table_tells_windows_and_what_does_not_fit() -> None:
    text = str(memory("title", [BAR], LINES, ["Close something."]))
    assert re.search(r"\* +right <b> +4.0 GB +16,384 +131,072 +6.0 GB +estimated, to be downloaded", text)
    assert re.search(r"large +40 GB +does not fit", text)
    assert text.endswith("Close something.")


def test_the_picture_in_a_notebook() -> None:
    html = memory("title", [BAR], LINES)._repr_html_()
    assert 'class="loom-m-weights" style="width: 33.33%"' in html
    assert "right &lt;b&gt;" in html
    assert 'role="img"' in html
    assert "var(--jp-" in html  # follows the theme


def test_without_a_plan_there_are_names() -> None:
    assert str(names(["a", "b"], "install it")) == "a\nb\ninstall it"
