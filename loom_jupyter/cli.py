"""``jupyter loom``: the terminal's door."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loom_jupyter import __version__, commands
from loom_jupyter.arguments import Parser, UsageError, nearest, task_parser
from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    from loom_jupyter.loom import Loom

DONE, FAILED, MISUSED = 0, 1, 2
DOOR = "jupyter loom"
RUN_USAGE = """\
run [--tag PATH]… [--check CMD] [--apply | --yes] [--ask] [--no-ask] [--plan] [--commit]
    [--model NAME] [--budget SECONDS] TASK…
    --apply writes the changes without review, and --yes accepts them without asking: if the check passes, or if
    there is none.
"""
EXIT = """
Exit status: 0 if it was done or waits for your review; 1 if it failed or was stopped, if the check still fails,
or if --yes or --apply wrote nothing; 2 if the command line made no sense.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line.

    Returns
    -------
    int
        0 if it was done, 1 if it failed, 2 if it made no sense; see `EXIT`.
    """
    if os.environ.get("LOOM_LOG", "0") not in ("", "0"):
        from loom_jupyter import log_file  # heavy: settings and patterns of secrets

        log_file.switch(on=True)
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except LoomError as error:
        from loom_jupyter.invisible import visible  # an error may show lines of a file

        print(f"jupyter loom: {visible(str(error))}", file=sys.stderr)
        return MISUSED if isinstance(error, UsageError) else FAILED
    except KeyboardInterrupt:
        return FAILED


def _main(words: list[str]) -> int:
    root, words = _root(words)
    if not words or words[0] in ("-h", "--help", "help"):
        return _help(words[1:])
    if words[0] == "--version":
        print(__version__)
        return DONE
    if words[0] == "run":
        return _run(root, words[1:])
    if words[0] not in commands.COMMANDS:
        raise UsageError(f"Unknown command {words[0]!r}{nearest(words[0], ['run', *commands.COMMANDS])}")
    command = commands.COMMANDS[words[0]]
    if "--help" in words or "-h" in words:
        return _help([command.name])
    loom, args = _loom(root), command.parse(DOOR, words[1:])
    if command.name == "trust" and not (args.yes or args.revoke):
        _ask_trust(loom)
    else:
        _show(command.act(loom, args))
    return DONE


def _ask_trust(loom: Loom) -> None:
    """Show what waits for the user's word, and ask for it where somebody can give it."""
    trust = loom.trust()
    print(commands.trusted(trust))
    if trust.granted or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    try:
        said = input("Trust these settings in this folder? [y/N] ")
    except EOFError:
        said = ""
    if said.strip().lower() in ("y", "yes"):
        trust.grant()
        print("Trusted.")


def _root(words: list[str]) -> tuple[Path, list[str]]:
    """Take a leading ``--root PATH`` off."""
    if words[:1] != ["--root"]:
        return commands.workspace(Path.cwd()), words
    if len(words) == 1:
        raise UsageError(f"{DOOR}: --root needs the folder of a project.")
    return Path(words[1]), words[2:]


def _loom(root: Path) -> Loom:
    from loom_jupyter.loom import Loom

    return Loom(root)


def _help(words: list[str]) -> int:
    if words and words[0] != "run":
        print(f"{DOOR} {commands.find(words[0]).manual()}")
        return DONE
    print(f"{DOOR} [--root PATH] COMMAND …\n\n{RUN_USAGE}" + ("" if words else f"{commands.manual()}\n") + EXIT)
    return DONE


def _run(root: Path, words: list[str]) -> int:
    parser = _run_parser()
    if "--help" in words or "-h" in words:
        return _help(["run"])
    args = parser.parse(words)
    task = sys.stdin.read() if args.task == ["-"] else " ".join(args.task)
    if not task.strip():
        raise UsageError(f"The task is empty; say what should be different: {DOOR} run 'make it so'.")
    from loom_jupyter.ui import terminal

    loom = _loom(root)
    untrusted = args.check is None and "check" in loom.trust().waiting
    run = loom.run(
        task,
        tagged=args.tag,
        check=args.check,
        apply=args.apply,
        ask=args.ask,
        commit=args.commit,
        questions=sys.stdin.isatty() and not (args.no_ask or args.apply or args.yes),
        plan=args.plan and sys.stdin.isatty(),
        model=args.model,
        budget=args.budget,
    )
    state = terminal.follow(run)
    if state.value == "review":
        held = "the check of this workspace's settings is not trusted (`jupyter loom trust`)" if untrusted else ""
        state = terminal.review(run, yes=args.yes, held=held)
    unsolved = args.yes or args.apply or (run.proposal is not None and run.proposal.passed is False)
    return FAILED if state.value in ("failed", "stopped") or (state.value == "review" and unsolved) else DONE


def _run_parser() -> Parser:
    parser = task_parser(f"{DOOR} run")
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("task", nargs="*")
    return parser


def _show(result: Any) -> None:
    """Print what a command returned: tables whole, everything else as it is."""
    if not hasattr(result, "to_string"):
        print(result)
    else:
        print("Nothing found." if result.empty else result.to_string(index=False))


if __name__ == "__main__":
    sys.exit(main())
