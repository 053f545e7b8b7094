"""The ledger for people: plain text in a terminal, a table of stacked bars in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

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
STYLE = """<style>
.loom-ledger{font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;
color:var(--jp-ui-font-color1,inherit);max-width:62em}
.loom-ledger details{border-bottom:1px solid var(--jp-border-color2,#8884)}
.loom-ledger summary{display:grid;grid-template-columns:2.2em minmax(9em,2fr) minmax(6em,1.2fr) 4.5em 3fr;
gap:.7em;align-items:center;padding:.2em 0;cursor:pointer;list-style:none}
.loom-ledger summary::-webkit-details-marker{display:none}
.loom-ledger .n,.loom-ledger td.p{text-align:right;font-variant-numeric:tabular-nums}
.loom-ledger .f,.loom-ledger .w{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.loom-ledger .f{font-family:var(--jp-code-font-family,monospace)}
.loom-ledger .w{color:var(--jp-ui-font-color2,#888)}
.loom-ledger .b{display:flex;height:.75em}
.loom-ledger .b i,.loom-ledger .k i{display:block;height:100%}
.loom-ledger .k i{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 .9em}
.loom-ledger table{margin:.2em 0 .6em 2.9em;border-collapse:collapse;background:transparent}
.loom-ledger td{padding:.05em .7em;text-align:left;background:transparent;border:none;overflow-wrap:anywhere}
.loom-ledger .k{color:var(--jp-ui-font-color2,#888);padding:.4em 0}
</style>"""


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
        bar = _bar(families(rows), score / top)
        lines.append(f"{rank:3d} {_short(path):{width}s}  {bar:{BAR}s} {score:7.1f}   {words(rows)}".rstrip())
    if len(ledger) > most:
        lines.append(f"    … {len(ledger) - most:,} more: ledger.files(), ledger.dataframe()")
    return "\n".join(lines)


def _short(path: str, most: int = 44) -> str:
    shown = path.encode("unicode_escape").decode() if not path.isprintable() else path
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
    parts = [STYLE, "<div class='loom-ledger'>"]
    used: dict[Family, None] = {}
    for rank, (path, score) in enumerate(ledger.scores[:most], 1):
        rows = ledger.evidence(path)
        shares = families(rows)
        used.update(dict.fromkeys(shares))
        parts.append(_html_file(rank, path, score, score / top, rows, shares))
    more = f" &nbsp; {len(ledger) - most:,} more files" if len(ledger) > most else ""
    legend = "".join(f"<i style='background:{COLOURS[f]}'></i>{f}" for f in FAMILIES if f in used)
    parts.append(f"<div class='k'>{legend}{more}</div></div>")
    return "".join(parts)


def _html_file(
    rank: int, path: str, score: float, share: float, rows: list[Evidence], shares: dict[Family, float]
) -> str:
    whole = sum(shares.values()) or 1.0
    bar = "".join(
        f"<i style='width:{100 * max(share, 0) * points / whole:.1f}%;background:{COLOURS[name]}' "
        f"title='{name} {points:.1f}'></i>"
        for name, points in shares.items()
    )
    table = "".join(
        f"<tr title='{escape(SENTENCE.get(r.rule, ''), quote=True)}'><td class='p'>{r.points:+.1f}</td>"
        f"<td>{escape(r.rule)}</td><td>{escape(r.detail)}</td>"
        f"<td>{escape(r.symbol or '')}{f' l.{r.line}' if r.line else ''}</td></tr>"
        for r in rows
    )
    name = escape(path, quote=True)
    return (
        f"<details><summary><span class='n'>{rank}</span><span class='f' title='{name}'>{name}</span>"
        f"<span class='b'>{bar}</span><span class='n'>{score:.1f}</span>"
        f"<span class='w'>{escape(words(rows))}</span></summary><table>{table}</table></details>"
    )
