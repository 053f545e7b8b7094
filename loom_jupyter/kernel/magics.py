"""``%loom`` and ``%%loom``: the notebook's door."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError as IPythonUsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Bool, Float, Unicode

from loom_jupyter import commands
from loom_jupyter.arguments import Parser, UsageError, notebook_flags, split
from loom_jupyter.errors import LoomError
from loom_jupyter.kernel import completion
from loom_jupyter.kernel.tracker import KernelTracker, track

if TYPE_CHECKING:
    import argparse

    from loom_jupyter.loom import Loom
    from loom_jupyter.notebook_state import NotebookState
    from loom_jupyter.runs.run import Run

PATIENCE = 0.2
"""Seconds between two looks at a run that is waited for."""


@magics_class
class LoomMagics(Magics):
    """What ``%config LoomMagics`` can set."""

    root = Unicode("", help="Folder of the workspace; empty: the project around the current directory.").tag(
        config=True
    )
    model = Unicode("", help="Catalog name or path of a GGUF file; empty: the workspace's or the default.").tag(
        config=True
    )
    budget = Float(0.0, help="Seconds that the Coder may search; 0: the workspace's setting.").tag(config=True)
    notebook = Bool(True, help="Whether this notebook is evidence: last exception, cells, live variables.").tag(
        config=True
    )

    def __init__(self, shell: Any, **settings: Any) -> None:
        super().__init__(shell, **settings)
        self._shell = shell
        self._looms: dict[Path, Loom] = {}

    @no_var_expand
    @line_cell_magic
    def loom(self, line: str, cell: str | None = None) -> Any:
        """Hand a task to Loom, or ask what became of one.

        A task::

            %%loom [--tag PATH]… [--check CMD] [--apply] [--ask] [--no-ask] [--plan] [--commit]
                   [--cell] [--format] [--wait] [--model NAME] [--budget SECONDS] [--values] [NAME]
            What should be different, in your own words.

        The cell returns at once. Architect, Explorer and Coder work in the background and show themselves under
        the cell; nothing is written before Accept. Stop works at every moment.

        --tag PATH        This file matters; may be given several times.
        --check CMD       Passes once the task is solved (such as "pytest -q"); it runs in a copy of the
                          workspace, for every candidate. `auto`: the examples in the cell ("f(2)
                          gives 7, I expect 5") that fail now, and the nearest tests.
                          `cell`: the cells that ran in this notebook, up to the one that
                          failed, in a fresh kernel.
        --apply           Write the changes without review if the check passes, or if there is none.
        --ask             Only answer; change nothing.
        --no-ask          Never ask back. Otherwise the Architect may ask one question, if nothing in the
                          cell can be acted on; the run waits for `%loom answer`. With --apply or --wait,
                          and where nobody is there (nbconvert), it never asks.
        --plan            Wait until you have looked at the task, and changed it if need be.
        --commit          Commit what is accepted: one git commit of these files, by your identity.
        --cell            Write a cell of this notebook instead of files: the one that your words name
                          (In [5]), else the one that failed, else a new one.
        --format          Put {variables} of the notebook into the task: {name}, {name.attribute},
                          {name:.2f}. Without it, braces stay as they are.
        --wait            Block until nothing is running, and fail if the run fails, so that
                          Run All stops there. Interrupting the kernel stops the run.
        --model NAME      A name from `%loom model`, or the path of a GGUF file.
        --budget SECONDS  How long the Coder may search.
        --values          Show the model short forms of the values of variables that the task names, with
                          secrets masked; without it their types, shapes and columns.
        NAME              Variable that gets the run.

        Afterwards::

            %loom fix [FLAGS]      explain and repair the last exception; the flags are those of %%loom
            %loom                  where the workspace and its newest run stand
            %loom ledger           the run's evidence, as a DataFrame
            %loom ledger WORDS…    a ranking for these words; no model is involved
            %loom diff [PATH]…     the proposed changes
            %loom accept [PATH]…   write them into the workspace; --merged: also into files that
                                   changed since, where your changes and these do not touch
            %loom reject           drop them
            %loom undo [PATH]…     restore every byte that accept replaced
            %loom cell             put the cell that a run wrote below this one
            %loom reload           load the changed modules of the workspace again, and say which
                                   objects are of the old ones
            %loom replay [RUN]     re-execute a run from its recording, without the model;
                                   --model NAME gives its map to another model
            %loom answer WORDS     answer what the Architect asks; without words it guesses
            %loom plan             the run's task; --ok, --goal, --accept, --term, --intent go on with it
            %loom stop             end the run that is at work
            %loom runs [N]         the newest runs, as a DataFrame
            %loom sql QUERY        query index, ledger and runs
            %loom sql --tables     what there is to query, column by column
            %loom model            where the model's memory goes, and which models fit here
            %loom model NAME|auto  choose a model; auto takes the largest that serves
            %loom model --unload   give its memory back
            %loom trust            what the workspace's settings would run or send; --yes lets them
            %loom index            bring the index up to date
            %loom doctor           look whether everything is there; --log writes a log for bug
                                   reports, --log off ends it
            %loom help [COMMAND]

        The notebook is evidence too: the last exception, the modules it has loaded, earlier cells and the live
        variables that the task names. ``%config LoomMagics.notebook = False`` turns that off.

        Commands about a run mean the newest one; --run ID names another. The results of commands can be assigned:
        ``ledger = %loom ledger``. The workspace is the innermost folder around the current directory that holds
        a ``.git`` or a ``pyproject.toml``; ``%config LoomMagics.root = "…"`` names another.
        """
        try:
            return self._line(line) if cell is None else self._cell(line, cell)
        except LoomError as error:
            from loom_jupyter.invisible import visible  # an error may show lines of a file

            raise IPythonUsageError(visible(str(error))) from None

    # --- %%loom ---

    def _cell(self, line: str, cell: str) -> None:
        args = _task_parser("%%loom").parse(split(line))
        if not cell.strip():
            raise UsageError("The cell is empty; write under %%loom what should be different.")
        _require_sense(args)
        task = cell.strip()
        if args.format:
            from loom_jupyter.kernel.completion import interpolated

            task = interpolated(task, self._shell.user_ns)
        self._carry_out(args, task, self._notebook(task, values=args.values))

    def _carry_out(self, args: argparse.Namespace, task: str, notebook: NotebookState | None) -> None:
        run = self._start(args, task, notebook)
        if args.name:
            self._shell.user_ns[args.name] = run
        if args.wait:
            _wait(run, live=self._live)
            if args.apply and run.state.value == "review":
                raise UsageError(
                    "Nothing was written: the check of the settings is not trusted and did not run (%loom trust)."
                )
            if run.state.value == "accepted":
                self._put_cell(run)

    def _put_cell(self, run: Run) -> None:
        """Put the cell that a run wrote below the one that is being run, or at the next prompt."""
        if run.proposal is not None and run.proposal.cell is not None:
            self._shell.set_next_input(run.proposal.cell.source)

    def _notebook(self, task: str, *, values: bool) -> NotebookState | None:
        """Return what this notebook knows about a task, unless that is turned off."""
        if not self.notebook or not self.workspace().trust().settings.notebook:
            return None
        return self.tracker.state(task, self.workspace().root, values=values)

    @property
    def tracker(self) -> KernelTracker:
        """What follows this shell."""
        return track(self._shell)

    @property
    def _live(self) -> bool:
        """Whether a front end shows widgets; terminal IPython has no kernel."""
        return hasattr(self._shell, "kernel")

    @property
    def _attended(self) -> bool:
        """Whether somebody is there: nbconvert and papermill say that nobody can type."""
        return bool(getattr(self._shell.kernel, "_allow_stdin", True)) if self._live else sys.stdin.isatty()

    def _start(self, args: argparse.Namespace, task: str, notebook: NotebookState | None) -> Run:
        from loom_jupyter.ui.panel import Reloading, panel

        # Something to see before anything heavy is imported.
        shown = panel(task, live=self._live, reloading=Reloading(_loaded, self._reload))
        try:
            loom = self.workspace()
            run = loom.run(
                task,
                tagged=[_from(loom.root, tag) for tag in args.tag],
                check=args.check,
                apply=args.apply,
                ask=args.ask,
                commit=args.commit,
                questions=self._attended and not (args.no_ask or args.wait or args.apply),
                plan=args.plan and self._attended,
                cell=args.cell,
                model=args.model or self.model or None,
                budget=args.budget or self.budget or None,
                notebook=notebook,
            )
        except BaseException:  # no panel without a run
            shown.close()
            raise
        shown.follow(run)
        return run

    # --- %loom ---

    def _line(self, line: str) -> Any:
        words = _words(line.strip())
        command = commands.find(words[0] if words else "status")
        if "--help" in words[1:]:
            command, words = commands.COMMANDS["help"], ["help", command.name]
        args = command.parse("%loom", words[1:])
        if command.name == "fix":
            return self._fix(args)
        if command.name == "reload":
            return self._reloaded(commands.pick_run(self.workspace(), args.run))
        said = command.act(self.workspace(), args)
        if command.name in ("accept", "cell"):
            self._put_cell(commands.pick_run(self.workspace(), args.run))
        return said

    def _reloaded(self, run: Run) -> Any:
        from loom_jupyter.ui.status import Shown

        return Shown(self._reload(run))

    def _reload(self, run: Run) -> str:
        """Load again what a run changed of the kernel's modules, and say what came of it."""
        from loom_jupyter.kernel.reload import reload

        return reload(Path(run.request.root), _changed(run), self._shell.user_ns)

    def _fix(self, args: argparse.Namespace) -> None:
        """Start a run whose task is the last exception."""
        from loom_jupyter.kernel import traceback

        _require_sense(args)
        loom = self.workspace()
        whole = self.notebook and loom.settings.notebook
        failure = self.tracker.last_exception(loom.root)
        if failure is None:
            raise UsageError("There is no exception to fix: none was raised in this notebook yet.")
        files = bool(args.tag or args.apply or args.commit)
        what = traceback.wanted(failure, ask=args.ask, cell=args.cell, files=files, check=args.check)
        args.ask, args.cell = what == "answer", what == "cell"
        task = traceback.task(failure, what)
        notebook = self.tracker.state(task, loom.root, values=args.values, fix=True)
        self._carry_out(args, task, notebook if whole else notebook.only_failure())

    def workspace(self) -> Loom:
        """Return the workspace of the current directory (or of ``%config LoomMagics.root``)."""
        from loom_jupyter.loom import Loom

        root = Path(self.root).expanduser().resolve() if self.root else commands.workspace(Path.cwd())
        if root not in self._looms:
            self._looms[root] = Loom(root)
        return self._looms[root]


def _words(line: str) -> list[str]:
    """Split a line; a query, and an answer in the user's own words, stay as they are written."""
    command, _, rest = line.partition(" ")
    if command == "sql" or (command == "answer" and "--" not in rest and rest.strip()[:1] not in ("'", '"')):
        return [command, rest.strip()] if rest.strip() else [command]
    return split(line)


def _from(root: Path, tag: str) -> str:
    """Return a tag as the workspace names it, where it names a file as seen from the current directory."""
    here = Path.cwd() / tag
    if (root / tag).exists() or not here.exists() or not here.resolve().is_relative_to(root):
        return tag
    return here.resolve().relative_to(root).as_posix()


def _require_sense(args: argparse.Namespace) -> None:
    if args.name is not None and not args.name.isidentifier():
        raise UsageError(f"{args.name!r} cannot name a variable; the task goes on the lines below.")
    if args.plan and args.wait:
        raise UsageError("--plan waits for you and --wait holds the cell until you are done; give one of them.")


def _changed(run: Run) -> list[str]:
    return list(run.proposal.diffs) if run.proposal is not None else []


def _loaded(root: Path, paths: list[str]) -> int:
    """Return how many modules of the kernel come from these files."""
    from loom_jupyter.kernel.reload import loaded

    return len(loaded(root, paths))


def _task_parser(prog: str) -> Parser:
    parser = Parser(prog=prog)
    notebook_flags(parser)
    parser.add_argument("--format", action="store_true")
    return parser


def _wait(run: Run, *, live: bool) -> None:
    """Block until nothing is at work; what was awaited and failed must stop the cells below."""
    if live:
        _block(run)
    else:
        from loom_jupyter.ui import terminal

        terminal.follow(run)
    if run.state.value in ("failed", "stopped"):
        raise UsageError(run.error or f"Run {run.id} was stopped.")
    if run.proposal is not None and run.proposal.passed is False:
        raise UsageError("No candidate passed the check; the best one waits for review, nothing was written.")


def _block(run: Run) -> None:
    try:
        while not run.wait(PATIENCE):
            pass
    except KeyboardInterrupt:
        run.stop()
        raise


def register(ipython: Any) -> None:
    """Add ``%loom`` and ``%%loom`` to a shell, with completion, and teach it to show runs."""
    track(ipython)
    magics = LoomMagics(ipython, parent=ipython)
    ipython.register_magics(magics)
    ipython.configurables.append(magics)
    completion.install(ipython, magics.workspace, _task_parser("%%loom").flags())
    threading.Thread(target=_warm, name="loom-warm", daemon=True).start()
    formatters = ipython.display_formatter.formatters
    formatters["text/html"].for_type_by_name("loom_jupyter.runs.run", "Run", _run_html)
    formatters["text/plain"].for_type_by_name("loom_jupyter.runs.run", "Run", _run_text)


def _warm() -> None:
    """Import what the first task needs while the user still writes it."""
    import loom_jupyter.kernel.evidence
    import loom_jupyter.loom
    import loom_jupyter.ui.panel

    loom_jupyter.loom.warm()


def _run_html(run: Run) -> str:
    from loom_jupyter.ui.status import of_run

    return of_run(run)._repr_html_()


def _run_text(run: Run, printer: Any, _cycle: bool) -> None:
    from loom_jupyter.ui.status import of_run

    printer.text(str(of_run(run)))
