"""HTML elements whose text is text: only what this module made counts as markup."""

from __future__ import annotations

from collections.abc import Iterable

from loom_jupyter.ui.plain import markup, text_markup


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
        ``aria_label="x"`` becomes ``aria-label``; True stands without a value, False is left out.
    """
    if cls:
        attributes = {"class": " ".join(f"loom-{word}" for word in cls.split()), **attributes}
    given = "".join(_attribute(key.replace("_", "-"), value) for key, value in attributes.items())
    return Html(f"<{name}{given}>{join(children, sep)}</{name}>")


def join(children: Iterable[str], sep: str = "") -> Html:
    """Return `children` one after the other."""
    return Html(sep.join(child if isinstance(child, Html) else text_markup(child) for child in children if child))


def prose(text: str) -> Html:
    """Return a sentence; what stands between backticks in it is set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner
        return join([text])
    return join(tag("code", part) if n % 2 else part for n, part in enumerate(parts))


def _attribute(name: str, value: str | bool) -> str:
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{markup(value)}"'
