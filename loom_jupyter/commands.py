"""The commands that notebook and terminal share: their arguments, and what they do with a `Loom`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loom_jupyter.arguments import Parser, UsageError, nearest, notebook_flags, positive
from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    from loom_jupyter.loom import Loom
    from loom_jupyter.runs.run import Run
    from loom_jupyter.trust import Trust
    from loom_jupyter.ui.status import Shown


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
    UsageError
        If there is none.
    """
    if run_id is None:
        run = loom.last_run()
        if run is None:
            raise UsageError(f"There is no run in {loom.root} yet; start one with %%loom and a task.")
        return run
    ids = loom.run_ids()
    matches = [known for known in ids if known == run_id] or [known for known in ids if known.endswith(run_id)]
    if len(matches) != 1:
        raise UsageError(f"Unknown run {run_id!r}{nearest(run_id, ids[:20])}")
    return loom.open_run(matches[0])


# --- what ---

Act = Callable[["Loom", argparse.Namespace], Any]


@dataclass(frozen=True)
class Command:
    """One command: `add` declares its arguments, `act` carries it out and returns what is to be shown."""

    name: str
    usage: str
    help: str
    add: Callable[[Parser], None]
    act: Act

    def parse(self, door: str, words: Sequence[str]) -> argparse.Namespace:
        """Parse the words after the command."""
        return self._parser(f"{door} {self.name}").parse(words)

    def flags(self) -> list[str]:
        """Return the command's flags."""
        return self._parser(self.name).flags()

    def manual(self) -> str:
        """Return the command's line of the manual."""
        return f"{self.name} {self.usage}".strip() + f": {self.help}."

    def _parser(self, prog: str) -> Parser:
        parser = Parser(prog=prog)
        self.add(parser)
        return parser


def _with_run(parser: Parser) -> None:
    parser.add_argument("--run", metavar="ID")


def _with_paths(parser: Parser) -> None:
    _with_run(parser)
    parser.add_argument("paths", nargs="*")


def _with_accept(parser: Parser) -> None:
    parser.add_argument("--merged", action="store_true")
    _with_paths(parser)


def _with_words(parser: Parser) -> None:
    parser.add_argument("words", nargs="*")


def _with_sql(parser: Parser) -> None:
    parser.add_argument("--tables", action="store_true")
    _with_words(parser)


def _with_ledger(parser: Parser) -> None:
    _with_run(parser)
    parser.add_argument("--tag", action="append", default=[])
    parser.add_argument("words", nargs="*")


def _with_count(parser: Parser) -> None:
    parser.add_argument("count", nargs="?", type=positive, default=20)


def _with_model(parser: Parser) -> None:
    parser.add_argument("--unload", action="store_true")
    parser.add_argument("name", nargs="?")


def _with_command(parser: Parser) -> None:
    parser.add_argument("command", nargs="?")


def _with_nothing(_: Parser) -> None:
    pass


def _status(loom: Loom, _: argparse.Namespace) -> Any:
    from loom_jupyter.ui.status import status

    loom.trust()  # what the file says now
    return status(str(loom.root), loom.model, loom.last_run(), loom.notices)


def _ledger(loom: Loom, args: argparse.Namespace) -> Any:
    if args.words:
        return loom.rank(" ".join(args.words), args.tag).dataframe()
    run = pick_run(loom, args.run)
    ledger = run.ledger
    if ledger is None:
        raise UsageError(
            f"Run {run.id} is {run.state.value} and has no ledger; rank words yourself: ledger WORDS."
        )
    return ledger.dataframe()


def _diff(loom: Loom, args: argparse.Namespace) -> Any:
    from loom_jupyter.ui import status

    run = pick_run(loom, args.run)
    diffs = _proposed(run, "show")
    unknown = [path for path in args.paths if path not in diffs]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not in the proposal{nearest(unknown[0], list(diffs))}")
    return status.diff({path: text for path, text in diffs.items() if not args.paths or path in args.paths})


def _proposed(run: Run, command: str) -> dict[str, str]:
    proposal = run.proposal
    if proposal is None or not proposal.diffs:
        raise UsageError(
            f"Run {run.id} is {run.state.value} and proposes no changes: there is nothing to {command}."
        )
    return proposal.diffs


def _accept(loom: Loom, args: argparse.Namespace) -> Any:
    run = pick_run(loom, args.run)
    diffs = _proposed(run, "accept")
    run.accept(args.paths or None, merged=args.merged)
    if run.proposal is not None and run.proposal.cell is not None:
        return _said(f"Accepted: {', '.join(diffs)}.")
    return _said(f"Accepted: {', '.join(args.paths or diffs)}. `undo` restores every byte.")


def _cell(loom: Loom, args: argparse.Namespace) -> Any:
    run = pick_run(loom, args.run)
    if run.proposal is None or run.proposal.cell is None:
        raise UsageError(f"Run {run.id} wrote no cell; %%loom --cell asks for one.")
    return _said(run.proposal.cell.source)


def _reload(_loom: Loom, _: argparse.Namespace) -> Any:
    raise UsageError("reload loads modules of a kernel again: type %loom reload in the notebook.")


def _reject(loom: Loom, args: argparse.Namespace) -> Any:
    pick_run(loom, args.run).reject()
    return _said("Rejected; nothing was written.")


def _undo(loom: Loom, args: argparse.Namespace) -> Any:
    run = pick_run(loom, args.run)
    run.undo(args.paths or None)
    if args.paths:
        return _said(f"Undone in {', '.join(args.paths)}, byte for byte.")
    return _said("Undone; the files are byte for byte as they were.")


def _with_replay(parser: Parser) -> None:
    parser.add_argument("--model", metavar="NAME")
    parser.add_argument("id", nargs="?")


def _replay(loom: Loom, args: argparse.Namespace) -> Any:
    from loom_jupyter.ui import status

    return status.replay(loom.replay(pick_run(loom, args.id).id, model=args.model))


def _with_answer(parser: Parser) -> None:
    _with_run(parser)
    parser.add_argument("words", nargs="*")


def _answer(loom: Loom, args: argparse.Namespace) -> Any:
    run = pick_run(loom, args.run)
    if run.question is None:
        raise UsageError(f"Run {run.id} is {run.state.value} and asks nothing.")
    run.answer(" ".join(args.words))
    return _said("Answered; the run goes on." if args.words else "The run goes on with its best guess.")


def _with_plan(parser: Parser) -> None:
    _with_run(parser)
    parser.add_argument("--ok", action="store_true")
    parser.add_argument("--goal", metavar="WORDS")
    parser.add_argument("--accept", action="append", metavar="WORDS")
    parser.add_argument("--term", action="append", metavar="WORD")
    parser.add_argument("--intent", choices=["change", "create", "explain"])


def _plan(loom: Loom, args: argparse.Namespace) -> Any:
    from loom_jupyter.ui import status

    run = pick_run(loom, args.run)
    given = {"goal": args.goal, "acceptance": args.accept, "terms": args.term, "intent": args.intent}
    changes = {key: value for key, value in given.items() if value is not None}
    if run.plan is None:
        raise UsageError(f"Run {run.id} is {run.state.value} and has no task yet.")
    if not changes and not args.ok:
        return status.plan(run)
    run.approve(**changes)
    return _said("The run goes on with this task.")


def _stop(loom: Loom, args: argparse.Namespace) -> Any:
    run = pick_run(loom, args.run)
    if not run.state.at_work:
        return _said(f"Run {run.id} is not running (state: {run.state.value}).")
    run.stop()
    return _said(f"Stopping run {run.id} …")


def _runs(loom: Loom, args: argparse.Namespace) -> Any:
    return loom.runs().head(args.count)


def _sql(loom: Loom, args: argparse.Namespace) -> Any:
    if args.tables:
        return loom.tables()
    if not args.words:
        raise UsageError("sql needs a query, such as: sql select path from files limit 5.")
    return loom.sql(" ".join(args.words))


def _model(loom: Loom, args: argparse.Namespace) -> Any:
    if args.unload:
        gone = loom.unload()
        return _said("No model is loaded." if gone else "A run uses the model; stop the run, then unload it.")
    if args.name is None:
        return _memory(loom)
    loom.use_model(args.name)
    return _said(f"The runs to come use {loom.model}; it is loaded by the first of them.")


def _memory(loom: Loom) -> Any:
    """Show where the chosen model's memory goes, and the window that each model would get."""
    from loom_jupyter.ui import memory

    try:
        found = loom.overview()
    except LoomError as error:  # without llama.cpp there is no plan, but there are models
        return memory.names(list(loom.models()["name"]), str(error))
    lines = [
        memory.Line(row.name, row.size, row.here, row.chosen, row.window, row.trained, row.plan.total, row.note)
        for row in found.rows
    ]
    return memory.memory(found.title, [memory.Bar(*bar) for bar in found.bars], lines, found.notes)


def _index(loom: Loom, _: argparse.Namespace) -> Any:
    report = loom.refresh()
    return _said(
        f"{report.files:,} files indexed in {report.seconds:.1f} s ({report.changed:,} changed, "
        f"{report.removed:,} removed) · {loom.root}"
    )


def _with_log(parser: Parser) -> None:
    parser.add_argument("--log", nargs="?", const="on", choices=["on", "off"])


def _doctor(loom: Loom, args: argparse.Namespace) -> Any:
    from loom_jupyter import log_file  # heavy: settings and patterns of secrets
    from loom_jupyter.ui import status

    if args.log == "off":
        return _said(log_file.switch(on=False))
    log = [("log", True, log_file.switch(on=True))] if args.log else []
    rows = [["ok" if fine else "!!", name, text] for name, fine, text in [*loom.doctor(), *log]]
    return status.table(["", "what", "found"], rows)


def _with_trust(parser: Parser) -> None:
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--revoke", action="store_true")


def _trust(loom: Loom, args: argparse.Namespace) -> Any:
    trust = loom.trust()
    if args.yes and args.revoke:
        raise UsageError("--yes trusts the settings and --revoke takes that back; give one of them.")
    if args.yes:
        trust.grant()
    elif args.revoke:
        trust.revoke()
    return trusted(trust)


def trusted(trust: Trust) -> Shown:
    """Show what a workspace's settings would run or send, and how to let them or not."""
    from loom_jupyter.invisible import visible
    from loom_jupyter.ui.status import Shown

    lines = [str(trust), *trust.notices[0 if trust.granted else 1 :]]
    if trust.needed and trust.granted:
        lines.append("`trust --revoke` takes that back.")
    elif trust.needed:
        lines.append("If you want that, enter `trust --yes`; otherwise give --check and --model yourself.")
    return Shown(visible("\n".join(lines)))


def _help(_: Loom, args: argparse.Namespace) -> Any:
    if args.command is not None and args.command not in COMMANDS:
        raise UsageError(f"Unknown command {args.command!r}{nearest(args.command, list(COMMANDS))}")
    return _said(manual() if args.command is None else COMMANDS[args.command].manual())


def _said(text: str) -> Any:
    from loom_jupyter.ui.status import Shown

    return Shown(text)


def _fix(_loom: Loom, _: argparse.Namespace) -> Any:
    raise UsageError("fix repairs the last exception of a notebook, and here is none; describe it to: run TASK.")


COMMANDS = {
    command.name: command
    for command in (
        Command("status", "", "where the workspace and its newest run stand", _with_nothing, _status),
        Command(
            "ledger",
            "[--run ID] | WORDS… [--tag PATH]",
            "a run's evidence, or a ranking for words",
            _with_ledger,
            _ledger,
        ),
        Command(
            "fix",
            "[--check CMD] [--ask] [--cell] [--apply] [--wait] [--values] [--model NAME] [--budget S] [NAME]",
            "explain and repair the notebook's last exception",
            notebook_flags,
            _fix,
        ),
        Command("diff", "[PATH]… [--run ID]", "the changes that a run proposes", _with_paths, _diff),
        Command(
            "accept",
            "[PATH]… [--run ID] [--merged]",
            "write the changes (of these files) into the workspace; merged: on top of yours",
            _with_accept,
            _accept,
        ),
        Command("cell", "[--run ID]", "the notebook cell that a run wrote", _with_run, _cell),
        Command(
            "reload", "[--run ID]", "load the modules that a run changed again, in the kernel", _with_run, _reload
        ),
        Command("reject", "[--run ID]", "drop the changes", _with_run, _reject),
        Command("undo", "[PATH]… [--run ID]", "restore the bytes that accept replaced", _with_paths, _undo),
        Command(
            "replay",
            "[RUN] [--model NAME]",
            "re-execute a run from its recording, or its map on another model",
            _with_replay,
            _replay,
        ),
        Command(
            "answer",
            "[WORDS…] [--run ID]",
            "answer what the Architect asks; without words it guesses",
            _with_answer,
            _answer,
        ),
        Command(
            "plan",
            "[--ok] [--goal WORDS] [--accept WORDS]… [--term WORD]… [--intent NAME] [--run ID]",
            "the run's task; changed or with --ok, a run that waits for your approval goes on",
            _with_plan,
            _plan,
        ),
        Command("stop", "[--run ID]", "stop the run that is at work", _with_run, _stop),
        Command("runs", "[N]", "the newest runs", _with_count, _runs),
        Command("sql", "QUERY | --tables", "query index, ledger and runs, or describe them", _with_sql, _sql),
        Command(
            "model",
            "[NAME | auto] [--unload]",
            "where the memory goes and what fits, or choose a model",
            _with_model,
            _model,
        ),
        Command(
            "trust",
            "[--yes | --revoke]",
            "what the settings of this workspace would run or send; --yes lets them",
            _with_trust,
            _trust,
        ),
        Command("index", "", "bring the index up to date", _with_nothing, _index),
        Command(
            "doctor",
            "[--log [off]]",
            "look whether everything is there; --log writes a log for bug reports",
            _with_log,
            _doctor,
        ),
        Command("help", "[COMMAND]", "this list, or one command", _with_command, _help),
    )
}


def find(word: str) -> Command:
    """Return a command by its name.

    Raises
    ------
    UsageError
        If there is none; names the nearest.
    """
    if word not in COMMANDS:
        raise UsageError(f"Unknown command {word!r}{nearest(word, list(COMMANDS))}")
    return COMMANDS[word]


def manual() -> str:
    """Return the commands, a line each."""
    width = max(len(f"{command.name} {command.usage}") for command in COMMANDS.values())
    return "\n".join(
        f"{f'{command.name} {command.usage}':<{width}}  {command.help}" for command in COMMANDS.values()
    )
