"""``--format``: variables of the notebook in the words of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter
from typing import Any

from loom_jupyter.arguments import MisuseError, nearest

_PLAIN = re.compile(r"[^\W\d]\w*(?:\.[^\W\d_]\w*)*")


def interpolated(text: str, names: Mapping[str, Any]) -> str:
    """Put values in place of ``{name}``, ``{name.attribute}`` and ``{name:format}``; ``{{`` stands for a brace.

    Nothing else is carried out: no index, no call, no conversion.

    Raises
    ------
    MisuseError
        If a name is missing, or braces hold more than a name.
    """
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise MisuseError(
            f"--format cannot read the braces of the task ({error}); write {{{{ for a brace."
        ) from error
    return "".join(
        before + ("" if field is None else _value(field, spec or "", conversion, names))
        for before, field, spec, conversion in parts
    )


def _value(field: str, spec: str, conversion: str | None, names: Mapping[str, Any]) -> str:
    if not _PLAIN.fullmatch(field) or conversion or "{" in spec:
        shown = field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        raise MisuseError(
            f"--format takes a name, its attributes and a format; {{{shown}}} is more: give it a name first."
        )
    name, *attributes = field.split(".")
    if name not in names:
        known = [known for known in names if not known.startswith("_")]
        raise MisuseError(f"There is no variable {name!r} in this notebook{_near(name, known)}")
    value = names[name]
    for attribute in attributes:
        if not hasattr(value, attribute):
            raise MisuseError(f"{name!r} has no attribute {attribute!r}{_near(attribute, dir(value))}")
        value = getattr(value, attribute)
    try:
        return format(value, spec)
    except (TypeError, ValueError) as error:
        raise MisuseError(f"{{{field}:{spec}}} cannot be formatted: {error}.") from error


def _near(word: str, known: list[str]) -> str:
    found = nearest(word, known)
    return found if "did you mean" in found else "."
