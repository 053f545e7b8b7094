"""Git: the one door through which Loom asks git.

A repository is data. Its configuration can name programs (monitors, hooks, filters, signature checkers,
transports), so it is not used: git works in a private folder whose configuration holds a few harmless settings,
and whose references, index and objects lead to the repository's. Nothing in it names a program, and the user's own
configuration is left out too. Git may not write, fetch or ask, and has limited time.

Only `as_user` works in the repository itself, for a commit that the user asked for.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple

from loom_jupyter.context import repository
from loom_jupyter.context.repository import COMMON, NoGitError, Repository

# One git process, whose output is read while it runs; it ends when it hangs, takes too long or says too much.

LARGEST_ANSWER = 512 << 20
_STEP = 0.25


class Done(NamedTuple):
    """How a process ended.

    Attributes
    ----------
    late
        Whether it was ended because it took too long or said too much.
    """

    code: int
    answer: bytes
    error: str
    seconds: float
    late: bool


class Process:
    """A process in a session of its own.

    Parameters
    ----------
    memory
        Bytes that it may use, where the system can limit that; 0 for no limit.

    Raises
    ------
    NoGitError
        It cannot be started.
    """

    def __init__(
        self, command: list[str], cwd: str, env: Mapping[str, str], stdin: bytes = b"", memory: int = 0
    ) -> None:
        self._begun = time.monotonic()
        try:
            self._process = _started(command, cwd, env, stdin)
        except OSError as error:
            raise NoGitError(f"git cannot be started ({error.strerror})") from error
        if memory and sys.platform == "linux":
            import resource

            with suppress(OSError):
                resource.prlimit(self._process.pid, resource.RLIMIT_DATA, (memory, memory))
        self._full = threading.Event()
        self._answer: list[bytes] = []
        self._error: list[bytes] = []
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=given, daemon=True)
            for given in ((self._process.stdout, self._answer), (self._process.stderr, self._error))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[bytes], parts: list[bytes]) -> None:
        size = 0
        while part := os.read(stream.fileno(), 1 << 16):
            parts.append(part)
            size += len(part)
            if size > LARGEST_ANSWER:
                self._full.set()
                self._kill()
                return

    def finish(self, limit: float, quiet: float, busy: float = math.inf) -> Done:
        """Wait until it ends, or kill it.

        Parameters
        ----------
        limit
            Seconds that it may take.
        quiet
            Seconds in which it may do nothing.
        busy
            Seconds of the processor that it may use.
        """
        late, used, since = False, 0.0, time.monotonic()
        for reader in self._readers:
            while reader.is_alive() and not late:
                reader.join(_STEP)
                now = time.monotonic()
                spent, working = _use(self._process.pid)
                if working or spent != used:
                    used, since = spent, now
                late = reader.is_alive() and (now > self._begun + limit or now > since + quiet or spent > busy)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if late else quiet)
        code = self._process.poll()
        self.end()
        seconds = time.monotonic() - self._begun
        answer, error = b"".join(self._answer), b"".join(self._error).decode("utf-8", "replace")
        return Done(code or 0, answer, error, seconds, late or code is None or self._full.is_set())

    def _kill(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it and all that it started."""
        # Who still holds its output is of its group, even where git itself has ended.
        if self._process.poll() is None or any(reader.is_alive() for reader in self._readers):
            self._kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(1)
        if not any(reader.is_alive() for reader in self._readers):
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()


def _started(command: list[str], cwd: str, env: Mapping[str, str], stdin: bytes) -> subprocess.Popen[bytes]:
    if not stdin:
        return _popen(command, cwd, env, subprocess.DEVNULL)
    # A file, not a pipe: nobody has to feed it while the answer is read.
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        return _popen(command, cwd, env, given)


def _popen(
    command: list[str], cwd: str, env: Mapping[str, str], stdin: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=cwd, env=env, stdin=stdin, stdout=pipe, stderr=pipe, start_new_session=True
    )


def _use(pid: int) -> tuple[float, bool]:
    """Return the seconds of the processor that a process used, and whether it works or waits for the disk now."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return 0.0, True  # no Linux, or it has just ended
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), fields[0] in "RD"


LIMIT = 30.0
"""Seconds that one call may take."""
QUIET = 4.0
"""Seconds without any use of the processor after which git counts as hung."""
BUSY = 6.0
"""Seconds of the processor that one call may use: a million files take less, a pattern made for it takes ages."""
RETRY = 60.0
"""Seconds until git is asked again where it did not answer."""
COMMIT_LIMIT = 600.0
MEMORY = 4 << 30
# What may be taken from a repository's or the user's configuration: these name no program and no file.
HARMLESS = frozenset(
    {
        *("core.filemode", "core.ignorecase", "core.precomposeunicode", "core.symlinks", "core.trustctime"),
        *("core.checkstat", "core.autocrlf", "core.eol", "core.sparsecheckout", "core.sparsecheckoutcone"),
        *("extensions.objectformat", "extensions.refstorage"),
    }
)
_VALUE = re.compile(r"[A-Za-z0-9]{0,20}")
# Versions of git before 2.32 read the user's configuration whatever they are told.
_OFF = (
    "core.fsmonitor=false", f"core.hooksPath={os.devnull}", "core.pager=cat", "log.showSignature=false",
    "protocol.allow=never", "gc.auto=0", "maintenance.auto=false",
)  # fmt: skip
_OFF_FOR_USER = (
    "safe.bareRepository=explicit", "core.fsmonitor=false", "core.pager=cat", "gc.auto=0", "maintenance.auto=false"
)  # fmt: skip
_SILENT = {
    "LANGUAGE": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "GIT_EDITOR": ":",
    "GIT_PAGER": "cat",
}  # fmt: skip
_USERS_OWN = re.compile(
    r"GIT_(AUTHOR|COMMITTER)_\w+|GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM)|GIT_TEST_ASSUME_DIFFERENT_OWNER"
)
_FOLDER = "loom-git-"
_ABANDONED = 600.0
_hung: dict[str, tuple[float, str]] = {}


def find(base: str) -> Repository | None:
    """Return the repository that a folder lies in; None where there is none.

    Raises
    ------
    NoGitError
        There is one that git cannot or may not be asked about.
    """
    return _usable(repository.find(base))


def nested(top: str) -> Repository | None:
    """Return the repository of a folder that has one of its own.

    Raises
    ------
    NoGitError
        Git cannot or may not be asked about it.
    """
    return _usable(repository.at(top))


def ask(at: Repository, *words: str, cwd: str = "", stdin: bytes = b"") -> bytes:
    """Return what git answers.

    Raises
    ------
    NoGitError
        Git refuses, is missing, or does not answer in time.
    """
    return Call(at, *words, cwd=cwd, stdin=stdin).finish()


class Call:
    """A running git that only reads; other work can be done meanwhile.

    Parameters
    ----------
    cwd
        Folder that it runs in; the top of the work tree if empty.
    """

    def __init__(self, at: Repository, *words: str, cwd: str = "", stdin: bytes = b"") -> None:
        when, why = _hung.get(at.top, (-RETRY, ""))
        if why and time.monotonic() < when + RETRY:
            raise NoGitError(why)
        self._at, self._word = at, words[0]
        options = [word for setting in _OFF for word in ("-c", setting)]
        command = [program(at.top), *options, *words]
        self._folder = _private_folder(at)
        try:
            env = _environment(at, self._folder)
            self._process = Process(command, cwd or at.top, env, stdin, MEMORY)
        except BaseException:
            _remove(self._folder)
            raise

    def finish(self) -> bytes:
        """Wait for the answer.

        Raises
        ------
        NoGitError
            Git refuses or does not answer in time.
        """
        try:
            done = self._process.finish(LIMIT, QUIET, BUSY)
        finally:
            self.stop()
        if done.late:
            why = f"git {self._word} did not answer within {done.seconds:.0f} seconds"
            _hung[self._at.top] = time.monotonic(), why
            raise NoGitError(why)
        if done.code:
            said = next((line for line in done.error.splitlines() if line.startswith("fatal: ")), "")
            raise NoGitError(f"git {self._word} failed{said.removeprefix('fatal')[:200]}")
        return done.answer

    def stop(self) -> None:
        """End git if it still runs, and leave nothing behind."""
        self._process.end()
        _remove(self._folder)


def as_user(root: Path, *words: str) -> Done:
    """Run git as the user would in this folder: the repository's configuration, hooks and filters count.

    For a commit that the user asked for, and what has to be known before it: without filters and hooks it would
    not be the commit that they mean. Embedded bare repositories are not taken, monitors do not run, nothing is
    asked.

    Raises
    ------
    NoGitError
        Git is not installed.
    """
    options = [word for setting in _OFF_FOR_USER for word in ("-c", setting)]
    command = [program(os.fspath(root)), *options, "--literal-pathspecs", *words]
    env = {n: v for n, v in os.environ.items() if not n.startswith("GIT_") or _USERS_OWN.fullmatch(n)}
    process = Process(command, os.fspath(root), env | _SILENT)
    try:
        return process.finish(COMMIT_LIMIT, COMMIT_LIMIT)
    finally:
        process.end()


def program(workspace: str) -> str:
    """Return where git is installed; a program of that name in the workspace is not it.

    Raises
    ------
    NoGitError
        It is not installed.
    """
    found = shutil.which("git", path=_outside(os.path.realpath(workspace), os.environ.get("PATH", os.defpath)))
    if not found:
        raise NoGitError("git is not installed")
    return found


@lru_cache(64)
def _outside(workspace: str, path: str) -> str:
    """Return the absolute folders of a search path that do not lie in the workspace."""
    folders = (folder for folder in path.split(os.pathsep) if Path(folder).is_absolute())
    return os.pathsep.join(f for f in folders if not f"{os.path.realpath(f)}/".startswith(f"{workspace}/"))


def _usable(found: Repository | None) -> Repository | None:
    if found is None:
        return None
    if not repository.trusted(found, ()) and not repository.trusted(found, _user(found.top).safe):
        raise NoGitError(
            f"{found.top} belongs to another user, so git does not work there; if you trust it, run "
            f"git config --global --add safe.directory {found.top}"
        )
    if not repository.leads_back(found, _own_settings(found)):
        raise NoGitError(f"{found.top}/.git leads to {found.folder}, which does not lead back")
    return found


class _User(NamedTuple):
    """What counts of the user's own configuration.

    Attributes
    ----------
    ignored
        The file that says what is ignored everywhere; empty for git's default.
    safe
        Folders of other users that they trust.
    """

    settings: dict[str, str]
    ignored: str
    safe: tuple[str, ...]


def _user(top: str) -> _User:
    # Whoever has just declared a folder safe need not start again.
    return _read_user(program(top), os.environ.get("HOME", ""), round(time.monotonic() / 20))


@lru_cache(4)
def _read_user(git: str, *_moment: object) -> _User:
    settings, ignored, safe = dict[str, str](), "", list[str]()
    for key, value in _configuration([git, "config", "--list", "-z"]):
        if key == "core.excludesfile" and value:
            ignored = os.fspath(Path(value).expanduser())
        elif key == "safe.directory":
            safe = [*safe, value] if value else []
        else:
            settings[key] = value
    return _User(settings, ignored, tuple(safe))


def _own_settings(at: Repository) -> dict[str, str]:
    """Read the repository's settings, without what they include."""
    file = repository.checked(at.common, {"config": 1 << 20}).get("config")
    if file is None:
        return {}
    info = Path(file).stat()
    return _read_settings(program(at.top), file, info.st_mtime_ns, info.st_size, info.st_ino)


@lru_cache(256)
def _read_settings(git: str, file: str, *_stamp: object) -> dict[str, str]:
    return dict(_configuration([git, "config", "--file", file, "--no-includes", "--list", "-z"]))


def _configuration(command: list[str]) -> list[tuple[str, str]]:
    """List settings; no repository is looked for."""
    env = {n: v for n, v in os.environ.items() if not n.startswith("GIT_") or n.startswith("GIT_CONFIG_")}
    process = Process(command, "/", env | {"GIT_DIR": os.devnull})
    try:
        done = process.finish(LIMIT, QUIET)
    finally:
        process.end()
    if done.late or done.code:
        raise NoGitError(f"git cannot read its configuration ({' '.join(done.error.split())[:200]})")
    parts = (os.fsdecode(part).partition("\n") for part in done.answer.split(b"\0") if part)
    return [(key, value if given else "true") for key, given, value in parts]


def _environment(at: Repository, folder: str) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return env | _SILENT | {
        "PATH": _outside(at.top, env.get("PATH", os.defpath)),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_DIR": folder,
        "GIT_WORK_TREE": at.top,
        "GIT_INDEX_FILE": f"{at.folder}/index",
        "GIT_OBJECT_DIRECTORY": f"{at.common}/objects",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "",
    }  # fmt: skip


def _private_folder(at: Repository) -> str:
    """Make a folder that git takes for the repository's own, with settings of ours."""
    links = repository.checked(at.common, COMMON)
    # Parts of an index that git has split.
    shared = {file.name: repository.LARGEST_INDEX for file in Path(at.folder).glob("sharedindex.*")}
    links |= repository.checked(at.folder, shared)
    repository.checked(at.folder, {"index": repository.LARGEST_INDEX})
    for name in ("refs", "reftable"):
        if Path(at.common, name).is_dir():
            links[name] = f"{at.common}/{name}"
    settings = _config(at)
    try:
        _sweep(tempfile.gettempdir())
        folder = tempfile.mkdtemp(prefix=_FOLDER)
        try:
            Path(folder, "info").mkdir()
            for name, target in links.items():
                Path(folder, name).symlink_to(target)
            Path(folder, "HEAD").write_bytes(os.fsencode(at.head))
            Path(folder, "config").write_bytes(os.fsencode(settings))
        except BaseException:
            _remove(folder)
            raise
    except OSError as error:
        raise NoGitError(f"there is no room for git's temporary files ({error.strerror})") from error
    return folder


def _config(at: Repository) -> str:
    """Write down the settings that git is given."""
    user = _user(at.top)
    wanted = {
        key: value
        for key, value in (user.settings | _own_settings(at)).items()
        if key in HARMLESS and _VALUE.fullmatch(value)
    }
    extended = any(key.startswith("extensions.") for key in wanted)
    lines = ["[core]", "bare = false", f"repositoryformatversion = {int(extended)}"]
    if user.ignored and user.ignored.isprintable():
        quoted = user.ignored.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'excludesFile = "{quoted}"')
    for key, value in sorted(wanted.items()):
        section, _, name = key.partition(".")
        lines += [f"[{section}]", f"{name} = {value}"]
    return "\n".join([*lines, ""])


def _remove(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@lru_cache(4)
def _sweep(temporary: str) -> None:
    """Remove what processes left that were killed in the middle of a call."""
    for left in list(_left_over(temporary)):
        _remove(left)


def _left_over(temporary: str) -> Iterator[str]:
    with os.scandir(temporary) as found:
        for entry in found:
            old = entry.name.startswith(_FOLDER) and time.time() - entry.stat().st_mtime > _ABANDONED
            if old and entry.is_dir(follow_symlinks=False):
                yield entry.path
