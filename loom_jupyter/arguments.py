"""Command lines of notebook and terminal: what is wrong with one is said in a sentence, with the nearest name."""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
from collections.abc import Sequence
from typing import Any, NoReturn

from loom_jupyter.errors import LoomError


class UsageError(LoomError):
    """A command line that Loom does not understand."""


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose problems are one sentence with the nearest name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"add_help": False, "allow_abbrev": False, **settings})

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse `words`.

        Raises
        ------
        UsageError
            If they make no sense.
        """
        args, rest = self.parse_known_args(words)
        if rest:
            flags = self.flags()
            kind = "flag" if rest[0].startswith("-") else "argument"
            raise UsageError(f"{self.prog} has no {kind} {rest[0]!r}{nearest(rest[0], flags)}")
        return args

    def flags(self) -> list[str]:
        """Return the flags that it knows."""
        return [name for action in self._actions for name in action.option_strings]

    def error(self, message: str) -> NoReturn:
        """Raise instead of ending the process."""
        raise UsageError(f"{self.prog}: {message.removeprefix('argument ')}.")


def nearest(word: str, known: Sequence[str]) -> str:
    """Return the end of a sentence that names the known words closest to `word`, or all of them."""
    close = difflib.get_close_matches(word, known, n=2, cutoff=0.5)
    if close:
        return f". Did you mean {' or '.join(close)}?"
    return f". Known: {', '.join(known)}." if known else "."


def split(line: str) -> list[str]:
    """Split a command line into words, as a shell would.

    Raises
    ------
    UsageError
        If a quote is not closed.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if os.name == "nt":
        lexer.escape = ""  # C:\paths
    try:
        return list(lexer)
    except ValueError as error:
        raise UsageError(f"A quote is not closed in {line.strip()!r}; close it.") from error


def task_parser(prog: str) -> Parser:
    """Return the parser of what starts a run."""
    parser = Parser(prog=prog)
    task_flags(parser)
    return parser


def task_flags(parser: Parser) -> None:
    """Add the flags of what starts a run."""
    parser.add_argument(
        "--tag", action="append", default=[], metavar="PATH", help="file that matters (repeatable)"
    )
    parser.add_argument(
        "--check",
        metavar="CMD",
        help="command that passes once the task is solved; 'auto' finds one, 'cell' runs the notebook's cells",
    )
    parser.add_argument(
        "--apply", action="store_true", help="write the changes without review if the check passes"
    )
    parser.add_argument("--ask", action="store_true", help="only answer; change nothing")
    parser.add_argument("--no-ask", action="store_true", help="never ask back; go on with the best guess")
    parser.add_argument("--plan", action="store_true", help="let me look at the task before the search for places")
    parser.add_argument("--commit", action="store_true", help="commit what is accepted, and nothing else")
    parser.add_argument("--model", metavar="NAME", help="catalog name or path of a GGUF file")
    parser.add_argument("--budget", type=_seconds, metavar="SECONDS", help="time that the Coder may search")


def notebook_flags(parser: Parser) -> None:
    """Add the flags of what starts a run in a notebook."""
    task_flags(parser)
    for flag in ("--cell", "--wait", "--values"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("name", nargs="?")


def _seconds(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is not a positive number of seconds (for example 60)")
    return value


def positive(word: str) -> int:
    """Read a whole number above 0."""
    if not word.isdecimal() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"{word!r} is not a positive whole number (for example 20)")
    return int(word)
