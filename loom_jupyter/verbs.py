"""The verbs that notebook and terminal share: their arguments, and what they do with a `Loom`."""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    from loom_jupyter.loom import Loom
    from loom_jupyter.runs.run import Run


class MisuseError(LoomError):
    """A command line that Loom does not understand."""


# --- command lines ---


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose problems are one sentence with the nearest name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"add_help": False, "allow_abbrev": False, **settings})

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse `words`.

        Raises
        ------
        MisuseError
            If they make no sense.
        """
        args, rest = self.parse_known_args(words)
        if rest:
            flags = [name for action in self._actions for name in action.option_strings]
            kind = "flag" if rest[0].startswith("-") else "argument"
            raise MisuseError(f"{self.prog} has no {kind} {rest[0]!r}{nearest(rest[0], flags)}.")
        return args

    def error(self, message: str) -> NoReturn:
        """Raise instead of ending the process."""
        raise MisuseError(f"{self.prog}: {message}.")


def nearest(word: str, known: Sequence[str]) -> str:
    """Return a remark that names the known words closest to `word`, or all of them."""
    close = difflib.get_close_matches(word, known, n=2, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(close)}?"[:-1]
    return f"; it knows {', '.join(known)}" if known else ""


def split(line: str) -> list[str]:
    """Split a command line into words, as a shell would.

    Raises
    ------
    MisuseError
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
        raise MisuseError(f"A quote is not closed in {line.strip()!r}; close it.") from error


def task_parser(prog: str) -> Parser:
    """Return the parser of what starts a run."""
    parser = Parser(prog=prog)
    parser.add_argument(
        "--tag", action="append", default=[], metavar="PATH", help="file that matters (repeatable)"
    )
    parser.add_argument(
        "--check", metavar="CMD", help="command that passes once the task is solved; 'auto' finds one"
    )
    parser.add_argument(
        "--apply", action="store_true", help="write the changes without review if the check passes"
    )
    parser.add_argument("--ask", action="store_true", help="only answer; change nothing")
    parser.add_argument("--wait", action="store_true", help="block until done; raise if the run fails")
    parser.add_argument("--model", metavar="NAME", help="catalogue name or path of a GGUF file")
    parser.add_argument("--budget", type=_seconds, metavar="SECONDS", help="time that the Coder may search")
    return parser


def _seconds(word: str) -> float:
    value = float(word)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds above 0")
    return value


# --- where ---


def workspace(start: Path) -> Path:
    """Return the project that `start` lies in.

    That is the innermost folder, from `start` upwards, that holds a ``.git`` or a ``pyproject.toml``; `start`
    itself where there is none. The home folder is never taken for a project because of dotfiles in it.
    """
    home = Path.home().resolve()
    start = start.resolve()
    for folder in (start, *start.parents):
        if folder == home or folder.parent == folder:
            break
        if (folder / ".git").exists() or (folder / "pyproject.toml").is_file():
            return folder
    return start


def pick_run(loom: Loom, run_id: str | None) -> Run:
    """Return the run of that id, or the newest.

    Raises
    ------
    MisuseError
        If there is none.
    """
    if run_id is None:
        run = loom.last_run()
        if run is None:
            raise MisuseError(f"There is no run in {loom.root} yet; start one with %%loom and a task.")
        return run
    ids = loom.run_ids()
    matches = [known for known in ids if known == run_id] or [known for known in ids if known.endswith(run_id)]
    if len(matches) != 1:
        raise MisuseError(f"There is no run {run_id!r}{nearest(run_id, ids[:50])}.")
    return loom.open_run(matches[0])


# --- what ---

Act = Callable[["Loom", argparse.Namespace], Any]


@dataclass(frozen=True)
class Verb:
    """One verb: `add` declares its arguments, `act` carries it out and returns what is to be shown."""

    name: str
    usage: str
    help: str
    add: Callable[[Parser], None]
    act: Act

    def parse(self, prog: str, words: Sequence[str]) -> argparse.Namespace:
        """Parse the words after the verb."""
        parser = Parser(prog=f"{prog} {self.name}")
        self.add(parser)
        return parser.parse(words)


def _with_run(parser: Parser) -> None:
    parser.add_argument("--run", metavar="ID")


def _with_paths(parser: Parser) -> None:
    _with_run(parser)
    parser.add_argument("paths", nargs="*")


def _with_words(parser: Parser) -> None:
    parser.add_argument("words", nargs="*")


def _with_ledger(parser: Parser) -> None:
    _with_run(parser)
    parser.add_argument("--tag", action="append", default=[])
    parser.add_argument("words", nargs="*")


def _with_count(parser: Parser) -> None:
    parser.add_argument("count", nargs="?", type=int, default=20)


def _with_nothing(_: Parser) -> None:
    pass


def _ledger(loom: Loom, args: argparse.Namespace) -> Any:
    if args.words:
        return loom.rank(" ".join(args.words), args.tag).dataframe()
    run = pick_run(loom, args.run)
    if run.ledger is None:
        raise MisuseError(f"Run {run.id} has no ledger yet; rank words yourself: ledger WORDS.")
    return run.ledger.dataframe()


def _diff(loom: Loom, args: argparse.Namespace) -> Any:
    from loom_jupyter.ui import shown

    run = pick_run(loom, args.run)
    diffs = run.proposal.diffs if run.proposal else {}
    if not diffs:
        raise MisuseError(f"Run {run.id} ({run.state.value}) proposes no changes; there is nothing to show.")
    unknown = [path for path in args.paths if path not in diffs]
    if unknown:
        raise MisuseError(f"{unknown[0]!r} is not in the proposal{nearest(unknown[0], list(diffs))}.")
    return shown.diff({path: text for path, text in diffs.items() if not args.paths or path in args.paths})


def _accept(loom: Loom, args: argparse.Namespace) -> Any:
    run = pick_run(loom, args.run)
    run.accept(args.paths or None)
    return _said(
        f"Accepted: {', '.join(args.paths or run.proposal.diffs if run.proposal else [])}. Undo restores it."
    )


def _reject(loom: Loom, args: argparse.Namespace) -> Any:
    pick_run(loom, args.run).reject()
    return _said("Rejected; nothing was written.")


def _undo(loom: Loom, args: argparse.Namespace) -> Any:
    pick_run(loom, args.run).undo()
    return _said("Undone; the files are byte for byte as they were.")


def _stop(loom: Loom, args: argparse.Namespace) -> Any:
    run = pick_run(loom, args.run)
    if not run.state.at_work:
        return _said(f"Nothing is at work: run {run.id} is {run.state.value}.")
    run.stop()
    return _said(f"Stop was asked of run {run.id}.")


def _runs(loom: Loom, args: argparse.Namespace) -> Any:
    return loom.runs().head(args.count)


def _sql(loom: Loom, args: argparse.Namespace) -> Any:
    if not args.words:
        raise MisuseError("sql needs a query, such as: sql select path, lines from files limit 5.")
    return loom.sql(" ".join(args.words))


def _index(loom: Loom, _: argparse.Namespace) -> Any:
    report = loom.refresh()
    return _said(
        f"{report.files:,} files indexed in {report.seconds:.1f} s ({report.changed:,} changed, "
        f"{report.removed:,} removed) · {loom.root}"
    )


def _doctor(loom: Loom, _: argparse.Namespace) -> Any:
    from loom_jupyter.ui import shown

    return shown.table(
        ["", "what", "found"], [["ok" if fine else "!!", name, text] for name, fine, text in loom.doctor()]
    )


def _said(text: str) -> Any:
    from loom_jupyter.ui.shown import Shown

    return Shown(text)


VERBS = {
    verb.name: verb
    for verb in (
        Verb("ledger", "ledger [WORDS]", "the last run's evidence, or a ranking for words", _with_ledger, _ledger),
        Verb("diff", "diff [PATH]…", "the changes under review", _with_paths, _diff),
        Verb("accept", "accept [PATH]…", "write the changes into the workspace", _with_paths, _accept),
        Verb("reject", "reject", "drop the changes", _with_run, _reject),
        Verb("undo", "undo", "restore the bytes that accept replaced", _with_run, _undo),
        Verb("stop", "stop", "stop the run that is at work", _with_run, _stop),
        Verb("runs", "runs [N]", "the newest runs", _with_count, _runs),
        Verb("sql", "sql QUERY", "query index, ledgers and runs", _with_words, _sql),
        Verb("index", "index", "bring the index up to date", _with_nothing, _index),
        Verb("doctor", "doctor", "look whether everything is there", _with_nothing, _doctor),
    )
}
