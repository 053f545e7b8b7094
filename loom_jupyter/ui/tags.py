"""HTML elements whose text is text: only what this module made counts as markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from loom_jupyter.runs.format import visible

# MathJax sets what lies between two of these in one piece of text; an element around one parts them.
_MATHEMATICS = re.compile(r"\$|\\(?=[(\[]|begin\b)")


class Html(str):
    """A string that already is markup."""

    __slots__ = ()


def tag(name: str, *children: str, cls: str = "", sep: str = " ", **attributes: str | bool) -> Html:
    """Return an element.

    Parameters
    ----------
    children
        `Html` goes in as it is, any other string as escaped text.
    cls
        Classes, without the ``loom-`` that each begins with.
    sep
        Put between children, so that they stay apart where no style sheet is applied.
    attributes
        ``aria_label="x"`` becomes ``aria-label``; True is written without a value, False is left out.
    """
    if cls:
        attributes = {"class": " ".join(f"loom-{word}" for word in cls.split()), **attributes}
    given = "".join(_attribute(key.replace("_", "-"), value) for key, value in attributes.items())
    return Html(f"<{name}{given}>{join(children, sep)}</{name}>")


def join(children: Iterable[str], sep: str = "") -> Html:
    """Return `children` one after the other."""
    return Html(sep.join(child if isinstance(child, Html) else _text(child) for child in children if child))


def prose(text: str) -> Html:
    """Return a sentence; what is between backticks in it is set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner
        return join([text])
    return join(tag("code", part) if n % 2 else part for n, part in enumerate(parts))


def markup(text: str) -> str:
    """Return `text` for HTML, as text and never as markup."""
    return html.escape(visible(text), quote=True)


def _text(text: str) -> str:
    """Return `text` for the inside of an element: as `markup` does, and never set as mathematics."""
    return _MATHEMATICS.sub(lambda found: f"<bdi>{found[0]}</bdi>", markup(text))


def _attribute(name: str, value: str | bool) -> str:
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{markup(value)}"'
