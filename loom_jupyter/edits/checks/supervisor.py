"""Runs one check as its supervisor: limits, a sandbox, and no process left behind.

A script of its own, started by `check.run_check` with the standard library alone (``python -I -S``), so that it
costs some 15 ms. On Linux it adopts processes that detach themselves from the check, so that ending the
supervisor ends every one of them; and it works in a child, so that a check that kills its parent leaves nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

_NEWNS, _NEWUSER, _NEWNET = 0x00020000, 0x10000000, 0x40000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_SUBREAPER, _PDEATHSIG = 36, 1
_GRACE = 1.0
_AWAITED = (signal.SIGTERM, signal.SIGCHLD)

_linux = sys.platform == "linux"


def sandbox(level: str, read_only: list[str], hidden: list[str], network: bool = False) -> None:
    """Cut the network off, make folders read-only and others empty, for this process and what it starts.

    Parameters
    ----------
    level
        ``root`` (namespaces made directly), ``user`` (inside a user namespace) or ``none``.
    read_only, hidden
        Existing folders, and files for `hidden`. One that the system does not let cover stays as it is: a check
        without this protection is better than none.
    network
        Leave the network on.
    """
    if level == "none":
        return
    uid, gid = os.geteuid(), os.getegid()
    flags = _NEWNS | (0 if network else _NEWNET) | (_NEWUSER if level == "user" else 0)
    _libc("unshare", flags)
    if level == "user":
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    if not network:
        _loopback_up()
    _libc("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    for folder in read_only:
        with contextlib.suppress(OSError):
            _protect(folder)
    for place in hidden:
        name = os.fsencode(place)
        with contextlib.suppress(OSError):
            if Path(place).is_dir():
                _libc("mount", b"none", name, b"tmpfs", _MS_RDONLY, None)
            else:
                _libc("mount", b"/dev/null", name, None, _MS_BIND, None)


def _protect(folder: str) -> None:
    name = os.fsencode(folder)
    _libc("mount", name, name, None, _MS_BIND | _MS_REC, None)
    # Flags that the surrounding mount locks (nosuid, nodev, noexec) must be said again.
    kept = os.statvfs(folder).f_flag & 0x0E
    _libc("mount", name, name, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | kept, None)


def _libc(name: str, *args: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    cast = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in args]
    if getattr(libc, name)(*cast) != 0:
        raise OSError(ctypes.get_errno(), f"{name} failed")


def _loopback_up() -> None:
    import fcntl

    set_flags, up_running = 0x8914, 0x41
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        fcntl.ioctl(link, set_flags, struct.pack("16sh14x", b"lo", up_running))


def limit(limits: dict[str, int]) -> None:
    """Lower resource limits (``DATA``, ``CPU``, …: the names of `resource.RLIMIT_*`)."""
    import resource

    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        top = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # macOS refuses some limits that it names; a check then runs without that one.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (top, top))


def children() -> list[int]:
    """Return the ids of every descendant process, adopted ones included (Linux; elsewhere none)."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(stat.parent.name))
    found, queue = [], [os.getpid()]
    while queue:
        for child in parents.get(queue.pop(), ()):
            found.append(child)
            queue.append(child)
    return found


def end_all(group: int) -> None:
    """End the check's process group and every descendant: politely, then for good."""
    if _linux and not _reap():
        return
    for sign, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        _signal(group, sign)
        until = time.monotonic() + patience
        while _reap() and time.monotonic() < until:
            time.sleep(0.01)


def _signal(group: int, sign: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, sign)
    for child in children():
        with contextlib.suppress(OSError):
            os.kill(child, sign)


def _reap() -> bool:
    """Collect ended children; False when none is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def guard(shut: tuple[int, ...] = ()) -> int | None:
    """Go on in a child, and stay behind to end what it leaves if it is killed (Linux; elsewhere nothing is done).

    Parameters
    ----------
    shut
        File descriptors that are the child's alone.

    Returns
    -------
    int or None
        The child's exit code as a shell gives it; None in the child.
    """
    if not _linux:
        return None
    adopt()
    # Waited for, not handled: no moment exists in which SIGTERM could leave a process behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    parent, child = os.getpid(), os.fork()
    if child == 0:
        os.setpgid(0, 0)
        adopt()
        if os.getppid() != parent:  # it ended before it could be told to say so
            os._exit(128 + signal.SIGTERM)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        return None
    for descriptor in shut:
        os.close(descriptor)
    status, ended = 0, False
    while not ended:
        if signal.sigwait(_AWAITED) == signal.SIGTERM:
            os.kill(child, signal.SIGTERM)
        found, status = os.waitpid(child, os.WNOHANG)
        ended = found == child
    end_all(child)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def adopt() -> None:
    """Take in processes whose parent ends, and end with the one that started this (Linux)."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)


def run(command: str, limits: dict[str, int]) -> int:
    """Run a shell command in a session of its own and return its exit code as a shell gives it."""

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        limit(limits)
        if _linux:
            ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)

    # Waited for, as in `guard`.
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    check = subprocess.Popen(
        ["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=prepare
    )
    code: int | None = None
    while code is None:
        stopped = signal.sigwait(_AWAITED) == signal.SIGTERM
        code = -signal.SIGTERM if stopped else check.poll()
    end_all(check.pid)
    return code if code >= 0 else 128 - code


def probe(level: str, folder: str) -> int:
    """Try the sandbox out; 0 if all of it works."""
    sandbox(level, [folder], [])
    return 0 if os.statvfs(folder).f_flag & os.ST_RDONLY else 1


def main() -> int:
    """Entry: ``supervisor.py JOB``, with command, limits, level, read_only, hidden and network as JSON."""
    job = json.loads(sys.argv[1])
    if job["command"] is None:
        return probe(job["level"], job["read_only"][0])
    sandbox(job["level"], job["read_only"], job["hidden"], job["network"])
    code = guard()
    return run(job["command"], job["limits"]) if code is None else code


if __name__ == "__main__":
    sys.exit(main())
