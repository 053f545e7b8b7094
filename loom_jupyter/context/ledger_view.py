"""The ledger for people: plain text in a terminal, a table of stacked bars in a notebook."""

from __future__ import annotations

from html import escape as escaped
from typing import TYPE_CHECKING

from loom_jupyter import invisible
from loom_jupyter.context.rules import FAMILIES, TABLE, Family

if TYPE_CHECKING:
    from loom_jupyter.context.ledger import Evidence, Ledger

SHOWN = 12
BAR = 14
SHADES: dict[Family, str] = {
    "mention": "█", "term": "▓", "symbol": "▒", "git": "░", "history": "▚", "check": "▞", "notebook": "▤",
}  # fmt: skip
# Okabe and Ito's palette: distinct for colour-blind eyes, readable on light and dark ground.
COLOURS: dict[Family, str] = {
    "mention": "#0072b2", "term": "#56b4e9", "symbol": "#009e73", "git": "#e69f00", "history": "#cc79a7",
    "check": "#d55e00", "notebook": "#b8a800",
}  # fmt: skip
FAMILY = {r.name: r.family for r in TABLE}
SENTENCE = {r.name: r.sentence for r in TABLE}
ORDER = {r.name: n for n, r in enumerate(sorted(TABLE, key=lambda r: FAMILIES.index(r.family)))}
# How much of its family's colour a rule has; the rest is the page's ground, so that it holds in light and dark.
TINTS = (100, 72, 50, 86, 61, 40, 79, 55, 93, 67, 45)
MOST_ROWS = 24
STYLE = """
.loom-ledger{--fg:var(--jp-ui-font-color1,var(--vscode-foreground,inherit));
--dim:var(--jp-ui-font-color2,var(--vscode-descriptionForeground,
color-mix(in srgb,currentColor 70%,transparent)));
--line:var(--jp-border-color2,var(--vscode-panel-border,#8885));--ground:var(--jp-layout-color1,Canvas);
font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.4;color:var(--fg);
max-width:68em;container-type:inline-size}
.loom-ledger .h{padding:.2em .3em .5em;overflow-wrap:anywhere}
.loom-ledger .h span,.loom-ledger .w,.loom-ledger .k,.loom-ledger .s{color:var(--dim)}
.loom-ledger details{border-top:1px solid var(--line)}
.loom-ledger summary{display:grid;grid-template-columns:1em 1.8em minmax(9em,2fr) minmax(7em,1.6fr) 4em 3fr;
gap:.6em;align-items:center;padding:.25em .3em;cursor:pointer;list-style:none}
.loom-ledger summary::-webkit-details-marker{display:none}
.loom-ledger summary::before{content:"\\25B8";color:var(--dim);text-align:center}
.loom-ledger details[open]>summary::before{content:"\\25BE"}
.loom-ledger summary:hover{background:var(--jp-layout-color2,#8882)}
.loom-ledger .n{text-align:right;font-variant-numeric:tabular-nums}
.loom-ledger .f,.loom-ledger .w{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.loom-ledger .f,.loom-ledger .s{font-family:var(--jp-code-font-family,ui-monospace,monospace)}
.loom-ledger .b{display:flex;gap:1px;height:.85em}
.loom-ledger i.c{display:inline-block;width:.75em;height:.75em;border-radius:2px;vertical-align:-.05em}
.loom-ledger .e{display:grid;grid-template-columns:3.6em .8em max-content 1fr;
gap:.1em .7em;align-items:baseline;margin:.1em 0 .7em 3.4em;font-size:12px}
.loom-ledger .e span{overflow-wrap:anywhere}
.loom-ledger .k{display:flex;flex-wrap:wrap;gap:.2em 1.1em;border-top:1px solid var(--line);padding:.5em .3em 0;
font-size:12px}
@container (max-width:620px){.loom-ledger summary{grid-template-columns:1em 1.8em minmax(8em,2fr) 1fr 4em}
.loom-ledger .w{display:none}.loom-ledger .e{margin-left:1em}}
"""


def families(rows: list[Evidence]) -> dict[Family, float]:
    """Add up a file's points by family; what is taken away shortens the longest."""
    out: dict[Family, float] = dict.fromkeys(FAMILIES, 0.0)
    less = 0.0
    for row in rows:
        if row.points < 0:
            less -= row.points
        else:
            out[FAMILY.get(row.rule, "term")] += row.points
    whole = sum(out.values())
    factor = max(0.0, 1 - less / whole) if whole else 0.0
    return {name: points * factor for name, points in out.items() if points}


def words(rows: list[Evidence], most: int = 3) -> str:
    """Say a file's strongest evidence in a few words, each place once."""
    said: dict[str, None] = {}
    for row in rows:
        if row.points < 0:
            continue
        text = (
            row.detail if row.rule.startswith("term") else f"{row.rule}: {row.detail}" if row.detail else row.rule
        )
        if row.rule in ("tagged", "path mentioned"):
            text = row.rule
        said.setdefault(f"{text} l.{row.line}" if row.line else text)
        if len(said) == most:
            break
    if any(r.points < 0 for r in rows):
        said.setdefault(next(r.rule for r in rows if r.points < 0))
    return " · ".join(said)


def as_text(ledger: Ledger, most: int = SHOWN) -> str:
    """Return the ledger as lines of text."""
    if not len(ledger):
        return "No file of the workspace shows any evidence for this request."
    top = max(ledger.scores[0][1], 1e-9)
    width = max(len(_short(path)) for path, _ in ledger.scores[:most])
    lines = []
    for rank, (path, score) in enumerate(ledger.scores[:most], 1):
        rows = ledger.evidence(path)
        bar, said = _bar(families(rows), score / top), invisible.name(words(rows))
        lines.append(f"{rank:3d} {_short(path):{width}s}  {bar:{BAR}s} {score:7.1f}   {said}".rstrip())
    if len(ledger) > most:
        lines.append(f"    … {len(ledger) - most:,} more: ledger.files(), ledger.dataframe()")
    return "\n".join(lines)


def _short(path: str, most: int = 44) -> str:
    shown = invisible.name(path)
    return shown if len(shown) <= most else "…" + shown[-most + 1 :]


def _bar(parts: dict[Family, float], share: float) -> str:
    whole = sum(parts.values())
    cells = max(1, round(BAR * max(share, 0)))
    text, done = "", 0.0
    for name, points in parts.items():
        done += points
        text += SHADES[name] * (round(cells * done / whole) - len(text))
    return text


def as_html(ledger: Ledger, most: int = SHOWN) -> str:
    """Return the ledger as HTML: no scripts, everything from the workspace escaped."""
    if not len(ledger):
        return f"<div class='loom-ledger'>{escape(as_text(ledger))}</div>"
    top = max(ledger.scores[0][1], 1e-9)
    used: dict[str, None] = {}
    files = []
    for rank, (path, score) in enumerate(ledger.scores[:most], 1):
        rows = ledger.evidence(path)
        shares = gains(rows)
        used.update(dict.fromkeys(r.rule for r in rows))
        files.append(_html_file(rank, path, score, score / top, rows, shares))
    shown = sorted(used, key=lambda rule: ORDER.get(rule, len(ORDER)))
    legend = "".join(
        f"<span title='{escape(SENTENCE.get(rule, ''), quote=True)}'>{_chip(rule)} {escape(rule)}</span>"
        for rule in shown
        if not rule.endswith("counts less")
    )
    count = f"{len(ledger):,} files show evidence" if len(ledger) > 1 else "1 file shows evidence"
    more = f", the first {most} here" if len(ledger) > most else ""
    return (
        f"<style>{STYLE}{''.join(_colour(rule) for rule in shown)}</style><div class='loom-ledger'>"
        f"<div class='h'><strong>{escape(ledger.query)}</strong> <span>{count}{more}</span></div>"
        f"{''.join(files)}<div class='k'>{legend}</div></div>"
    )


def escape(text: str, quote: bool = False) -> str:
    """Return text as HTML in which nothing is hidden or set as mathematics; `quote` for attributes."""
    shown = escaped(invisible.name(text), quote=quote)
    return shown if quote else shown.replace("$", "<bdi>$</bdi>").replace("\\(", "<bdi>\\</bdi>(")


def gains(rows: list[Evidence]) -> dict[str, float]:
    """Add up a file's points by rule, in the order of the families; what is taken away shortens all alike."""
    out: dict[str, float] = {}
    less = 0.0
    for row in sorted(rows, key=lambda r: ORDER.get(r.rule, len(ORDER))):
        if row.points < 0:
            less -= row.points
        elif row.points:
            out[row.rule] = out.get(row.rule, 0.0) + row.points
    whole = sum(out.values())
    factor = max(0.0, 1 - less / whole) if whole else 0.0
    return {rule: points * factor for rule, points in out.items()}


def _class(rule: str) -> str:
    return f"r{ORDER.get(rule, 'x')}"


def _chip(rule: str) -> str:
    return f"<i class='c {_class(rule)}'></i>"


def _colour(rule: str) -> str:
    """Return the style of a rule: its family's colour, and more or less of the ground."""
    family = FAMILY.get(rule, "term")
    place = [r.name for r in TABLE if r.family == family and r.points > 0]
    tint = TINTS[place.index(rule) % len(TINTS)] if rule in place else 40
    colour = COLOURS[family]
    return (
        f".loom-ledger .{_class(rule)}{{background:{colour};"
        f"background:color-mix(in srgb,{colour} {tint}%,var(--ground))}}\n"
    )


def _html_file(
    rank: int, path: str, score: float, share: float, rows: list[Evidence], shares: dict[str, float]
) -> str:
    whole = sum(shares.values()) or 1.0
    bar = "".join(
        f"<i class='{_class(rule)}' style='width:{width:.1f}%' "
        f"title='{escape(rule, quote=True)} {points:.1f}'></i>"
        for rule, points in shares.items()
        if (width := 100 * max(share, 0) * points / whole) >= 0.5
    )
    table = "".join(_html_row(r) for r in rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        rest = rows[MOST_ROWS:]
        table += (
            f"<span class='n'>{_points(sum(r.points for r in rest))}</span><i></i>"
            f"<span>{len(rest)} more rows</span><span></span>"
        )
    shown, title = escape(path), escape(path, quote=True)
    return (
        f"<details><summary><span class='n'>{rank}</span><span class='f' title='{title}'>{shown}</span>"
        f"<span class='b'>{bar}</span><span class='n'>{score:.1f}</span>"
        f"<span class='w'>{escape(words(rows))}</span></summary><div class='e'>{table}</div></details>"
    )


def _html_row(row: Evidence) -> str:
    said = escape(SENTENCE.get(row.rule, ""), quote=True)
    where = f"{escape(row.symbol or '')}{f' l.{row.line}' if row.line else ''}"
    return (
        f"<span class='n'>{_points(row.points)}</span>{_chip(row.rule)}"
        f"<span title='{said}'>{escape(row.rule)}</span>"
        f"<span>{escape(row.detail)} <span class='s'>{where}</span></span>"
    )


def _points(points: float) -> str:
    """Say points with a sign; what is worth next to nothing still is not nothing."""
    return (f"{points:+.1f}" if abs(points) >= 0.1 else f"{points:+.2f}").replace("-", "\N{MINUS SIGN}")
