"""The one model that this process keeps loaded, lent to one run at a time."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loom_jupyter.errors import Cancelled
from loom_jupyter.models import catalog, download
from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.models.overview import overview
from loom_jupyter.models.protocol import Model, ModelError

if TYPE_CHECKING:
    from loom_jupyter.models.memory import MemoryPlan
    from loom_jupyter.models.servers.openai import Server
    from loom_jupyter.settings import NamedModel

_logger = logging.getLogger(__name__)
Progress = Callable[[str, float], None]
POLL = 0.05  # seconds between looks at `cancel` while another run has the model
OVERDUE = 5.0  # seconds after which a run that was stopped and still has the model, because it hangs, loses it


@dataclass(frozen=True, slots=True)
class _How:
    """How a model is asked for, apart from which: window, name of the key, device."""

    n_ctx: int | None
    key: str | None
    device: str | None


class Host:
    """Keeps a model loaded between runs and exchanges it when another is asked for.

    Attributes
    ----------
    idle
        Seconds after which an unused model is unloaded; None keeps it until the process ends.
    """

    def __init__(self) -> None:
        self.idle: float | None = None
        self._turn = threading.Lock()
        self._borrower: threading.Event | None = None
        self._taking = threading.Lock()
        self._timer: threading.Timer | None = None
        self._model: LlamaCpp | Server | None = None
        self._key: tuple[Path | str, _How] | None = None
        self._auto: str | None = None  # what "auto" came to while this model is loaded

    @property
    def auto(self) -> bool:
        """Whether the loaded model was chosen as the largest that serves."""
        return self._auto is not None

    @property
    def model(self) -> LlamaCpp | Server | None:
        """The loaded model, if any."""
        return self._model

    @contextmanager
    def acquire(
        self,
        name_or_path: str | Path | None = None,
        on_progress: Progress | None = None,
        cancel: threading.Event | None = None,
        log: Path | None = None,
        *,
        n_ctx: int | None = None,
        named: Mapping[str, NamedModel] | None = None,
        device: str | None = None,
    ) -> Iterator[Model]:
        """Lend the model to one run; a second caller waits for its turn.

        Parameters
        ----------
        name_or_path
            Catalog name, GGUF file or address of a server; ``"auto"`` is the largest that serves here, None the
            catalog's default.
        on_progress
            Called with a phase (``"download"``, ``"verify"``, ``"plan"``, ``"load"``) and the share done.
        cancel
            Set by another thread to stop waiting, fetching or loading.
        log
            File that receives llama.cpp's log.
        n_ctx
            Window; None takes the largest that fits.
        named
            Models of the user's own, by name.
        device
            ``"CPU"`` or a GPU's name; None takes the GPUs that llama.cpp can use, if any.

        Raises
        ------
        ModelError
            If the model cannot be found or loaded.
        Cancelled
            If `cancel` was set.
        """
        turn = self._wait_for_turn(cancel)
        self._borrower = cancel
        try:
            self._stay()
            # Nobody's settings say where a model of the catalog is.
            known = str(name_or_path) in catalog.entries()
            own = None if known else (named or {}).get(str(name_or_path))
            if own is not None:
                name_or_path, n_ctx = own.place, n_ctx or own.window
            how = _How(n_ctx, own.key if own is not None else None, device)
            yield self._loaded(name_or_path, how, on_progress or _silent, cancel, log)
        finally:
            if turn is self._turn:
                self._borrower = None
                if self._model is not None:
                    self._model.stop_calls_with(None)
                self._leave_after_a_while()
            turn.release()

    def _wait_for_turn(self, cancel: threading.Event | None) -> threading.Lock:
        """Wait until nobody has the model, and return the lock that says so."""
        stopped: float | None = None  # since when its borrower should have given it back
        while True:
            turn = self._turn
            if turn.acquire(timeout=POLL):
                if turn is self._turn:
                    return turn
                turn.release()
                continue
            if cancel is not None and cancel.is_set():
                raise Cancelled
            if self._borrower is None or not self._borrower.is_set():
                stopped = None
                continue
            stopped = stopped or time.monotonic()
            if time.monotonic() - stopped > OVERDUE:
                self._take_away(turn)

    def _take_away(self, turn: threading.Lock) -> None:
        """End the model under a run that was stopped and hangs; it must not make all later ones wait."""
        with self._taking:
            if turn is self._turn:
                _logger.warning("a run that was stopped still hangs; its model is loaded again for the next one")
                self._turn, self._borrower = threading.Lock(), None
                self._drop()

    def unload(self, *, wait: bool = True) -> bool:
        """Give the model's memory back; the next run loads it again.

        Returns
        -------
        bool
            False if a run uses the model and is not waited for.
        """
        turn = self._turn
        if not turn.acquire(blocking=wait):
            return False
        try:
            self._drop()
        finally:
            turn.release()
        return True

    def close(self) -> None:
        """End the model's process now, even under a run."""
        self._drop()

    def _stay(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave_after_a_while(self) -> None:
        if self.idle is not None and self._model is not None:
            self._timer = threading.Timer(self.idle, self._leave)
            self._timer.daemon = True
            self._timer.start()

    def _leave(self) -> None:
        self.unload(wait=False)  # else it is in use again

    def _loaded(
        self,
        name_or_path: str | Path | None,
        how: _How,
        on_progress: Progress,
        cancel: threading.Event | None,
        log: Path | None,
    ) -> Model:
        name = catalog.resolve_name(None if name_or_path is None else str(name_or_path))
        auto = name == catalog.AUTO
        if auto:
            name = self._best(how.device, on_progress, cancel)
        where = name if catalog.is_url(name) else download.locate(name, on_progress, cancel)
        key = (where, how)
        if self._model is not None and self._key == key and self._model.alive:
            with contextlib.suppress(ModelError):  # it died since: load it again
                self._model.stop_calls_with(cancel)
                if log is not None:
                    self._model.log_to(log)
                return self._model
        self._drop()
        began = time.monotonic()
        on_progress("plan", 0.0)
        if isinstance(where, str):
            from loom_jupyter.models.servers.ollama import connect

            self._model = connect(where, n_ctx=how.n_ctx, key=how.key, cancel=cancel)
        else:
            self._model = LlamaCpp(
                where,
                how.n_ctx,
                name=download.name_of(where),
                on_progress=lambda share: on_progress("load", share),
                cancel=cancel,
                log=log,
                device=how.device,
            )
        self._key, self._auto = key, name if auto else None
        self._model.stop_calls_with(cancel)
        info, seconds = self._model.info, time.monotonic() - began
        _logger.info("model loaded: %d tokens of window on %s in %.1f s", info.n_ctx, info.device, seconds)
        return self._model

    def _best(self, device: str | None, on_progress: Progress, cancel: threading.Event | None) -> str:
        """Name the largest model that serves here; what is loaded for that reason stays."""
        if self._auto is not None and self._model is not None and self._model.alive:
            return self._auto
        self._drop()
        on_progress("plan", 0.0)
        return overview(device=device, cancel=cancel).best

    def _drop(self) -> None:
        model, self._model, self._key, self._auto = self._model, None, None, None
        if model is not None:
            _logger.info("model unloaded")
            model.close()


def _silent(_phase: str, _fraction: float) -> None:
    pass


_host = Host()
atexit.register(_host.close)
acquire = _host.acquire
unload = _host.unload


def unload_after(seconds: float | None) -> None:
    """Unload the model when no run has used it for so long; None keeps it."""
    _host.idle = seconds


def loaded() -> LlamaCpp | Server | None:
    """Return the model that is loaded now, if any."""
    return _host.model


def standing(name: str | None) -> tuple[int, MemoryPlan | None]:
    """Return the bytes that the loaded model holds, and how it was loaded if it is the one of that name."""
    model = _host.model
    if not isinstance(model, LlamaCpp) or not model.alive:
        return 0, None
    same = name in (model.info.name, str(model.path)) or (name == catalog.AUTO and _host.auto)
    return model.held, model.plan if same else None
