"""One query of the user's, run in a process of its own whose memory and time the system bounds.

DuckDB's memory limit counts what its operators hold, not what a function makes of one value, and it looks whether
to stop between values only: `repeat('x', 3000000000)` is neither seen nor stopped. A process can be ended.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loom_jupyter.context.gather import import_places
from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

BOOT = (
    "import pickle, sys; sys.path += pickle.load(sys.stdin.buffer); "
    "from loom_jupyter.context.query import main; main()"
)
# What the process may have beyond what it has when the query begins, and the largest answer, in bytes.
MOST_MEMORY, MOST_ANSWER = 3 << 30, 512 << 20
# Seconds that starting the process and reading the index may take besides the query.
STARTING = 60.0
# Seconds after which a query that was interrupted and goes on is ended, and the exit status that says so.
GRACE, LATE = 2.0, 75
TOO_MUCH = "The query takes more memory than it may; select fewer rows or columns, or shorter texts."


class QueryError(LoomError):
    """The SQL of the user is not valid, asks for more than reading, or takes too much."""


class Answered(NamedTuple):
    """What the process says: a table, or why there is none."""

    table: pd.DataFrame | None
    problem: str = ""


def ask(
    root: Path, answer: Callable[..., pd.DataFrame], given: tuple[object, ...], seconds: float
) -> pd.DataFrame:
    """Call `answer`, a function of a module, with what is `given`, in a process of its own.

    Raises
    ------
    QueryError
        If it raises that, or takes too much time or memory.
    """
    command = [sys.executable, "-E", "-P", "-c", BOOT]
    told = pickle.dumps(import_places(root)) + pickle.dumps((answer, given, seconds))
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as child:
        try:
            out, _ = child.communicate(told, seconds + STARTING)
        except subprocess.TimeoutExpired as error:
            raise QueryError(f"The query took longer than {seconds:g} s; select fewer rows or columns.") from error
        finally:
            child.kill()
    if child.returncode == LATE:
        raise QueryError(f"The query took longer than {seconds:g} s; select fewer rows or columns.")
    try:
        said: Answered = pickle.loads(out)
    except (EOFError, pickle.UnpicklingError) as error:  # the system ended it
        raise QueryError(TOO_MUCH) from error
    if said.table is None:
        raise QueryError(said.problem)
    return said.table


def main() -> None:
    """Answer the one query that standard input holds; the process ends with it."""
    answer, given, seconds = pickle.load(sys.stdin.buffer)
    import duckdb  # noqa: F401 - before memory is bounded
    import pandas as pd  # noqa: F401

    _bound_memory()
    # One value is computed without a look at the clock; only the end of the process ends it.
    clock = threading.Timer(seconds + GRACE, os._exit, (LATE,))
    clock.daemon = True
    clock.start()
    try:
        said = Answered(answer(*given))
    except QueryError as error:
        said = Answered(None, str(error))
    except MemoryError:
        said = Answered(None, TOO_MUCH)
    out = pickle.dumps(said)
    if len(out) > MOST_ANSWER:
        out = pickle.dumps(Answered(None, TOO_MUCH))
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()


def _bound_memory() -> None:
    """Let the system refuse memory; where it cannot, time is the only bound."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MOST_MEMORY, held + MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
