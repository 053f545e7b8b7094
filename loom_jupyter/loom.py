"""`Loom`: one workspace — root, settings, index, model and runs. The only object that knows all rooms."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loom_jupyter.errors import LoomError
from loom_jupyter.settings import Settings, workspace_dir
from loom_jupyter.trust import Trust, look

if TYPE_CHECKING:
    import pandas as pd

    from loom_jupyter.context.context_map import ContextMap
    from loom_jupyter.context.index import Index, RefreshReport
    from loom_jupyter.context.ledger import Ledger
    from loom_jupyter.models.overview import Overview
    from loom_jupyter.notebook_state import NotebookState
    from loom_jupyter.runs.replay import Replay
    from loom_jupyter.runs.run import Run


class Loom:
    """A workspace.

    Heavy parts (index, model) open on first use.

    Parameters
    ----------
    root
        Folder of the workspace.
    model
        Catalog name, path of a GGUF file or address of a server; None for the workspace's setting (if it is
        trusted) or the default.

    Attributes
    ----------
    settings
        What counts of the workspace's ``[tool.loom]``: what it would run or send only once `trust` was granted.
    notices
        What the user should know about the settings: what waits for `trust`, and what cannot be used.

    Raises
    ------
    LoomError
        If `root` is not a folder.
    """

    settings: Settings
    notices: tuple[str, ...]

    def __init__(self, root: str | Path = ".", model: str | None = None) -> None:
        self.root = Path(root).expanduser().resolve()
        if not self.root.is_dir():
            raise LoomError(f"{self.root} is not a folder; give the folder of a project.")
        self._chosen = model
        self.trust()
        self._live: dict[str, Run] = {}
        self._refreshed = False
        self._ranked: tuple[float, Ledger] | None = None

    @property
    def model(self) -> str | None:
        """The model of the runs to come: the user's choice, else the settings' if trusted; None: the default."""
        return self._chosen or self.settings.model

    @model.setter
    def model(self, model: str | None) -> None:
        self._chosen = model

    def trust(self) -> Trust:
        """Return what this workspace's settings would run or send, read again from the file.

        Nothing of it counts until the user has looked at it and granted it once: ``loom.trust().grant()``. It
        counts for this folder and these values; when one of them changes, it waits again.
        """
        found = look(self.root, self._take)
        self._take(found)
        return found

    def _take(self, found: Trust) -> None:
        self.settings, self.notices = found.settings, found.notices
        if "index" in self.__dict__:
            self.index.use_rules(self.settings.rules)

    @cached_property
    def folder(self) -> Path:
        """The workspace's data folder: index and runs."""
        return workspace_dir(self.root)

    @cached_property
    def index(self) -> Index:
        """The Context Loom of this workspace."""
        from loom_jupyter.context.index import Index

        return Index(self.root, self.settings, self.folder)

    # --- context ----------------------------------------------------------------------------------------------

    def refresh(self) -> RefreshReport:
        """Bring the index up to date; files of unchanged size and time are not read."""
        report = self.index.refresh()
        self._refreshed = True
        return report

    def rank(
        self,
        text: str,
        tagged: Sequence[str] = (),
        *,
        terms: Sequence[str] = (),
        refresh: bool | None = None,
        notebook: NotebookState | None = None,
    ) -> Ledger:
        """Score the workspace's files for a request. No model is involved; same tree, same text, same ledger.

        Parameters
        ----------
        text
            The request, in the user's words.
        tagged
            Paths that the user points to.
        terms
            More search terms; they may add evidence.
        refresh
            Refresh the index first; by default only if this object has not done so yet.
        notebook
            What the notebook knows that the request comes from.
        """
        if not text.strip():
            raise LoomError("The request is empty; say what you are looking for.")
        if refresh or (refresh is None and not self._refreshed):
            self.refresh()
        ledger = self.index.rank(text, tagged=tuple(tagged), terms=tuple(terms), notebook=notebook)
        self._ranked = (time.time(), ledger)
        return ledger

    def context(self, text: str, budget: int = 4096, tagged: Sequence[str] = ()) -> ContextMap:
        """Return the Context Map that the ranking alone would give, packed into `budget` tokens."""
        ledger = self.rank(text, tagged)
        return self.index.map(ledger, self.index.offers(ledger, limit=3), budget)

    # --- runs -------------------------------------------------------------------------------------------------

    def run(
        self,
        text: str,
        tagged: Sequence[str] = (),
        check: str | None = None,
        apply: bool = False,
        *,
        ask: bool = False,
        commit: bool = False,
        questions: bool = False,
        plan: bool = False,
        cell: bool = False,
        model: str | None = None,
        budget: float | None = None,
        notebook: NotebookState | None = None,
    ) -> Run:
        """Start a run in the background and return it at once.

        Parameters
        ----------
        text
            The task, in the user's words.
        tagged
            Paths that the user points to.
        check
            Command that passes when the task is solved; it runs in a staged copy. ``"auto"``: the
            examples in the text (``f(2)`` gives 7, I expect 5) that fail now, and the nearest tests.
            ``"cell"``: the cells that ran in this notebook, in a fresh kernel, up to the one that failed.
        apply
            Accept without review if the check passes, or if there is none. Where the settings name a check that is
            not trusted, and so did not run, the proposal waits for review.
        ask
            Only answer; change nothing.
        commit
            Commit what is accepted, in one git commit of these files alone, by your identity and hooks.
        questions
            Let the Architect ask one question if the text names nothing that could be acted on; the run waits for
            `Run.answer`. Otherwise it goes on with its best guess.
        plan
            Wait for `Run.approve` before the Explorer begins, so that `Run.plan` can be changed.
        cell
            Write a cell of this notebook instead of files: the one that the text names (``In [5]``), else the one
            that failed, else a new one. Accepting it is the front end's to carry out.
        model
            Catalog name or GGUF path for this run.
        budget
            Seconds that the Coder may search.
        notebook
            What the notebook knows that the task comes from: evidence, kept with the run.
        """
        from loom_jupyter.events import Noticed, RunState, Started, StateChanged
        from loom_jupyter.models import host
        from loom_jupyter.runs.cell_proposal import needed
        from loom_jupyter.runs.files import store, storing, whole
        from loom_jupyter.runs.request import RUN, Request, new_run_id
        from loom_jupyter.runs.run import Run
        from loom_jupyter.runs.runner import start
        from loom_jupyter.secrets import masked

        if not text.strip():
            raise LoomError("The task is empty; write in the cell what should be different.")
        if whole(str(self.root)) != str(self.root):
            raise LoomError(f"The path {whole(str(self.root))} is not valid UTF-8; rename that folder.")
        trusted = self.trust()
        check = check or (None if cell else self.settings.check)
        unchecked = check is None and not cell and "check" in trusted.waiting
        session = needed(self.root, text, check, cell=cell, files=ask or commit)
        request = Request(
            id=new_run_id(),
            task=masked(whole(text.strip())),
            root=str(self.root),
            tagged=tuple(tagged),
            check=self._check(check, text),
            apply=apply and not unchecked,
            ask=ask,
            commit=commit,
            questions=questions,
            plan=plan,
            model=self._model_name(model),
            budget=budget or self.settings.budget,
            created=time.time(),
            session=session,
            notebook=notebook,
            cell=cell,
        )
        request = Request.model_validate(whole(request.model_dump()))
        recovered = self.recover()
        folder = self.folder / "runs" / request.id
        with storing(str(folder)):
            folder.mkdir(parents=True, mode=0o700)
        store(folder / RUN, request)
        run = Run(folder, request)
        run.own()
        self._live[run.id] = run
        run.emit(
            Started(
                task=request.task,
                root=request.root,
                tagged=list(request.tagged),
                check=request.check,
                apply=request.apply,
                model=request.model or "",
                budget=request.budget,
            )
        )
        for notice in trusted.notices:
            waits = notice == trusted.notice
            run.emit(
                Noticed(text=notice, chip="not trusted" if waits else "", command="%loom trust" if waits else "")
            )
        if apply and unchecked:
            run.emit(
                Noticed(
                    text="The check of the settings does not run before you trust it, so --apply waits for you."
                )
            )
        for text in recovered:
            run.emit(Noticed(text=text))
        for text in notebook.notices if notebook is not None else ():
            run.emit(Noticed(text=text))
        run.emit(StateChanged(state=RunState.QUEUED))
        host.unload_after(self.settings.unload_after)
        start(run, lambda: self.index, self.settings, partial(host.acquire, **self._model_options()))
        return run

    def replay(self, run_id: str, model: str | None = None) -> Replay:
        """Re-execute a run from its folder, without the model: it must reach the same proposal, byte for byte.

        Parameters
        ----------
        model
            Run the same map on this model instead, in a staged copy; blocks as long as that takes.

        Raises
        ------
        LoomError
            If the run cannot be replayed: it holds no recording, or a file of its map has changed.
        """
        from loom_jupyter.models import host
        from loom_jupyter.runs.replay import replay, replay_on

        run = self.open_run(run_id)
        if model is None:
            return replay(run)
        self.trust()
        named = self._model_name(model) or model
        cancel = threading.Event()
        acquire_model = partial(host.acquire, **self._model_options())
        try:
            return replay_on(named, run, self.index, self.settings, acquire_model, cancel)
        except KeyboardInterrupt:
            cancel.set()
            raise

    def _model_options(self) -> dict[str, Any]:
        asked = {"named": self.settings.models, "device": self.settings.device}
        return {key: value for key, value in asked.items() if value}

    def recover(self) -> list[str]:
        """Finish or take back what a crash left half written in this workspace, and say so.

        Every run begins with this; what cannot be repaired is said, and keeps no run from beginning.
        """
        from loom_jupyter.runs.review import interrupted

        said = []
        for file in sorted((self.folder / "runs").glob("*/journal/journal.json")):
            folder = file.parent.parent
            try:
                said.append(self.open_run(folder.name).recover() if interrupted(folder) else None)
            except (LoomError, OSError) as error:
                said.append(f"Run {folder.name} may have been interrupted and cannot be opened: {error}")
        return [text for text in said if text is not None]

    def open_run(self, run_id: str) -> Run:
        """Return a run by its id, of this process or from disk."""
        from loom_jupyter.runs.files import read
        from loom_jupyter.runs.request import RUN, Request
        from loom_jupyter.runs.run import Run

        if run_id not in self._live:
            folder = self.folder / "runs" / Path(run_id).name
            try:
                request = Request.model_validate_json(read(folder / RUN))
            except (OSError, ValueError) as error:
                raise LoomError(f"There is no run {run_id!r} here; `%loom runs` lists those there are.") from error
            self._live[run_id] = Run(folder, request)
        return self._live[run_id]

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, newest first."""
        return sorted((f.parent.name for f in (self.folder / "runs").glob("*/run.json")), reverse=True)

    def last_run(self) -> Run | None:
        """Return the newest run, or None."""
        ids = self.run_ids()
        return self.open_run(ids[0]) if ids else None

    def runs(self) -> pd.DataFrame:
        """Return past and present runs, newest first: id, state, task, model, check, seconds, files."""
        import pandas as pd

        from loom_jupyter.events import ProposalMade

        columns = ["id", "created", "state", "task", "model", "check", "seconds", "files"]
        rows = []
        for run_id in self.run_ids():
            run = self.open_run(run_id)
            events = run.events()
            proposed = [e for e in events if isinstance(e, ProposalMade)]
            rows.append(
                {
                    "id": run.id,
                    "created": pd.Timestamp(run.request.created, unit="s"),
                    "state": run.state.value,
                    "task": run.task,
                    "model": run.request.model,
                    "check": run.request.check,
                    "seconds": round(events[-1].ts - events[0].ts, 1) if events else 0.0,
                    "files": ", ".join(f.path for f in proposed[-1].files) if proposed else "",
                }
            )
        texts = dict.fromkeys(("id", "state", "task", "model", "check", "files"), "str")
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype({**texts, "created": "datetime64[ms]", "seconds": "float64"})

    def sql(self, query: str) -> pd.DataFrame:
        """Query index, ledger and runs with SQL; `tables` describes them.

        ``ledger`` is the evidence of the newest ranking or run.
        """
        if not self._refreshed:
            self.refresh()
        words = set(re.findall(r"\w+", query.lower()))
        frames = {"runs": self.runs()} if "runs" in words else {}
        if "ledger" in words:
            frames["ledger"] = self._newest_ledger().dataframe()
        return self.index.sql(query, frames)

    def tables(self) -> pd.DataFrame:
        """Return what `sql` can be asked for: table, column, type, description. A table's own row comes first."""
        import pandas as pd

        from loom_jupyter.context.store import TABLES

        rows = []
        for name, table in TABLES.items():
            rows.append((name, "", "", table.about))
            types = self.sql(f"select column_name, column_type from (describe {name})")
            for column, kind in zip(types["column_name"], types["column_type"], strict=True):
                kind = "VARCHAR" if kind.startswith("ENUM") else kind
                rows.append((name, column, kind.lower(), table.columns[column]))
        return pd.DataFrame(rows, columns=["table", "column", "type", "description"], dtype="str")

    def _newest_ledger(self) -> Ledger:
        from loom_jupyter.context.ledger import Ledger

        asked, ranked = self._ranked or (0.0, Ledger("", [], [], list, list))
        last = self.last_run()
        if last is not None and last.request.created > asked and last.ledger is not None:
            return last.ledger
        return ranked

    def _check(self, command: str | None, task: str) -> str | None:
        """Return the check; ``auto`` stays as it is, for the run finds out what it means."""
        from loom_jupyter.runs.auto_check import AUTO, validate_auto_check

        if command == AUTO:
            validate_auto_check(task, self.root)
        return command

    def _model_name(self, model: str | None) -> str | None:
        """Refuse an unknown model before the run starts, without loading anything."""
        from loom_jupyter.models.catalog import resolve_name
        from loom_jupyter.models.protocol import ModelError

        name = model or self.model
        if name in self.settings.models:
            return name
        try:
            return resolve_name(name)
        except ModelError:
            found = self.trust()  # it may have been trusted elsewhere since
            if name not in found.found.settings.models:
                raise
            if found.granted:
                return name
        raise LoomError(
            f"The model {name!r} is one of this workspace's settings, which are not trusted; `%loom trust` shows "
            "where it would send your code."
        )

    def _place(self) -> str | None:
        """Return where the chosen model is: what stands for a name of the user's own, or the name itself."""
        name = self._model_name(None)
        own = self.settings.models.get(name or "")
        return name if own is None else own.place

    # --- models -----------------------------------------------------------------------------------------------

    def models(self) -> pd.DataFrame:
        """Return the models that have a name: name, chosen, size (bytes), licence, summary."""
        import pandas as pd

        from loom_jupyter.models.catalog import entries

        chosen = self._model_name(None)
        columns = ["name", "chosen", "size", "licence", "summary"]
        rows = [[e.name, e.name == chosen, e.size, e.licence, e.summary] for e in entries().values()]
        return pd.DataFrame(rows, columns=columns)

    def model_names(self) -> list[str]:
        """Return the names that a model can be called by."""
        from loom_jupyter.models.catalog import AUTO, entries

        return [*entries(), *self.settings.models, AUTO]

    def overview(self) -> Overview:
        """Return what this machine can load: a plan for each model of the catalog, and for the chosen one."""
        from loom_jupyter.models import host
        from loom_jupyter.models.overview import overview

        chosen = self._place()
        held, loaded = host.standing(chosen)
        return overview(chosen, device=self.settings.device, loaded=loaded, held=held)

    def use_model(self, model: str) -> None:
        """Choose the model of the runs to come.

        Parameters
        ----------
        model
            A catalog name, a GGUF path or a URL; ``"auto"`` chooses the largest that serves on this machine.
        """
        from loom_jupyter.models.catalog import AUTO

        self.model = self.overview().best if model == AUTO else self._model_name(model)

    def unload(self) -> bool:
        """Give the loaded model's memory back; False if a run uses it."""
        from loom_jupyter.models import host

        return host.unload(wait=False)

    # --- self-test --------------------------------------------------------------------------------------------

    def doctor(self) -> list[tuple[str, bool, str]]:
        """Look at what Loom needs: (name, fine, what was found or what to do)."""
        from loom_jupyter.doctor import examine

        settings = (
            "settings",
            not self.trust().notices,
            " ".join(self.notices) or "nothing in [tool.loom] waits for your trust",
        )
        return [*examine(self.root, self.folder, self._place()), settings]


def warm() -> None:
    """Import what a run needs before its thread begins, so that the first one does not wait for it."""
    import loom_jupyter.models.host
    import loom_jupyter.runs.run
    import loom_jupyter.runs.runner  # noqa: F401
