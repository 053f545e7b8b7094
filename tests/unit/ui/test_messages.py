"""All words that users see of a run, in one file: a change of any of them is seen in its diff.

After a change: ``make snapshots``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
from places import ROOT

from loom_jupyter.runs.messages import TEXTS

SNAPSHOT = Path(__file__).with_name("snapshots") / "messages.txt"
SIDEBAR = ROOT / "labextension" / "src"
_TRANSLATED = re.compile(r"trans\s*\.\s*_[_n]\(\s*((?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")(?:\s*,\s*'[^']*')?)")
_WORDS = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
# Words that nobody says any more, or that say it crookedly.
_AVOIDED = re.compile(r"\b(anew|mend(s|ed|ing)?|beside|by now|of one's own|whose \w+ stands|no more|is no)\b")


def forms(id: str) -> tuple[str, ...]:
    found = TEXTS[id]
    return (found,) if isinstance(found, str) else found


def of_the_sidebar() -> set[str]:
    """Return the words that only the sidebar says."""
    code = [file.read_text("utf-8") for file in sorted(SIDEBAR.rglob("*.ts*")) if "test" not in file.parts]
    calls = [call for text in code for call in _TRANSLATED.findall(text)]
    return {(one or two).replace("\\'", "'") for call in calls for one, two in _WORDS.findall(call)}


def snapshot() -> str:
    messages = [f"{id:<26} {' | '.join(forms(id))}" for id in sorted(TEXTS)]
    return "\n".join(["# Of a run, by id", *messages, "", "# Of the sidebar", *sorted(of_the_sidebar()), ""])


@cache
def said() -> tuple[tuple[str, str, set[str]], ...]:
    return tuple(_calls())


def _calls() -> Iterator[tuple[str, str, set[str]]]:
    """Yield where a message is said, its id (with ``*`` for what is filled in), and the names of its values."""
    for file in sorted((ROOT / "loom_jupyter").rglob("*.py")):
        text = file.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "say(" in text else ():
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
                for id in _ids(node.args[0]):
                    yield f"{file.name}:{node.lineno}", id, {word.arg or "" for word in node.keywords}


def _ids(argument: ast.expr) -> list[str]:
    match argument:
        case ast.Constant(value=str(id)):
            return [id]
        case ast.IfExp(body=body, orelse=other):
            return _ids(body) + _ids(other)
        case ast.JoinedStr(values=values):
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in values)]
    return []  # a variable: one of a table


def test_the_words_are_those_of_the_snapshot() -> None:
    assert snapshot() == SNAPSHOT.read_text("utf-8")


def test_every_message_that_is_said_is_known_and_given_its_values() -> None:
    for place, id, values in said():
        known = [other for other in TEXTS if fnmatch(other, id)]
        assert known, f"{place} says {id}"
        for other in known:
            asked = {name for form in forms(other) for name in re.findall(r"\{(\w+)\}", form)}
            assert asked <= values, f"{place} says {other} with {values}"


def test_every_message_is_said() -> None:
    used = {id for _, id, _ in said()}
    code = "".join(file.read_text("utf-8") for file in (ROOT / "loom_jupyter" / "runs").glob("compose.py"))
    unused = [id for id in TEXTS if not any(fnmatch(id, other) for other in used) and f'"{id}"' not in code]
    assert unused == []


@pytest.mark.parametrize("text", sorted({*(form for id in TEXTS for form in forms(id)), *of_the_sidebar()}))
def test_words_are_plain(text: str) -> None:
    assert not _AVOIDED.search(text)


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), "utf-8")
    sys.stdout.write(f"{len(TEXTS)} messages written\n")
