from __future__ import annotations

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.runs import format
from loom_jupyter.ui.tags import Html, join, markup, prose, tag


def test_terminal_colours_go_and_hidden_characters_get_a_name() -> None:
    assert format.visible("\x1b[1;31mred\x1b[0m") == "red"
    assert format.visible("a\u202eb\x07") == "a⟨U+202E⟩b⟨U+0007⟩"
    assert format.visible("\x1b]8;;http://x\x07link\x1b]8;;\x07") == "link"


def test_ordinary_text_of_any_language_stays() -> None:
    text = "naïve 东西 ‘x’\tשלום 👩‍💻"
    assert format.visible(text) == text


def test_a_line_is_one_line_and_not_endless() -> None:
    assert format.line(" a\n b\t c ") == "a b c"
    assert format.line("x" * 1000, 10) == "x" * 10 + " … (990 more characters)"


@given(st.text())
def test_markup_of_text_reads_as_the_text(text: str) -> None:
    safe = markup(text)
    assert "<" not in safe
    assert unescape(safe) == format.visible(text)


@given(st.text())
def test_children_and_attributes_are_text_unless_they_are_html(text: str) -> None:
    made = tag("b", text, title=text)
    parted = made.count("<bdi>")
    assert made.count("<") == 2 + 2 * parted
    assert made.count('"') == 2
    assert unescape(made.replace("<bdi>", "").replace("</bdi>", "")).endswith(f">{format.visible(text)}</b>")
    assert tag("i", made) == f"<i>{made}</i>"


def test_tags() -> None:
    assert (
        tag("div", "a", "b", cls="x y", aria_label="<") == '<div class="loom-x loom-y" aria-label="&lt;">a b</div>'
    )
    assert tag("details", open=True) == "<details open></details>"
    assert tag("details", open=False) == "<details></details>"
    assert join(["<", Html("<br>")]) == "&lt;<br>"


def test_backticks_set_code() -> None:
    assert prose("see `%loom <x>` now") == "see <code>%loom &lt;x&gt;</code> now"
    assert prose("a ` alone <") == "a ` alone &lt;"
