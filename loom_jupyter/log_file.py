"""The log file for bug reports: ``%loom doctor --log`` switches it on, for this process."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from loom_jupyter.secrets import masked
from loom_jupyter.settings import data_dir

VARIABLE = "LOOM_LOG"
"""Environment variable that switches the log on for every command of a terminal."""
SIZE, FILES = 1 << 20, 3
KEPT = 10
"""Logs of earlier processes that stay."""
_logger = logging.getLogger("loom_jupyter")
_handler: _PrivateHandler | None = None


class _PrivateHandler(RotatingFileHandler):
    """Writes files that nobody else can read."""

    def _open(self) -> io.TextIOWrapper:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        return os.fdopen(os.open(self.baseFilename, flags, 0o600), "a", encoding="utf-8", errors="replace")


class _Formatter(logging.Formatter):
    """Masks secrets; of an exception it tells the type and the places, for its message may hold anything."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))

    def formatException(  # noqa: N802 - logging's name
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        frames = traceback.extract_tb(ei[2])
        places = [f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
        return "\n".join([*places, ei[0].__name__ if ei[0] is not None else ""])


def switch_on() -> Path:
    """Write what Loom does in this process to a file, and return its path.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    global _handler
    if _handler is not None:
        return Path(_handler.baseFilename)
    folder = data_dir() / "logs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _tidy(folder)
    handler = _PrivateHandler(folder / f"loom-{os.getpid()}.log", maxBytes=SIZE, backupCount=FILES - 1)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s [%(threadName)s] %(message)s"))
    _logger.addHandler(handler)
    _logger.setLevel(logging.DEBUG)
    _handler = handler
    return Path(handler.baseFilename)


def switch_off() -> Path | None:
    """Stop writing, and return the path of the file that was written; None if the log was off."""
    global _handler
    if _handler is None:
        return None
    handler, _handler = _handler, None
    _logger.removeHandler(handler)
    _logger.setLevel(logging.NOTSET)
    handler.close()
    return Path(handler.baseFilename)


def switch(on: bool) -> str:
    """Switch the log on or off, and say so in one sentence."""
    if not on:
        path = switch_off()
        return "The log is off." if path is None else f"The log is off; it is in {path}."
    try:
        path = switch_on()
    except OSError as error:
        return f"The log cannot be written ({error.strerror or error}); set JUPYTER_DATA_DIR to a writable folder."
    return (
        f"Logging to {path} until this process ends or `doctor --log off`; no code, prompts or keys are written. "
        f"In a terminal, {VARIABLE}=1 logs every command. The server writes to Jupyter's own log."
    )


def _tidy(folder: Path) -> None:
    """Delete all but the newest logs of earlier processes."""

    def age(file: Path) -> Any:
        with contextlib.suppress(OSError):
            return file.stat().st_mtime
        return 0.0

    for file in sorted(folder.glob("loom-*.log*"), key=age, reverse=True)[KEPT * FILES :]:
        with contextlib.suppress(OSError):
            file.unlink()
