"""Runs one check as its supervisor: limits, a sandbox, and no process left behind.

A script of its own, started with the standard library alone (`BOOT`), so that nothing of the user's or of a
workspace is imported before the sandbox is up, and the start costs little. With a sandbox it is two processes: one
outside, which waits, and the first process inside (see `namespaces`), whose end ends all others there. Inside, or
without a sandbox, it works in a child, so that a check that kills its parent leaves nothing; without a sandbox it
adopts processes that detach themselves from the check (Linux).
"""

from __future__ import annotations

import ctypes
import marshal
import os
import signal
import sys
import time

TYPE_CHECKING = False  # typing itself takes its time to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

_SUBREAPER, _PDEATHSIG, _DUMPABLE = 36, 1, 4
_GRACE = 1.0
_LOOK = 0.5
_AWAITED = (signal.SIGTERM, signal.SIGCHLD)
UNPROTECTED = 125
"""Exit status of a supervisor that could not make the sandbox, and ran nothing."""
MARK = "loom sandbox: "
"""What it then puts before the reason, on standard error, if the job has no mark of its own."""
BOOT = "import sys; sys.path.append(sys.argv[1]); import supervisor; sys.exit(supervisor.main())"

_linux = sys.platform == "linux"


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
        try:
            resource.setrlimit(kind, (top, top))
        except (ValueError, OSError):
            continue


def children() -> list[int]:
    """Return the ids of every descendant process, adopted ones included (Linux; elsewhere none)."""
    parents: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if _linux else ():
        try:
            with open(f"/proc/{int(name)}/stat", errors="replace") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):  # no process, or it ended just now
            continue
        parents.setdefault(parent, []).append(int(name))
    found, queue = [], [os.getpid()]
    while queue:
        for child in parents.get(queue.pop(), ()):
            found.append(child)
            queue.append(child)
    return found


def end_all(group: int, *, sandboxed: bool) -> bool:
    """End the check's processes: politely, then for good; False if some are left.

    Parameters
    ----------
    group
        Their process group; those that left it are found as descendants.
    sandboxed
        Whether all processes that this one can see are the check's, but for the namespaces' first.
    """
    if _linux and not _reap():
        return True
    for sign, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        if sandboxed:
            _kill(os.kill, -1, sign)
        else:
            _signal(group, sign)
        until = time.monotonic() + patience
        while (left := _reap()) and time.monotonic() < until:
            time.sleep(0.005)
    return not left


def _signal(group: int, sign: int) -> None:
    _kill(os.killpg, group, sign)
    for child in children():
        _kill(os.kill, child, sign)


def _kill(kill: Callable[[int, int], None], whom: int, sign: int) -> None:
    try:
        kill(whom, sign)
    except OSError:
        return  # it has ended


def _reap() -> bool:
    """Collect ended children; False when none is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def guard(shut: list[int], *, sandboxed: bool) -> int | None:
    """Go on in a child, and stay behind to end what it leaves if it is killed (Linux; elsewhere nothing is done).

    Parameters
    ----------
    shut
        File descriptors that are the child's alone.
    sandboxed
        Whether this is the first process of its namespaces, with which all others end.

    Returns
    -------
    int or None
        The child's exit code as a shell gives it; None in the child.
    """
    if not _linux:
        return None
    if not sandboxed:
        adopt()
    parent, child = os.getpid(), os.fork()
    if child == 0:
        os.setpgid(0, 0)
        adopt()
        if os.getppid() != parent:  # it ended before it could be told to say so
            os._exit(128 + signal.SIGTERM)
        return None
    for descriptor in shut:
        os.close(descriptor)
    code = _wait(child)
    if not sandboxed:
        end_all(child, sandboxed=False)
    return code


def _wait(child: int, patience: float | None = None) -> int:
    """Wait for a child, pass SIGTERM on to it, and return its exit code as a shell gives it.

    Parameters
    ----------
    patience
        Seconds after a SIGTERM until the child is killed; None gives it all the time that it takes.
    """
    deadline: float | None = None
    while True:
        if deadline is None:
            caught: int | None = signal.sigwait(_AWAITED)
        else:
            told = signal.sigtimedwait(_AWAITED, max(0.0, deadline - time.monotonic()))
            caught = None if told is None else told.si_signo
        if caught is None:
            os.kill(child, signal.SIGKILL)
            deadline = None
        elif caught == signal.SIGTERM:
            os.kill(child, signal.SIGTERM)
            if patience is not None:
                deadline = time.monotonic() + patience
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return _shell_code(status)


def _shell_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def adopt() -> None:
    """Take in processes whose parent ends, and end with the one that started this (Linux)."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)


def run(job: dict[str, Any], *, sandboxed: bool) -> int:
    """Run a program in a session of its own and return its exit code as a shell gives it."""
    check = os.fork()
    if check == 0:
        _become(job)
    for descriptor in job["keep"]:
        os.close(descriptor)
    code: int | None = None
    most = job["plan"]["size"] if sandboxed else 0
    while code is None:
        told = signal.sigtimedwait(_AWAITED, _LOOK) if sandboxed else signal.sigwaitinfo(_AWAITED)
        if told is None:
            if _shared_memory() > most:
                os.write(2, b"The check holds too much shared memory.\n")
                code = 128 + signal.SIGKILL
        elif told.si_signo == signal.SIGTERM:
            code = 128 + signal.SIGTERM
            break
        found = -1
        while code is None and found:  # others were adopted; a check may look whether they have ended
            found, status = os.waitpid(-1, os.WNOHANG)
            code = _shell_code(status) if found == check else None
    end_all(check, sandboxed=sandboxed)
    return code


def _shared_memory() -> int:
    """Return the bytes of System V shared memory that these namespaces hold, attached or not."""
    try:
        with open("/proc/sysvipc/shm") as table:
            return sum(int(line.split()[-2]) for line in list(table)[1:])
    except OSError:  # a kernel without it
        return 0


def _become(job: dict[str, Any]) -> NoReturn:
    """Be the check, in this process."""
    try:
        os.setsid()
        if _linux:
            ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
        for sign in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
            signal.signal(sign, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
        for descriptor in job["keep"]:
            os.set_inheritable(descriptor, True)
        limit(job["limits"])
        os.execv(job["argv"][0], job["argv"])
    except OSError as error:
        os.write(2, f"{job['argv'][0]}: {error.strerror}\n".encode())
    finally:
        os._exit(126)  # whatever happened: this fork must not go on as the supervisor


def probe() -> int:
    """Look whether the sandbox holds what it promises; 0 if it does."""
    with open("/proc/self/status") as stream:
        status = dict(line.split(":\t", 1) for line in stream if ":\t" in line)
    capable = any(int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb"))
    locked = int(status.get("NoNewPrivs", "0")) == 1 and os.getpid() == 1
    return 0 if locked and not capable and os.statvfs("/").f_flag & os.ST_RDONLY else 1


def work(job: dict[str, Any], *, sandboxed: bool) -> int:
    """Do the job here: in the sandbox, or where there is none."""
    os.chdir(job["cwd"])
    if not job["argv"]:
        return probe()
    code = guard(job["keep"], sandboxed=sandboxed)
    return run(job, sandboxed=sandboxed) if code is None else code


def _read_job() -> dict[str, Any]:
    """Read the job from standard input, which is empty from then on."""
    with open(0, "rb", closefd=False) as order:
        job: dict[str, Any] = marshal.load(order)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return job


def main() -> int:
    """Entry: the job is the standard input, by `marshal`.

    It has ``argv``, ``cwd``, ``limits``, ``plan``, ``keep``, ``parent`` and ``mark``. `argv` is what to run,
    nothing if the sandbox is only tried out; `plan` is a `sandbox.Plan` or None; `keep` are file descriptors for
    the program; `parent` is the process that asks; `mark` goes before the reason why there is no sandbox.
    """
    job = _read_job()
    # Waited for, not handled: no moment exists in which SIGTERM could leave a process behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    if _linux:
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != job["parent"]:
            return 128 + signal.SIGTERM
    if job["plan"] is None:
        return work(job, sandboxed=False)
    import namespaces  # type: ignore[import-not-found]

    try:
        first = namespaces.enter(job["plan"])
    except OSError as error:
        os.write(2, f"{job['mark']}{error.strerror or error}\n".encode())
        return UNPROTECTED
    if first is None:
        ctypes.CDLL(None).prctl(_DUMPABLE, 0)  # or the check could trace this process, and answer for it
        return work(job, sandboxed=True)
    for descriptor in job["keep"]:
        os.close(descriptor)
    return _wait(first, 2.5 * _GRACE)
