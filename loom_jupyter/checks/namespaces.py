"""The sandbox itself: namespaces, mounts and capabilities, set up by the process that goes on to run the check.

Standard library only, and little of it: it is imported at every start of a check (see `supervisor`). What is
hidden and what is shown is decided by `sandbox.plan` outside; here it is carried out. Linux 5.12 or newer.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import stat
import struct

TYPE_CHECKING = False  # typing itself takes its time to import
if TYPE_CHECKING:
    from loom_jupyter.checks.sandbox import Plan

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
_BIND, _REC, _PRIVATE = 4096, 16384, 1 << 18
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280}
_JOIN_SESSION_KEYRING = 1
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS, _CAP_AMBIENT, _AMBIENT_CLEAR = 1, 24, 38, 47, 4
_CAPABILITY_VERSION = 0x20080522
# Devices that do no harm, and those of GPUs, by how their names begin.
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_GPUS = ("nvidia", "kfd", "dri", "dxg")
_DEV_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}

_libc = ctypes.CDLL(None, use_errno=True)


def enter(plan: Plan) -> int | None:
    """Go on in a child that is the first process of its own namespaces; it ends when this process does.

    Returns
    -------
    int or None
        The child's process id, here; None in the child, which then has no capabilities and cannot get any.

    Raises
    ------
    OSError
        If a step fails, in whichever process: nothing may run then.
    """
    _unshare(plan)
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(reading)  # the other end stays open as long as this process lives
        return child
    os.close(writing)
    _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if select.select([reading], [], [], 0)[0]:
        os._exit(128 + signal.SIGKILL)  # the parent ended before that was in force
    os.close(reading)
    if not plan["network"]:
        _loopback_up()
    _mounts(plan)
    _give_up_privileges()
    return None


def _unshare(plan: Plan) -> None:
    uid, gid, user = os.geteuid(), os.getegid(), plan["level"] == "user"
    flags = _NEWNS | _NEWPID | _NEWIPC | _NEWUTS | _NEWCGROUP
    _call("unshare", flags | (0 if plan["network"] else _NEWNET) | (_NEWUSER if user else 0))
    if user:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
        # A namespace within this one would give its maker capabilities again, over itself at least.
        _write("/proc/sys/user/max_user_namespaces", "0")


def _mounts(plan: Plan) -> None:
    _mount("none", "/", None, _REC | _PRIVATE)
    held = [(path, write, _held(path)) for path, write in plan["shown"]]
    writable = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in plan["writable"]]
    devices = _devices()
    _attributes("/", _RDONLY | _NOSUID, recursive=True)
    # One file system in memory holds all that is private, so that one size bounds it.
    store = "/dev"
    _mount("tmpfs", store, "tmpfs", _NOSUID | _NODEV, f"size={plan['size']},mode=755")
    null = devices["null"]
    for number, place in enumerate(plan["empty"]):
        if os.path.lexists(place):
            _empty(place, f"{store}/empty{number}", null)
        else:
            os.makedirs(place)  # it lay in one before it
    for number, (path, write, file) in enumerate(held):
        if file is not None:
            _show(path, file, f"{store}/upper{number}" if write else None)
    inner = [place for place in plan["hidden"] if any(place.startswith(f"{path}/") for path, _ in writable)]
    _hide([place for place in plan["hidden"] if place not in inner], f"{store}/hidden", null)
    for path, file in writable:
        _place(path, file)
        _mount(f"/proc/self/fd/{file}", path, None, _BIND)
        _attributes(path, 0, clear=_RDONLY)
    _hide(inner, f"{store}/inner", null)
    _dev(f"{store}/dev", devices)
    _mount("proc", "/proc", "proc", _RDONLY | _NOSUID | _NODEV | _NOEXEC)
    if os.path.exists("/proc/keys"):
        _mount("/dev/null", "/proc/keys", None, _BIND)  # it names keys of the same user, whoever holds them
    for opened in [*devices.values(), *(file for _, file in writable), *(f for *_, f in held if f is not None)]:
        os.close(opened)


def _held(path: str) -> int | None:
    """Hold on to what will be covered; None if it went away."""
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None


def _devices() -> dict[str, int]:
    names = [*_DEVICES, *(name for name in sorted(os.listdir("/dev")) if name.startswith(_GPUS))]
    found = {name: _held(f"/dev/{name}") for name in names}
    return {name: file for name, file in found.items() if file is not None}


def _hide(places: list[str], private: str, null: int) -> None:
    for number, place in enumerate(places):
        if os.path.lexists(place) and not os.path.islink(place):
            _empty(place, f"{private}{number}", null)


def _empty(place: str, private: str, null: int) -> None:
    """Put an empty private folder over a folder, and nothing over anything else: a socket, a file."""
    if not os.path.isdir(place):
        _mount(f"/proc/self/fd/{null}", place, None, _BIND)
        return
    shared = os.stat(place).st_mode & 0o1777 == 0o1777
    os.mkdir(private, 0o700)
    os.chmod(private, 0o1777 if shared else 0o755)
    _mount(private, place, None, _BIND)


def _show(path: str, file: int, upper: str | None) -> None:
    """Show what was covered, or a copy of it that takes changes; what cannot be shown stays hidden."""
    try:
        _place(path, file)
        if upper is None or not stat.S_ISDIR(os.fstat(file).st_mode) or not _layered(path, file, upper):
            _mount(f"/proc/self/fd/{file}", path, None, _BIND | _REC)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
            raise


def _layered(path: str, file: int, upper: str) -> bool:
    """Mount a folder with a private layer for changes; False where its file system does not serve for that."""
    for name in (upper, f"{upper}/upper", f"{upper}/work"):
        os.mkdir(name, 0o755)
    layers = f"lowerdir=/proc/self/fd/{file},upperdir={upper}/upper,workdir={upper}/work"
    try:
        _mount("overlay", path, "overlay", _NOSUID | _NODEV, f"{layers},userxattr")
    except OSError:
        return False
    return True


def _place(path: str, file: int) -> None:
    """Make what a mount needs to be put on."""
    if os.path.lexists(path):
        return
    folder = stat.S_ISDIR(os.fstat(file).st_mode)
    os.makedirs(path if folder else os.path.dirname(path), 0o755, exist_ok=True)
    if not folder:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))


def _dev(private: str, devices: dict[str, int]) -> None:
    """Make a ``/dev`` of few devices, with its own terminals and shared memory."""
    for folder, mode in (("", 0o755), ("/pts", 0o755), ("/shm", 0o1777)):
        os.mkdir(private + folder, mode)
        os.chmod(private + folder, mode)
    for name, file in devices.items():
        _place(f"{private}/{name}", file)
        _mount(f"/proc/self/fd/{file}", f"{private}/{name}", None, _BIND | _REC)
    _mount("devpts", f"{private}/pts", "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    for name, goal in _DEV_LINKS.items():
        os.symlink(goal, f"{private}/{name}")
    _mount(private, "/dev", None, _BIND | _REC)


def _give_up_privileges() -> None:
    """Lay down every capability for good, and leave the session's keyring."""
    if (number := _KEYCTL.get(os.uname().machine)) is not None:
        _libc.syscall(number, _JOIN_SESSION_KEYRING, None)
    capability = 0
    while _libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    _libc.prctl(_CAP_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    header, none = struct.pack("Ii", _CAPABILITY_VERSION, 0), bytes(24)
    _call("capset", header, none)
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)


def _loopback_up() -> None:
    import fcntl

    inet, datagram, set_flags, up_running = 2, 2, 0x8914, 0x41
    link = _libc.socket(inet, datagram, 0)
    if link < 0:
        raise OSError(ctypes.get_errno(), "no socket")
    fcntl.ioctl(link, set_flags, struct.pack("16sh14x", b"lo", up_running))
    os.close(link)


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    try:
        _call("mount", *words, ctypes.c_ulong(flags), None if data is None else os.fsencode(data))
    except OSError as error:
        raise OSError(error.errno, f"mounting {target} failed: {os.strerror(error.errno or 0)}") from error


def _attributes(path: str, on: int, *, clear: int = 0, recursive: bool = False) -> None:
    """Set flags of a mount and, if asked, of all below it (the bits of ``MOUNT_ATTR_…`` are those of ``MS_…``)."""
    attributes = struct.pack("QQQQ", on, clear, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    _call("syscall", _MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), flags, attributes, len(attributes))


def _call(name: str, *args: object) -> None:
    if getattr(_libc, name)(*(ctypes.c_long(a) if isinstance(a, int) else a for a in args)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _write(file: str, text: str) -> None:
    with open(file, "w") as stream:
        stream.write(text)
