"""``%loom`` and ``%%loom``: the notebook's door."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand
from traitlets import Float, Unicode

from loom_jupyter import verbs
from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    import argparse

    from loom_jupyter.loom import Loom
    from loom_jupyter.runs.run import Run

PATIENCE = 0.2
"""Seconds between two looks at a run that is waited for."""


@magics_class
class LoomMagics(Magics):
    """Settings of ``%loom``."""

    root = Unicode("", help="Folder of the workspace; empty: the project around the current directory.").tag(
        config=True
    )
    model = Unicode("", help="Catalogue name or path of a GGUF file; empty: the default.").tag(config=True)
    budget = Float(0.0, help="Seconds that the Coder may search; 0: the workspace's setting.").tag(config=True)

    def __init__(self, shell: Any, **settings: Any) -> None:
        super().__init__(shell, **settings)
        self._shell = shell
        self._looms: dict[Path, Loom] = {}

    @no_var_expand
    @line_cell_magic
    def loom(self, line: str, cell: str | None = None) -> Any:
        """Hand a task to Loom, or look at what became of one.

        ::

            %%loom [--tag PATH]… [--check CMD] [--apply] [--ask] [--wait] [--model NAME] [--budget SECONDS] [NAME]
            what should be different, in your own words

        The cell returns at once; the run goes on in the background and shows itself under the cell.
        """
        try:
            return self._line(line) if cell is None else self._cell(line, cell)
        except LoomError as error:
            raise UsageError(str(error)) from None

    # --- %%loom ---

    def _cell(self, line: str, cell: str) -> None:
        parser = verbs.task_parser("%%loom")
        parser.add_argument("name", nargs="?")
        args = parser.parse(verbs.split(line))
        if not cell.strip():
            raise verbs.MisuseError("The cell is empty; write under %%loom what should be different.")
        if args.name is not None and not args.name.isidentifier():
            raise verbs.MisuseError(f"{args.name!r} cannot name a variable; the task goes on the lines below.")
        run = self._start(args, cell.strip())
        if args.name:
            self._shell.user_ns[args.name] = run
        if args.wait:
            _wait(run, args.apply)

    def _start(self, args: argparse.Namespace, task: str) -> Run:
        from loom_jupyter.ui.panel import Panel

        panel = Panel(task)
        try:
            run = self.workspace().run(
                task,
                tagged=args.tag,
                check=args.check,
                apply=args.apply,
                model=args.model or self.model or None,
                budget=args.budget or self.budget or None,
            )
        except LoomError:
            panel.close()
            raise
        panel.follow(run)
        return run

    # --- %loom ---

    def _line(self, line: str) -> Any:
        words = verbs.split(line)
        if not words:
            return self._status()
        verb = verbs.VERBS.get(words[0])
        if verb is None:
            raise verbs.MisuseError(f"%loom has no verb {words[0]!r}{verbs.nearest(words[0], list(verbs.VERBS))}.")
        raw = line.strip()[len(verb.name) :].strip()
        args = verb.parse("%loom", [raw] if verb.name == "sql" else words[1:])
        return verb.act(self.workspace(), args)

    def _status(self) -> Any:
        from loom_jupyter.ui.shown import Shown

        loom = self.workspace()
        run = loom.last_run()
        return Shown(f"{loom.root} · {f'run {run.id}: {run.state.value}' if run else 'no run yet'}")

    def workspace(self) -> Loom:
        """Return the workspace of the current directory (or of ``%config LoomMagics.root``)."""
        from loom_jupyter.loom import Loom

        root = Path(self.root).expanduser().resolve() if self.root else verbs.workspace(Path.cwd())
        if root not in self._looms:
            self._looms[root] = Loom(root)
        return self._looms[root]


def _wait(run: Run, apply: bool) -> None:
    """Block until the run is over; what is awaited and fails must stop the cells below."""
    try:
        while not run.wait(PATIENCE):
            pass
    except KeyboardInterrupt:
        run.stop()
        raise
    state = run.state.value
    if state in ("failed", "stopped"):
        raise verbs.MisuseError(run.error or f"Run {run.id} was stopped.")
    if run.proposal is not None and run.proposal.passed is False:
        raise verbs.MisuseError(
            f"No candidate passed the check{'; nothing was applied' if apply else ''}: see the panel."
        )


def register(ipython: Any) -> None:
    """Add ``%loom`` and ``%%loom`` to a shell."""
    magics = LoomMagics(ipython, parent=ipython)
    ipython.register_magics(magics)
    ipython.configurables.append(magics)
