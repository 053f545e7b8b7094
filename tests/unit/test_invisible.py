"""What nobody sees is shown, in every view alike."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import FIXTURES
from rich.console import Console

from loom_jupyter.events import ProposedFile
from loom_jupyter.invisible import exact, name, visible
from loom_jupyter.runs.compose import change
from loom_jupyter.ui import html, status, terminal, text

# Text, and how it is shown.
SAMPLES = json.loads(FIXTURES.joinpath("hidden.json").read_text("utf-8"))
HIDDEN = {
    "tag": "\U000e0041",
    "soft hyphen": "\u00ad",
    "hangul filler": "\u3164",
    "half-width filler": "\uffa0",
    "choseong filler": "\u115f",
    "variation selector": "\ufe01",
    "variation selector 16": "\ufe0f",
    "variation selector 256": "\U000e01ef",
    "mongolian selector": "\u180b",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "zero-width non-joiner": "\u200c",
    "word joiner": "\u2060",
    "invisible times": "\u2062",
    "byte order mark": "\ufeff",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "arabic letter mark": "\u061c",
    "no-break space": "\u00a0",
    "thin space": "\u2009",
    "ogham space": "\u1680",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "next line": "\u0085",
    "braille blank": "\u2800",
    "grapheme joiner": "\u034f",
    "khmer vowel": "\u17b4",
    "private": "\ue000",
    "private, far": "\U0010fffd",
    "not a character": "\uffff",
    "not assigned": "\U000e0fff",
    "half a character": "\udc80",
    "escape": "\x1b[8m",
    "bell": "\x07",
    "carriage return": "\r",
    "delete": "\x7f",
    "musical": "\U0001d173",
    "annotation": "\ufff9",
    "shorthand": "\U0001bca0",
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_every_view_of_a_diff_shows_it(kind: str) -> None:
    sign = HIDDEN[kind]
    unified = f"--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x = 1\n+x{sign}y = 1\n"
    file = change(ProposedFile(path="a.py", added=1, removed=1, diff=unified))
    console = Console(width=200, force_terminal=False, record=True)
    console.print(terminal.diff(file))
    whole = status.diff({"a.py": unified})
    for view in (text.diff(file), html.diff(file), console.export_text(), str(whole), whole._repr_html_()):
        assert f"x⟨U+{ord(sign[0]):04X}⟩" in view
        assert f"x{sign}" not in view


@pytest.mark.parametrize("kind", HIDDEN)
def test_every_view_of_a_path_shows_it(kind: str) -> None:
    path = f"a{HIDDEN[kind]}b.py"
    file = change(ProposedFile(path=path, added=1, removed=0, diff=""))
    console = Console(width=200, force_terminal=False, record=True)
    console.print(terminal.diff(file))
    for view in (text.diff(file), html.diff(file), console.export_text()):
        assert f"a⟨U+{ord(path[1]):04X}⟩" in view
        assert path not in view


@pytest.mark.parametrize("given", SAMPLES)
def test_samples_are_shown_in_this_way(given: str) -> None:
    assert exact(given) == SAMPLES[given]


@pytest.mark.parametrize(
    "given",
    [
        "naïve café Ωμέγα Привет 东西、日本語\u3000カタカナ 한국어 ไทย ខ្មែរ",
        "שלום عربي می\u200cخواهم क्\u200dष നമസ്കാരം",
        "👩\u200d💻 ❤\ufe0f ✌🏽 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3 🇨🇭 →✓±€ “x” ‘y’ – — …",
        "e\u0301 tab\there",
    ],
)
def test_ordinary_text_stays_as_it_is(given: str) -> None:
    assert exact(given) == given


@given(st.text())
def test_what_is_shown_once_stays(given: str) -> None:
    assert exact(exact(given)) == exact(given)
    assert visible(exact(given)) == exact(given)
    assert "\n" not in name(given)


@pytest.mark.parametrize("given", ["costs $5 and $6", r"\(x\) and \[y\]", r"\begin{x}y\end{x}", "$$z$$"])
def test_no_text_of_a_run_is_set_as_mathematics(given: str) -> None:
    made = status.Shown(given)._repr_html_()
    pieces = [piece.partition(">")[2] for piece in made.partition("</style>")[2].split("<")]
    for piece in pieces:
        assert piece.count("$") < 2
        assert not any(mark in piece for mark in ("\\(", "\\[", "\\begin"))
        assert "$" not in piece or piece == "$"
