"""Draw how the index grows as a plain SVG, on logarithmic axes, for light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 64, 150, 24, 48
LINES = (("rank, ms", "#2a78c2"), ("refresh, nothing new, ms", "#c2702a"), ("memory, MB", "#3a9a5b"))
STYLE = (
    "text{font:12px sans-serif;fill:#444}.axis{stroke:#999;stroke-width:.5}.line{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}}"
)


def draw(figures: Sequence[tuple[int, float, float, float]]) -> str:
    """Return the SVG of rows of files, milliseconds to rank, milliseconds to refresh, and megabytes."""
    sizes = [math.log10(row[0]) for row in figures]
    first, last = min(sizes), max(sizes)
    top = math.ceil(math.log10(max(max(row[1:]) for row in figures)))

    def across(size: float) -> float:
        return LEFT + (size - first) / ((last - first) or 1) * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - max(math.log10(max(value, 1)), 0) / top * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>How the index grows</title><style>{STYLE}</style>",
    ]
    for power in range(top + 1):
        y = up(10**power)
        parts.append(f'<path class="axis" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10**power:,}</text>')
    for row, size in zip(figures, sizes, strict=True):
        x = across(size)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{row[0]:,}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - 10}" text-anchor="middle">files</text>')
    for column, (name, colour) in enumerate(LINES, 1):
        points = " ".join(f"{across(s):.1f},{up(row[column]):.1f}" for row, s in zip(figures, sizes, strict=True))
        parts.append(f'<polyline class="line" stroke="{colour}" points="{points}"/>')
        end = up(figures[-1][column])
        parts.append(f'<text x="{WIDTH - RIGHT + 6}" y="{end + 4:.1f}" style="fill:{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
