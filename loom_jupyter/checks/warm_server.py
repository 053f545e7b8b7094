"""Runs pytest, or a session's cells, again and again in forks of a process that has imported what they need.

A script of its own, started by `warm.Warm` in the check's sandbox, with the check's environment but for the import
path. Only pytest and its installed plugins (or IPython) are imported here, never a module of the workspace; each
run is a fresh fork with its own session, under the check's limits, and all its processes are ended with it. It
takes one JSON argument and is spoken to over the socket that the argument names: for each run a line of JSON and a
file descriptor for the output, ``stop`` to end it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import socket
import stat
import sys
import tempfile
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_PDEATHSIG, _DUMPABLE = 1, 4
# Bytes of the list of modules that a run writes.
_MOST_NAMES = 1 << 18
STOP = b"stop\n"
# Slow to import, and safe to be forked afterwards. What a check imports of them is imported once.
LIBRARIES = frozenset(
    {
        *("attr", "attrs", "bs4", "click", "dateutil", "django", "flask", "httpx", "jinja2", "jsonschema", "lxml"),
        *("matplotlib", "networkx", "numpy", "pandas", "PIL", "pydantic", "pydantic_core", "pygments", "pytz"),
        *("requests", "rich", "scipy", "sklearn", "sqlalchemy", "sympy", "tomli", "urllib3", "werkzeug", "yaml"),
    }
)


def _own(file: str) -> ModuleType:
    """Load a script of Loom's without leaving its name in `sys.modules`, where a workspace may have its own."""
    spec = importlib.util.spec_from_file_location("_loom_part", Path(__file__).parent / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def warm_up_cells() -> None:
    """Import what runs cells in this process."""
    import IPython.core.interactiveshell  # noqa: F401

    gc.collect()
    gc.freeze()


def warm_up() -> None:
    """Have pytest import itself and its plugins, by running it in an empty folder."""
    import pytest

    options = os.environ.pop("PYTEST_ADDOPTS", None)
    home = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="loom-warm-") as folder:
        os.chdir(folder)
        pytest.main(["-q", "--rootdir", folder, folder])
        os.chdir(home)
    if options is not None:
        os.environ["PYTEST_ADDOPTS"] = options
    gc.collect()
    gc.freeze()


class Private:
    """The folders of the sandbox's own: what a run leaves in them goes before the next.

    Parameters
    ----------
    folders
        What lies in another file system does not belong to them: it is mounted there to be shown.
    tree
        The module `loom_jupyter.edits.tree`.
    """

    def __init__(self, folders: list[str], tree: ModuleType) -> None:
        self._tree = tree
        self._held: dict[str, tuple[os.stat_result, frozenset[str]]] = {}
        queue = [folder for folder in folders if Path(folder).is_dir() and not Path(folder).is_symlink()]
        while queue:
            folder = queue.pop()
            info = os.lstat(folder)
            with os.scandir(folder) as entries:
                found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
            self._held[folder] = info, frozenset(name for name, _ in found)
            queue += [
                f"{folder}/{name}"
                for name, inner in found
                if stat.S_ISDIR(inner.st_mode) and inner.st_dev == info.st_dev
            ]

    def restore(self) -> None:
        """Remove what was not there at first.

        Raises
        ------
        OSError
            If a folder is not where it was.
        """
        for folder, (info, names) in self._held.items():
            now = os.lstat(folder)
            if (now.st_dev, now.st_ino) != (info.st_dev, info.st_ino):
                raise OSError(errno.ENOTDIR, "not the folder that it was", folder)
            if now.st_mode != info.st_mode:
                Path(folder).chmod(stat.S_IMODE(info.st_mode))
            with os.scandir(folder) as entries:
                fresh = [entry.path for entry in entries if entry.name not in names]
            for path in fresh:
                self._tree.erase(path)


class Server:
    """One run at a time, asked for over a socket."""

    def __init__(self, job: dict[str, Any], supervisor: ModuleType) -> None:
        self._job = job
        self._socket = socket.socket(fileno=job["socket"])
        self._supervisor = supervisor
        self._worker = 0
        self._temporary = ""
        self._private = Private(job["private"], _own("../edits/tree.py"))
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        supervisor.adopt()
        ctypes.CDLL(None).prctl(_DUMPABLE, 0)  # or a run could trace this process, and answer for it
        signal.signal(signal.SIGTERM, self._die)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> dict[str, Any] | None:
        """Answer until the socket closes; in a fork, return the request of the run that it is to do."""
        self._socket.sendall(b'{"ready": true}\n')
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 16, 1)
            if not data:
                return None
            for line in data.splitlines(keepends=True):
                if line == STOP:
                    continue  # It came too late: that run had ended.
                request = json.loads(line)
                if "preload" in request:
                    preload(request["preload"])
                    self._socket.sendall(b'{"ready": true}\n')
                    continue
                output = descriptors.pop(0)
                request["report"] = report = os.memfd_create("modules")
                if self._job["sandboxed"]:
                    # Its own, for what runs leave would pile up in memory; the whole folder holds the copy itself.
                    self._temporary = tempfile.mkdtemp(prefix="run-")
                self._worker = os.fork()
                if self._worker == 0:
                    self._become_worker(output)
                    return dict(request)
                os.close(output)
                answer = {"code": self._attend(), "modules": _read(report)}
                self._socket.sendall(json.dumps(answer).encode() + b"\n")

    def _attend(self) -> int:
        code: int | None = None
        while code is None:
            ready, _, _ = select.select([self._socket.fileno(), self._wake], [], [])
            if self._socket.fileno() in ready:
                code = 128 + signal.SIGTERM
                if not self._socket.recv(len(STOP)):
                    self._die()
                break
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake, 512)
            found, status = os.waitpid(self._worker, os.WNOHANG)
            if found:
                code = os.waitstatus_to_exitcode(status)
        self._end()
        return code if code >= 0 else 128 - code

    def _end(self) -> None:
        """End what the run left, or everything, with this process, if that cannot be done."""
        # All of it descends from this process. To signal "all" would end the supervisors above as well.
        ended = self._supervisor.end_all(self._worker, sandboxed=False)
        self._worker = 0
        try:
            self._private.restore()
        except OSError:
            ended = False
        if not ended:
            os._exit(128 + signal.SIGKILL)

    def _die(self, *_: object) -> NoReturn:
        if self._worker:
            self._supervisor.end_all(self._worker, sandboxed=self._job["sandboxed"])
        os._exit(128 + signal.SIGTERM)

    def _become_worker(self, output: int) -> None:
        """Make this fork a process as the shell would have started it."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
        ctypes.CDLL(None).prctl(_DUMPABLE, 1)
        os.setsid()
        if self._temporary:
            os.environ["TMPDIR"] = self._temporary
            tempfile.tempdir = None
        self._socket.close()
        os.close(self._wake)
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
        self._supervisor.limit(self._job["limits"])


def preload(names: list[str]) -> None:
    """Import libraries here, so that no run has to; one that cannot be imported is left to the runs."""
    for name in names:
        if name.partition(".")[0] not in LIBRARIES:
            continue  # what lists them is open to the run
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _read(report: int) -> list[str]:
    names = os.pread(report, _MOST_NAMES, 0).decode("ascii", "ignore").split()
    os.close(report)
    return [name for name in names if name.partition(".")[0] in LIBRARIES]


def run_pytest(program: list[str], request: dict[str, Any]) -> int:
    """Run pytest as its console script (`program` is that script), or as ``python -m pytest`` (it is empty).

    The names of the libraries' modules that the run imported are written to the file ``report`` of the request.
    """
    import random

    import pytest

    random.seed()
    main = sys.modules["__main__"]
    main.__file__ = program[0] if program else str(Path(pytest.__file__).with_name("__main__.py"))
    sys.argv = [main.__file__, *request["args"]]
    os.environ.update(request["environ"])
    sys.path.insert(0, str(Path(program[0]).parent) if program else str(Path.cwd()))
    sys.path.extend(request["path"])
    known = set(sys.modules)
    code = int(pytest.main())
    sys.stdout.flush()
    _report(request, known)
    return code


def run_cells(script: str, request: dict[str, Any]) -> int:
    """Run the script of `cells.place` in this process."""
    import runpy

    os.environ.update(request["environ"], LOOM_CELLS_HERE="1")
    sys.path.extend(request["path"])
    sys.argv = [script]
    known, code = set(sys.modules), 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as ended:
        code = int(ended.code or 0)
    _report(request, known)
    return code


def _report(request: dict[str, Any], known: set[str]) -> None:
    """Tell what the run imported of well-known libraries; a candidate may be of one, so not what is its own."""
    fresh = [
        name
        for name, module in list(sys.modules.items())
        if name not in known and name.partition(".")[0] in LIBRARIES and not strange(module, request["strange"])
    ]
    os.write(request["report"], "\n".join(fresh).encode())


def strange(module: object, folders: list[str]) -> bool:
    """Whether a module comes from the workspace or its copy."""
    places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    return any(
        Path(place).is_relative_to(folder) and "site-packages" not in Path(place).relative_to(folder).parts
        for place in places
        if isinstance(place, str)
        for folder in folders
    )


def import_from(path: list[str]) -> None:
    """Let a run import as a Python that was started with this ``PYTHONPATH``."""
    os.environ["PYTHONPATH"] = os.pathsep.join(path)
    sys.path[:0] = path
    for name in ("sitecustomize", "usercustomize"):
        if PathFinder.find_spec(name, path) is not None:
            sys.modules.pop(name, None)
            importlib.import_module(name)


def main() -> int:
    """Entry: ``warm_server.py '{"socket": …, "program": […], "limits": {…}, "path": […], …}'``."""
    # Python puts this script's folder first; a check must not find Loom's modules there.
    sys.path.pop(0)
    job = json.loads(sys.argv[1])
    server = Server(job, _own("supervisor.py"))
    warm_up_cells() if job["cells"] else warm_up()
    if any(strange(module, job["strange"]) for module in list(sys.modules.values())):
        return 1  # a plugin that is of the workspace: a candidate's would never be seen
    request = server.serve()
    if request is None:
        return 0
    request["strange"] = job["strange"]
    import_from(job["path"])
    return run_cells(job["program"][0], request) if job["cells"] else run_pytest(job["program"], request)


if __name__ == "__main__":
    sys.exit(main())
