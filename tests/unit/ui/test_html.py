from __future__ import annotations

from html.parser import HTMLParser

import pytest
from any_events import EVENTS, HOSTILE
from hypothesis import HealthCheck, given, settings
from scripted_runs import opening, search, stamped, whole

from loom_jupyter import events as ev
from loom_jupyter.events import RunState
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs.compose import compose
from loom_jupyter.runs.view import RunView, view_of
from loom_jupyter.ui import html, text
from loom_jupyter.ui.html import Links

ALLOWED = {"div", "span", "b", "i", "ol", "ul", "li", "pre", "details", "summary", "code", "a", "bdi"}
ATTRIBUTES = {
    "class", "href", "style", "title", "role", "tabindex", "open",
    "aria-hidden", "aria-label", "aria-live", "aria-valuemin", "aria-valuemax", "aria-valuenow",
}  # fmt: skip


class Page(HTMLParser):
    """Reads HTML and complains about anything that is not closed or not expected."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.feed(page.replace(html.style(), ""))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        assert {name for name, _ in attrs} <= ATTRIBUTES
        href = dict(attrs).get("href") or ""
        assert ":" not in href
        assert not href.startswith("/")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_shows_steps_evidence_and_diff() -> None:
    said = Page(html.page(compose(view_of(whole()), 2000))).text
    for words in (
        "Architect", "change: 2 kg costs the small price",
        "1 of 41 files · 1 target · 1,140 tok", "412 tok · 27/s",
        "14 passed", "before: 1 failed, 13 passed", "tiny · window 16k · 2.0 of 24 GB", "if weight <= 2:",
        "tariff() l.1", "31.0", "+7", "2 more files", "Waiting for your review",
    ):  # fmt: skip
        assert words in said


def test_the_five_steps_are_there_from_the_first_moment() -> None:
    said = Page(html.page(compose(RunView(), 0))).text
    assert all(name in said for name in ("Architect", "Explorer", "Coder", "Check", "Review"))


def test_diff_lines_carry_number_sign_and_colour_class() -> None:
    page = html.page(compose(view_of(whole()), 2000))
    assert '<span class="loom-removed"><i>    2</i><b> − </b>    if weight &lt; 2:\n</span>' in page
    assert '<span class="loom-added"><i>    2</i><b> + </b>    if weight &lt;= 2:\n</span>' in page


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_whatever_the_events_say_is_text_in_every_view(events: list[ev.Event]) -> None:
    shown = compose(view_of(events), 2e9)
    for part in (html.page(shown, Links("../project")), html.announcement(shown), html.stream(shown)):
        Page(part)
        assert "\x1b" not in part
        assert "\u202e" not in part
    plain = text.page(shown)
    assert "\x1b" not in plain
    assert "\u202e" not in plain


@pytest.mark.parametrize("hostile", [*HOSTILE, "x" * 1_000_000, "a\n" * 50_000])
def test_hostile_text_in_every_field_stays_text_and_stays_small(hostile: str) -> None:
    row = ev.EvidenceRow(path=hostile, rule=hostile, points=3, detail=hostile, family=hostile)
    proposed = ev.ProposedFile(path=hostile, added=1, removed=0, diff=f"@@ -1 +1 @@ {hostile}\n+{hostile}")
    events: list[ev.Event] = [
        ev.Started(task=hostile, root=hostile, check=hostile, model=hostile, budget=1),
        ev.Noticed(text=hostile),
        ev.Failed(text=hostile),
        ev.LedgerMade(files=[ev.RankedFile(rank=1, path=hostile, score=3, rows=[row])], total=1),
        ev.NodeText(node=Node.CODER, text=hostile),
        ev.CheckFinished(stage="proposal", passed=False, summary=hostile, seconds=1, output=hostile),
        ev.ProposalMade(summary=hostile, files=[proposed], passed=False, answer=hostile[:100]),
        ev.StateChanged(state=RunState.FAILED, reason=hostile),
    ]
    shown = compose(view_of(stamped(events)), 2000)
    page = html.page(shown, Links("."))
    Page(page)
    assert len(page) < 150_000
    assert len(text.page(shown)) < 150_000


def test_a_failure_says_what_was_tried_what_came_closest_and_what_to_do_in_that_order() -> None:
    events = stamped([*opening(), *search(False), ev.Failed(text="Choose a smaller model.")])
    view = view_of([*events, ev.StateChanged(state=RunState.FAILED, ts=1002)])
    said = Page(html.page(compose(view, 2000))).text
    places = [
        said.index(words)
        for words in ("2 candidates tried", "Last candidate to reach the check", "Choose a smaller model.")
    ]
    assert places == sorted(places)


def test_an_answer_is_shown() -> None:
    answer = ev.ProposalMade(summary="answered", files=[], passed=None, answer="Because <b>weight</b>.")
    shown = compose(view_of(stamped([*opening(), answer, ev.StateChanged(state=RunState.ACCEPTED)])), 2000)
    assert "Because <b>weight</b>." in Page(html.page(shown)).text
    assert "Answered" in text.page(shown)


def test_progress_and_announcement_are_there_for_screen_readers() -> None:
    view = view_of(stamped([ev.Started(task="x", root="/", model="m", budget=10), *opening()]))
    now = 1000 + 0.1 * (len(opening()) + 1)
    shown = compose(view, now + 5)
    assert 'role="progressbar"' in html.page(shown)
    assert 'aria-valuenow="50.0"' in html.page(shown)
    assert "Loom: Coder is running" in html.announcement(shown)
    assert 'aria-live="polite"' in html.announcement(shown)
    assert html.announcement(shown) == html.announcement(compose(view_of([*stamped(opening())]), now))


def test_the_stream_is_the_end_of_what_is_being_written() -> None:
    lines = "".join(f"line {n}\n" for n in range(100))
    said = Page(html.stream(compose(view_of(stamped([ev.NodeText(node=Node.CODER, text=lines)])), 1000))).text
    assert "line 99" in said
    assert "line 9\n" not in said


def test_while_the_coder_searches_its_candidates_are_the_stream() -> None:
    events = stamped([*opening(), *search(False)[:-2]])
    said = Page(html.stream(compose(view_of(events), 1000))).text
    assert "Coder is trying" in said
    assert "  1  refused    line in tariff.py: syntax\n  2  failed     line in tariff.py: 1 failed" in said
    assert "Candidates" in Page(html.page(compose(view_of(whole()), 2000))).text
