"""What Tab offers after ``%loom`` and ``%%loom``: commands, flags, paths, models and run ids."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from loom_jupyter import commands
from loom_jupyter.arguments import UsageError, nearest
from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    from loom_jupyter.loom import Loom

SHOWN = 200
"""Most paths offered at once."""
_LINE = re.compile(r"(?:[\w\s,.\[\]]++=)?\s*+(%%?loom\s.*)")
_OF_PROPOSAL = ("accept", "diff", "undo")


def install(ipython: Any, workspace: Callable[[], Loom], task_flags: Iterable[str]) -> None:
    """Offer completions in a shell, and nothing else: no Python name fits there."""
    flags = list(task_flags)

    def offer(context: Any) -> Any:
        line = _LINE.match(context.text_until_cursor)
        found: list[str] = []
        if line:
            with contextlib.suppress(LoomError, OSError):  # Tab never complains
                found = offers(line[1], workspace, flags)
        last = context.text_until_cursor.rpartition(" ")[2]
        return {
            "completions": [SimpleCompletion(text, type="magic") for text in found],
            "matched_fragment": last,
            "ordered": True,
            "suppress": True,
        }

    matchers = ipython.Completer.custom_matchers
    matchers[:] = [known for known in matchers if getattr(known, "matcher_identifier", "") != "loom"]
    matchers.append(context_matcher(identifier="loom")(offer))


def offers(text: str, workspace: Callable[[], Loom], task_flags: list[str]) -> list[str]:
    """Return what can stand for the last word of `text`."""
    words = text.replace("\t", " ").split(" ")
    last, before = words[-1], [word for word in words[1:-1] if word]
    found = _candidates(words[0], before, last, workspace, task_flags)
    return [offer for offer in found if offer.startswith(last)][:SHOWN]


def _candidates(
    magic: str, before: list[str], last: str, workspace: Callable[[], Loom], task_flags: list[str]
) -> list[str]:
    value = _value_of(before[-1] if before else "", last, workspace)
    if value is not None:
        return value
    if magic == "%%loom":
        return task_flags
    if not before:
        return list(commands.COMMANDS)
    command = commands.COMMANDS.get(before[0])
    if command is None:
        return []
    return command.flags() if last.startswith("-") else _argument(command.name, workspace)


def _value_of(flag: str, last: str, workspace: Callable[[], Loom]) -> list[str] | None:
    """Return what may follow a flag; None if it takes nothing that is known."""
    if flag == "--tag":
        return _paths(workspace().root, last)
    if flag == "--model":
        return workspace().model_names()
    if flag == "--run":
        return workspace().run_ids()
    if flag == "--log":
        return ["off"]
    return ["auto", "cell"] if flag == "--check" else None


def _argument(command: str, workspace: Callable[[], Loom]) -> list[str]:
    if command in _OF_PROPOSAL:
        run = workspace().last_run()
        return list(run.proposal.diffs) if run is not None and run.proposal is not None else []
    if command == "model":
        return workspace().model_names()
    if command == "replay":
        return workspace().run_ids()
    return list(commands.COMMANDS) if command == "help" else []


def _paths(root: Path, begun: str) -> list[str]:
    """Return the entries of the folder that `begun` names, folders with a slash at their end."""
    folder = begun.rpartition("/")[0]
    place = root / folder
    if not place.is_dir():
        return []
    entries = sorted(entry for entry in place.iterdir() if not entry.name.startswith("."))
    return [entry.relative_to(root).as_posix() + ("/" if entry.is_dir() else "") for entry in entries]


# ``--format``: variables of the notebook in the words of a task.

_PLAIN = re.compile(r"[^\W\d]\w*(?:\.[^\W\d_]\w*)*")


def interpolated(text: str, names: Mapping[str, Any]) -> str:
    """Put values in place of ``{name}``, ``{name.attribute}`` and ``{name:format}``; ``{{`` stands for a brace.

    Nothing else is carried out: no index, no call, no conversion.

    Raises
    ------
    UsageError
        If a name is missing, or braces hold more than a name.
    """
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise UsageError(
            f"--format cannot read the braces of the task ({error}); write {{{{ for a brace."
        ) from error
    return "".join(
        before + ("" if field is None else _value(field, spec or "", conversion, names))
        for before, field, spec, conversion in parts
    )


def _value(field: str, spec: str, conversion: str | None, names: Mapping[str, Any]) -> str:
    if not _PLAIN.fullmatch(field) or conversion or "{" in spec:
        shown = field + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        raise UsageError(
            f"--format takes a name, its attributes and a format; {{{shown}}} is more: give it a name first."
        )
    name, *attributes = field.split(".")
    if name not in names:
        known = [known for known in names if not known.startswith("_")]
        raise UsageError(f"There is no variable {name!r} in this notebook{_near(name, known)}")
    value = names[name]
    for attribute in attributes:
        if not hasattr(value, attribute):
            raise UsageError(f"{name!r} has no attribute {attribute!r}{_near(attribute, dir(value))}")
        value = getattr(value, attribute)
    try:
        return format(value, spec)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{{{field}:{spec}}} cannot be formatted: {error}.") from error


def _near(word: str, known: list[str]) -> str:
    found = nearest(word, known)
    return found if "Did you mean" in found else "."
