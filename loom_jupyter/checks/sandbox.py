"""What a check may see and touch: its copy; the system and the tools, read-only; nothing that is private.

The user's home, the temporary folders and ``/run`` become empty folders of the check's own. Of what they held it
is shown what Python and other tools need, by name (`_TOOLCHAINS`, `_CACHES`) or because this process uses it;
changes to caches go to a layer that ends with the check. Everything else of the system is read-only.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import marshal
import os
import re
import shlex
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypedDict

from loom_jupyter.checks import supervisor
from loom_jupyter.edits import temporary
from loom_jupyter.edits.paths import jupyter_places

_logger = logging.getLogger(__name__)
# Below the home folder. Shown read-only: what is installed there.
_TOOLCHAINS = (
    *("bin", ".local/bin", ".local/lib", ".local/pipx", ".local/share/pipx", ".local/share/uv"),
    *(".local/share/mise", ".local/share/pnpm", ".local/share/fnm", ".local/share/virtualenvs"),
    *(".local/share/hatch", ".local/share/gem", ".local/share/fonts", ".virtualenvs", ".pyenv", ".rye"),
    *(".conda/envs", ".pixi/bin", ".pixi/envs", "miniconda3", "anaconda3", "miniforge3", "mambaforge"),
    *("micromamba", ".rbenv", ".rvm", ".nodenv", ".nvm", ".volta", ".asdf", ".goenv", ".jenv", ".sdkman"),
    *(".ghcup", ".opam", ".rustup", ".cargo/bin", ".cargo/env", ".cargo/config.toml", ".juliaup", ".bun"),
    *(".deno", ".dotnet", "nltk_data", "scikit_learn_data", "seaborn-data", ".fonts"),
)
# Shown with a layer for changes: what tools write to as they work.
_CACHES = (
    *("go", ".cargo/registry", ".cargo/git", ".m2/repository", ".m2/wrapper", ".gradle/caches"),
    *(".gradle/wrapper", ".ivy2/cache", ".npm/_cacache", ".nuget/packages", ".gem/ruby", ".julia/packages"),
    *(".julia/compiled", ".julia/artifacts", ".julia/registries", ".julia/environments", ".stack"),
    *(".cabal/packages", ".cabal/store", ".keras", ".triton"),
    *(
        f".cache/{name}"
        for name in (
            *("bazel", "bazelisk", "ccache", "coursier", "Cypress", "deno", "fontconfig", "go-build"),
            *("huggingface/datasets", "huggingface/hub", "huggingface/modules", "matplotlib", "ms-playwright"),
            *("node", "numba", "pip", "pnpm", "pre-commit", "pypoetry", "sccache", "torch", "uv", "yarn"),
        )
    ),
)
# Never shown, whatever names them, and hidden one by one where the home folder itself cannot be hidden.
_PRIVATE = frozenset(
    {
        *(".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", ".config", ".mozilla", ".thunderbird"),
        *(".netrc", ".pypirc", ".npmrc", ".yarnrc.yml", ".git-credentials", ".gitconfig", ".pgpass", ".my.cnf"),
        *(".huggingface", ".password-store", ".pki", ".electrum", ".bitcoin", ".vault-token", ".terraform.d"),
        *(".jupyter", ".ipython", ".bashrc", ".bash_profile", ".bash_login", ".bash_history", ".profile"),
        *(".zshrc", ".zshenv", ".zprofile", ".zsh_history", ".python_history", ".pythonrc.py", ".Xauthority"),
        *(".local/share/keyrings", ".local/share/jupyter", ".cargo/credentials.toml", ".cargo/credentials"),
        *(
            ".gem/credentials",
            ".m2/settings.xml",
            ".gradle/gradle.properties",
            ".boto",
            ".s3cfg",
            ".databrickscfg",
        ),
        *(
            ".cache/huggingface/token",
            ".cache/mozilla",
            ".cache/google-chrome",
            ".cache/chromium",
            "snap",
            "Library",
        ),
    }
)
# Variables that name the folder of something installed.
_INSTALLED = (
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "JAVA_HOME",
    "GOROOT",
    "GOPATH",
    "NVM_DIR",
    "PYENV_ROOT",
    "RUSTUP_HOME",
)
_SYSTEM = ("/", "/usr", "/etc", "/bin", "/lib", "/dev", "/proc", "/sys")
_LEVELS = ("user", "root")


class Plan(TypedDict):
    """What a check may see; plain data, which another process carries out (`namespaces`).

    Attributes
    ----------
    level
        ``user``: within a user namespace; ``root``: without one, by a root user that may have none.
    network
        Leave the host's network.
    empty
        Folders that become empty, private and writable; outer ones come before those in them.
    shown
        What is shown of them all the same: a path, and whether the check may write to a copy that is thrown away.
    hidden
        Folders and files that are emptied last, whatever shows them.
    writable
        Folders that the check really writes to.
    size
        Bytes that the private folders may hold together; they lie in memory.
    """

    level: str
    network: bool
    empty: list[str]
    shown: list[tuple[str, bool]]
    hidden: list[str]
    writable: list[str]
    size: int


def plan(
    cwd: Path,
    workspace: Path | None,
    *,
    level: str,
    network: bool,
    size: int,
    command: str = "",
    links: Iterable[str] = (),
) -> Plan:
    """Decide what a check sees.

    Parameters
    ----------
    cwd
        The staged copy.
    workspace
        What it is a copy of.
    size
        Bytes that the check's private folders may hold.
    command
        What the user typed: programs that it names by their path are shown.
    links
        Places outside the workspace to which links of it lead.
    """
    homes = _homes()
    private, copy = [*homes, *_temporary()], os.path.realpath(cwd)
    bases = sorted((place for place in private if not _inside(place, copy)), key=lambda place: place.count("/"))
    hidden = [place for place in jupyter_places() if not _holds(place, [cwd, *([workspace] if workspace else [])])]
    hidden += [place for place in private if _inside(place, copy) and place != copy]
    policy = _Policy(bases, homes, hidden)
    wanted = [*_python(), *_named(command), *_paths(os.environ)]
    shown = {place: False for place in wanted if policy.allows(place)}
    shown |= {place: True for place in _below(homes, _CACHES) if policy.allows(place)}
    shown |= {place: False for place in _below(homes, _TOOLCHAINS) if policy.allows(place)}
    if workspace is not None:
        shown |= {place: False for place in links if policy.allows(place, strictly=True)}
        if policy.allows(str(workspace)):
            shown[str(workspace)] = False
        hidden.append(os.path.realpath(workspace / ".git"))
    if network:
        shown[os.path.realpath("/etc/resolv.conf")] = False
    if not policy.covers(str(Path.home())):
        hidden += _below([str(Path.home())], sorted(_PRIVATE))
    return Plan(
        level=level,
        network=network,
        empty=bases,
        shown=[(place, shown[place]) for place in _outermost(p for p in shown if policy.covers(p))],
        hidden=[*hidden, *sockets([str(cwd if workspace is None else workspace)])],
        writable=[str(cwd)],
        size=size,
    )


class _Policy:
    """What may be shown of folders that are emptied."""

    def __init__(self, bases: list[str], homes: list[str], hidden: list[str]) -> None:
        self._bases = bases
        self._homes = homes
        self._hidden = hidden

    def covers(self, place: str) -> bool:
        """Whether a place lies in a folder that is emptied; where its last name is a link, the link itself."""
        folder, name = os.path.split(place)
        real = _real(folder)
        return real is not None and any(_inside(os.path.join(real, name), base) for base in self._bases)

    def allows(self, place: str, *, strictly: bool = False) -> bool:
        """Whether to show a place: nothing private, and no folder that holds a whole home.

        Parameters
        ----------
        strictly
            A repository could have chosen the place: nothing whose name below the home begins with a dot.
        """
        real = _real(place)
        if real is None or any(_inside(base, real) for base in (*self._bases, *self._homes)):
            return False
        if any(_inside(real, secret) for secret in self._hidden):
            return False
        for home in self._homes:
            if _inside(real, home):
                below = os.path.relpath(real, home)
                dotted = strictly and any(part.startswith(".") for part in below.split(os.sep))
                if dotted or any(_inside(below, name) for name in _PRIVATE):
                    return False
        return os.path.lexists(place)


def _real(place: str) -> str | None:
    """Return where a place really lies; None if this user may not know (a link below ``/proc/1``)."""
    try:
        return os.path.realpath(place)
    except OSError:
        return None


def _homes() -> list[str]:
    """List home folders: the user's and, where they lie, everybody's."""
    import pwd

    try:
        listed = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        listed = "/"
    found = (os.path.realpath(place) for place in (str(Path.home()), listed, "/root", "/home") if place)
    return [place for place in dict.fromkeys(found) if place not in _SYSTEM and os.path.isdir(place)]


def _temporary() -> list[str]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    places = ("/tmp", "/var/tmp", "/run", "/var/run", runtime, tempfile.gettempdir())
    found = (os.path.realpath(place) for place in places if os.path.isabs(place))
    return [place for place in dict.fromkeys(found) if place not in _SYSTEM and os.path.isdir(place)]


def _python() -> Iterator[str]:
    """List what this process's Python consists of, and what it imports from."""
    yield str(Path(__file__).parent)
    yield from dict.fromkeys((sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix))
    program = sys.executable
    while program and os.path.islink(program):
        program = os.path.join(os.path.dirname(program), os.readlink(program))
        yield _prefix(program)
    yield from (entry for entry in sys.path if os.path.isabs(entry))
    for name, module in list(sys.modules.items()):  # what an editable install maps its names to
        if name.startswith("__editable___"):
            yield from (str(place) for place in getattr(module, "MAPPING", {}).values())


def _named(command: str) -> Iterator[str]:
    """List the programs and files that a command names by their absolute path."""
    try:
        words = shlex.split(command)
    except ValueError:
        return
    for word in words:
        place = os.path.expanduser(word.rpartition("=")[2])
        if os.path.isabs(place):
            yield _prefix(place)


def _paths(environ: Mapping[str, str]) -> Iterator[str]:
    """List what the search path and well-known variables name."""
    for entry in environ.get("PATH", "").split(os.pathsep):
        if os.path.isabs(entry):
            yield _prefix(os.path.join(entry, "program"))
            yield entry
    yield from (place for name in _INSTALLED if os.path.isabs(place := environ.get(name, "")))


def _prefix(program: str) -> str:
    """Return the folder of what a program belongs to: all of ``x`` for ``x/bin/program``; else the program."""
    folder = os.path.dirname(program)
    whole = os.path.dirname(folder)
    shared = os.path.basename(whole) in (".local", ".cargo") or whole in _homes()
    return whole if os.path.basename(folder) in ("bin", "Scripts", "shims") and not shared else program


def _below(homes: Iterable[str], names: Iterable[str]) -> list[str]:
    return [place for home in homes for name in names if os.path.lexists(place := f"{home}/{name}")]


def _inside(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder.rstrip("/") + "/")


def _holds(place: str, needed: Iterable[Path]) -> bool:
    return any(_inside(os.path.realpath(one), place) for one in needed)


def _outermost(places: Iterable[str]) -> list[str]:
    """Leave out places that lie in others."""
    kept: dict[str, None] = {}
    for place in sorted(dict.fromkeys(os.path.abspath(one) for one in places), key=lambda one: one.count("/")):
        above = (place[:end] for end, sign in enumerate(place) if sign == "/")
        if "/" not in kept and not any(outer in kept for outer in above):
            kept[place] = None
    return list(kept)


def sockets(folders: Iterable[str] = ()) -> list[str]:
    """List the sockets of this machine that have a place among the files: a read-only mount lets one connect.

    Parameters
    ----------
    folders
        Where those may lie of which the system knows a relative name only.
    """
    try:
        lines = Path("/proc/net/unix").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    names = {line.split(None, 7)[7] for line in lines[1:] if len(line.split(None, 7)) == 8}
    found = {name for name in names if name.startswith("/")}
    if near := [name for name in names if not name.startswith(("/", "@"))]:
        # Such a name is relative to where its server was; most servers are there still.
        around = {*folders, *_working_folders()}
        found |= {os.path.normpath(f"{folder}/{name}") for folder in around for name in near}
    return sorted(place for place in found if _is_socket(place))


def _working_folders() -> set[str]:
    """List the working folders of this user's processes; of root, everybody's."""
    found = set()
    for process in (name for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{process}/cwd"))
    return found


def _is_socket(place: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(place).st_mode)
    except OSError:
        return False


def start(
    job: Mapping[str, object],
    *,
    stdout: int,
    stderr: int,
    env: Mapping[str, str] | None = None,
    pass_fds: Iterable[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a supervisor, which needs nothing but the standard library.

    The job is its standard input, for an argument holds 128 KiB at most and can be read by the check. It goes
    along in Python's own format: reading JSON would take the supervisor longer than all its mounts.
    """
    with tempfile.TemporaryFile() as order:
        order.write(marshal.dumps({"keep": [], "parent": os.getpid(), "mark": supervisor.MARK, **job}))
        order.seek(0)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", supervisor.BOOT, str(Path(__file__).parent)],
            cwd="/",
            env=None if env is None else dict(env),
            stdin=order,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )


def isolation() -> str:
    """Find out what sandbox the system offers: ``user``, ``root`` or ``none`` (see `Plan`).

    Measured, not guessed: a probe makes the sandbox as a check would have it. Containers and hardened kernels
    often forbid it; `why_none` says what it lacks.
    """
    return _probed()[0]


def why_none() -> str:
    """Say what keeps this system from isolating checks; empty where it does isolate them."""
    return _probed()[1]


@functools.cache
def _probed() -> tuple[str, str]:
    if sys.platform != "linux":
        return "none", "that needs Linux"
    said = ""
    with temporary.folder() as folder:
        for level in _LEVELS if os.geteuid() == 0 else _LEVELS[:1]:
            trial = plan(folder, None, level=level, network=False, size=2**20)
            job = {"argv": [], "cwd": str(folder), "limits": {}, "plan": trial}
            with start(job, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as probe:
                try:
                    _, heard = probe.communicate(timeout=20)
                except subprocess.TimeoutExpired:
                    probe.kill()
                    raise
            if probe.returncode == 0:
                _logger.info("checks are isolated (%s)", level)
                return level, ""
            said = said or heard.decode("utf-8", "replace").strip()
    _logger.warning("checks cannot be isolated on this system")
    return "none", _reason(said.rpartition(supervisor.MARK)[2].splitlines()[0] if said else "")


def _reason(said: str) -> str:
    """Say what forbids the sandbox, by the kernel's settings where they tell."""
    if _sysctl("user/max_user_namespaces") == "0":
        return "user namespaces are switched off (user.max_user_namespaces = 0)"
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        return "user namespaces are for root only (kernel.unprivileged_userns_clone = 0)"
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "AppArmor restricts user namespaces (kernel.apparmor_restrict_unprivileged_userns = 1)"
    return f"the system refuses a sandbox ({said or 'no reason given'})"


def _sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def memory_size(most: int) -> int:
    """Return how much a check's private folders may hold: half of the machine's memory at most."""
    found = re.search(r"MemTotal:\s+(\d+) kB", _sysctl("../meminfo"))
    return min(most, int(found[1]) * 512) if found else most
