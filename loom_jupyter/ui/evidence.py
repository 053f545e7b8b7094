"""The Evidence Ledger's top files as HTML: a stacked bar a file, which opens to its rows."""

from __future__ import annotations

from loom_jupyter.events import EvidenceRow, RankedFile
from loom_jupyter.runs.view import RunView
from loom_jupyter.ui import families, figures, plain
from loom_jupyter.ui.links import NOWHERE, Links
from loom_jupyter.ui.tags import Html, prose, tag

FILES_SHOWN = 6
ROWS_SHOWN = 30


def evidence(view: RunView, is_open: bool = True, links: Links = NOWHERE) -> Html:
    """Return the section; while there is no ledger yet, its place."""
    if not view.files:
        return _awaited() if view.at_work else Html()
    shown = view.files[:FILES_SHOWN]
    longest = max(file.score for file in shown)
    total = max(view.total, len(view.files))
    title = tag("summary", "Evidence", tag("span", figures.counted(total, "file"), cls="dim"))
    files = tag("div", *(_file(file, longest, links) for file in shown), cls="evidence")
    left = total - len(shown)
    more = (
        tag("div", prose(f"{figures.counted(left, 'more file')}: `%loom ledger`"), cls="dim more")
        if left
        else Html()
    )
    return tag(
        "details",
        title,
        files,
        more,
        _legend(shown),
        cls="section awaited" if view.at_work else "section",
        open=is_open,
    )


def _awaited() -> Html:
    title = tag("div", "Evidence", cls="title")
    hint = tag("div", "The files that matter, and why, as soon as the workspace has been searched.", cls="dim")
    return tag("div", title, hint, cls="section awaited")


def _file(file: RankedFile, longest: float, links: Links) -> Html:
    path, why = plain.path(file.path), plain.line(families.why(file), 200)
    summary = tag(
        "summary",
        tag("span", str(file.rank), cls="rank"),
        tag("span", links.to(file.path, _first_line(file)), cls="path", title=path),
        tag("span", *(_share(share) for share in families.shares(file, longest)), cls="bar", aria_hidden="true"),
        tag("span", figures.points(file.score), cls="score"),
        tag("span", why, cls="why dim", title=why),
    )
    return tag("details", summary, tag("ul", *(_row(row, links) for row in file.rows[:ROWS_SHOWN]), cls="rows"))


def _share(share: families.Share) -> Html:
    title = f"{share.family} {share.points:g}"
    return tag("span", cls=f"f-{share.family}", style=f"width: {share.width * 100:.1f}%", title=title)


def _row(row: EvidenceRow, links: Links) -> Html:
    return tag(
        "li",
        tag("span", cls=f"chip f-{families.family_of(row)}", aria_hidden="true"),
        tag("span", plain.line(row.rule, 60)),
        tag("span", f"{row.points:+g}", cls="points"),
        tag("span", _place(row, links), cls="dim"),
    )


def _place(row: EvidenceRow, links: Links) -> Html:
    said = families.place(row)
    return links.to(row.path, row.line, said) if row.line else tag("span", plain.line(said, 200))


def _first_line(file: RankedFile) -> int | None:
    """Return the line of the strongest evidence that has one."""
    placed = [row for row in file.rows if row.line]
    return max(placed, key=lambda row: row.points).line if placed else None


def _legend(shown: tuple[RankedFile, ...]) -> Html:
    used = {families.family_of(row) for file in shown for row in file.rows if row.points > 0}
    chips = (tag("span", tag("i", cls=f"chip f-{kind}"), kind) for kind in families.FAMILIES if kind in used)
    return tag("div", *chips, cls="legend", aria_hidden="true")
