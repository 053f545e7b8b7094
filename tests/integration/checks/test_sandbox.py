"""Every promise of the table in docs/checks.md, for commands and for a warm pytest alike."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.checks import command, sandbox
from loom_jupyter.checks.command import CheckResult, not_isolated, run_check
from loom_jupyter.checks.sandbox import isolation, why_none
from loom_jupyter.checks.warm import Warm
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import SandboxError

Look = Callable[..., str]


NAMESPACES = """
import ctypes, os
libc = ctypes.CDLL(None)
own = libc.unshare(0x10020000) == 0 or (os.geteuid() == 0 and libc.unshare(0x20000) == 0)
raise SystemExit(0 if own and libc.mount(b"none", b"/", None, 0x44000, None) == 0 else 1)
"""


@pytest.fixture
def isolated() -> None:
    """Nothing can be promised where the system forbids it; then that must be said, with the reason."""
    if isolation() == "none":
        allowed = sys.platform == "linux" and subprocess.run([sys.executable, "-c", NAMESPACES]).returncode == 0
        assert not allowed, f"the system allows namespaces, and yet: {why_none()}"
        assert why_none()
        assert not_isolated().startswith(f"not isolated: {why_none()}.")
        pytest.skip(not_isolated())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that no part of the sandbox hides: what a system has besides homes and temporary folders."""
    monkeypatch.setattr(sandbox, "_temporary", lambda: ["/var/tmp", "/run"])
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture(params=["command", "warm"])
def look(request: pytest.FixtureRequest, tmp_path: Path, isolated: None) -> Look:
    """Run Python code as a check and return what it prints."""

    def cold(code: str, workspace: Path, **how: object) -> CheckResult:
        (workspace / "look.py").write_text(code)
        with StagedCopy(workspace, tmp_path / "stage") as staged:
            return run_check("python look.py", staged.root, timeout=60, workspace=workspace, **how)  # type: ignore[arg-type]

    def warm(code: str, workspace: Path, **how: object) -> CheckResult:
        (workspace / "test_look.py").write_text(f"def test_look():\n    exec({code!r}, {{}})\n")
        with StagedCopy(workspace, tmp_path / "stage") as staged:
            server = Warm("python -m pytest -q -s", staged.root, timeout=60, workspace=workspace, **how)  # type: ignore[arg-type]
            try:
                assert server.ready()
                return server.run(timeout=60)
            finally:
                server.close()

    def run(code: str, workspace: Path | None = None, **how: object) -> str:
        if workspace is None:
            workspace = tmp_path / "ws"
            workspace.mkdir(exist_ok=True)
        found = (cold if request.param == "command" else warm)(textwrap.dedent(code), workspace, **how)
        assert found.passed, found.raw
        return found.raw

    return run


REFUSED = """
import os
def refused(do, *args):
    try:
        do(*args)
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)
    return "DONE"
"""


def test_it_sees_and_reaches_no_process_but_its_own(look: Look) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60) # STRANGER"])
    try:
        said = look(
            REFUSED
            + f"""
            print([p for p in os.listdir("/proc") if p.isdigit() and int(p) > 50])
            seen = [open(f"/proc/{{p}}/cmdline").read() for p in os.listdir("/proc") if p.isdigit()]
            print("stranger", any("STRANGER" in line for line in seen))
            print(refused(os.kill, {stranger.pid}, 0), refused(os.kill, {os.getpid()}, 0))
            """.replace("\n            ", "\n")
        )
        assert "stranger False" in said
        assert "ProcessLookupError 3 ProcessLookupError 3" in said
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_it_has_no_capabilities_and_gets_none(look: Look) -> None:
    said = look(
        """
        import os, shutil, subprocess
        print([line.split() for line in open("/proc/self/status") if line.startswith(("Cap", "NoNewPrivs"))])
        for command in (["unshare", "-U", "true"], ["unshare", "-m", "true"], ["mount", "/dev", "/mnt"]):
            if shutil.which(command[0]):
                print("ran", subprocess.run(command, capture_output=True).returncode == 0)
        """
    )
    sets = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert all(f"['{name}:', '0000000000000000']" in said for name in sets)
    assert "['NoNewPrivs:', '1']" in said
    assert "ran True" not in said


def test_a_namespace_of_its_own_uncovers_nothing(look: Look, home: Path) -> None:
    (home / "secret").write_text("sesame")
    said = look(
        f"""
        import subprocess
        script = "umount -l {home}; umount -l /tmp; mount -o remount,rw /; cat {home}/secret; touch {home}/out"
        for how in (["-Urm"], ["-Urmp", "--fork", "--mount-proc"], ["-m"]):
            done = subprocess.run(["unshare", *how, "sh", "-c", script], capture_output=True, text=True)
            print(done.stdout)
        """
    )
    assert "sesame" not in said
    assert not (home / "out").exists()


def test_the_whole_system_is_read_only(look: Look, place: Path, home: Path) -> None:
    (place / "file").write_text("mine")
    (place / "ws").mkdir()
    said = look(
        REFUSED
        + f"""
for path in ("/usr/loom", "/etc/loom", "/loom", "{place}/loom", "{place}/ws/loom", "/sys/loom", "/proc/loom"):
    print(refused(open, path, "w"))
print(refused(open, "{place}/file", "a"), refused(os.unlink, "{place}/file"), refused(os.chmod, "{place}/file", 0))
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger"):
    print(refused(open, path, "a"))
open("mine", "w").write("fine")
print("wrote", open("mine").read())
""",
        place / "ws",
    )
    assert "DONE" not in said
    assert "wrote fine" in said
    assert (place / "file").read_text() == "mine"


def test_home_and_temporary_folders_are_its_own_and_end_with_it(look: Look, home: Path) -> None:
    for folder in (home, Path("/tmp"), Path("/var/tmp")):
        (folder / f"mine-{os.getpid()}").write_text("sesame")
    try:
        said = look(
            f"""
            import os, pathlib, tempfile
            for folder in ("{home}", "/tmp", "/var/tmp", "/dev/shm", tempfile.gettempdir()):
                path = pathlib.Path(folder)
                print(folder, "sees", (path / "mine-{os.getpid()}").exists())
                (path / "left-{os.getpid()}").write_text("here")
            """
        )
        assert "sees True" not in said
        for folder in (home, Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")):
            assert not (folder / f"left-{os.getpid()}").exists()
    finally:
        for folder in (Path("/tmp"), Path("/var/tmp")):
            (folder / f"mine-{os.getpid()}").unlink()


@pytest.mark.parametrize(
    "name",
    [
        *(".ssh/id_ed25519", ".aws/credentials", ".netrc", ".config/gh/hosts.yml", ".config/gcloud/x.db"),
        *(".mozilla/firefox/x/cookies.sqlite", ".config/google-chrome/Default/Cookies", ".gitconfig"),
        *(".bashrc", ".bash_history", ".ipython/profile_default/startup/00.py", ".local/share/keyrings/x"),
        *(".cargo/credentials.toml", ".m2/settings.xml", ".cache/huggingface/token", ".config/pip/pip.conf"),
        *(".jupyter/jupyter_server_config.json", "Documents/taxes.txt", ".local/share/jupyter/notebook_secret"),
    ],
)
def test_what_is_private_in_the_home_folder_is_out_of_sight(
    name: str, place: Path, isolated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = place / "home"
    monkeypatch.setenv("HOME", str(home))
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text("sesame")
    (home / ".cargo/registry/src").mkdir(parents=True)
    workspace = home / "work" / "project"
    workspace.mkdir(parents=True)
    with StagedCopy(workspace) as staged:
        found = run_check(
            f"cat {home}/{name}; cat $HOME/.[a-z]*/* $HOME/*", staged.root, timeout=30, workspace=workspace
        )
    assert "sesame" not in found.raw
    assert (home / name).read_text() == "sesame"


def test_files_of_jupyter_and_loom_are_out_of_sight_wherever_they_lie(
    look: Look, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, variable in (("data", "JUPYTER_DATA_DIR"), ("run", "JUPYTER_RUNTIME_DIR"), ("ipy", "IPYTHONDIR")):
        (place / name / "loom").mkdir(parents=True)
        (place / name / "loom" / "x").write_text("sesame")
        monkeypatch.setenv(variable, str(place / name))
    said = look(
        f"""
        import os
        for folder, _, files in os.walk("{place}"):
            for file in files:
                print(file, open(os.path.join(folder, file)).read())
        """
    )
    assert "sesame" not in said


def test_gits_files_of_the_workspace_are_out_of_sight(look: Look, place: Path) -> None:
    workspace = place / "ws"
    (workspace / ".git").mkdir(parents=True)
    (workspace / ".git" / "config").write_text('url = "https://me:sesame@example.org"')
    (workspace / "data.txt").write_text("seen")
    said = look(
        f"""
        import os
        print(os.listdir("{workspace}/.git"), open("{workspace}/data.txt").read())
        """,
        workspace,
    )
    assert "[] seen" in said


def test_no_socket_of_the_machine_answers(
    look: Look, place: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = home.parent / "runtime"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.chdir(place)
    workspace = home / "project"
    workspace.mkdir()
    names = [str(folder / "s") for folder in (place, home, runtime, workspace)]
    names += [f"/var/tmp/s-{os.getpid()}", f"\0loom-{os.getpid()}"]
    servers = []
    try:
        for name in names:
            server = socket.socket(socket.AF_UNIX)
            server.bind(name)
            server.listen()
            servers.append(server)
        tcp = socket.create_server(("127.0.0.1", 0))
        servers.append(tcp)
        said = look(
            REFUSED
            + f"""
import socket
for name in {names!r}:
    print(refused(socket.socket(socket.AF_UNIX).connect, name))
print(refused(socket.create_connection, ("127.0.0.1", {tcp.getsockname()[1]})))
mine = socket.socket(socket.AF_UNIX)
mine.bind("own"); mine.listen()
socket.socket(socket.AF_UNIX).connect("own")
print("its own works")
""",
            workspace,
        )
        assert "DONE" not in said
        assert "its own works" in said
    finally:
        for server in servers:
            server.close()
        Path(names[-2]).unlink()


NAMES = ("ipc", "uts", "pid", "net", "mnt", "cgroup")


def test_shared_memory_and_the_hosts_name_are_its_own(look: Look) -> None:
    shared = Path(f"/dev/shm/loom-{os.getpid()}")
    shared.write_text("sesame")
    try:
        said = look(
            f"""
            import multiprocessing, os
            print([os.readlink(f"/proc/self/ns/{{name}}") for name in {NAMES}])
            print(os.path.exists("{shared}"), len(open("/proc/sysvipc/shm").readlines()))
            with multiprocessing.Lock():
                print("locks work")
            """
        )
    finally:
        shared.unlink()
    for name in NAMES:
        assert os.readlink(f"/proc/self/ns/{name}") not in said
    assert "False 1" in said
    assert "locks work" in said


def test_what_detaches_itself_and_ends_is_gone(isolated: None, tmp_path: Path) -> None:
    left = "(setsid sleep 0.1 &); sleep 1; cat /proc/[0-9]*/stat | grep -c ') Z '"
    assert run_check(left, tmp_path, timeout=30).raw.strip() == "0"


def test_devices_are_few(look: Look) -> None:
    said = look(
        """
        import os, pty
        print("devices:", *sorted(os.listdir("/dev")))
        print(len(os.urandom(3)), os.path.exists("/dev/null"), len(pty.openpty()))
        """
    )
    names = set(next(line for line in said.splitlines() if "devices:" in line).partition(":")[2].split())
    usual = {"fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom"}
    others = {name for name in names - usual - {"zero"} if not name.startswith(("nvidia", "kfd", "dri", "dxg"))}
    assert others == set()
    assert "3 True 2" in said


def test_keyrings_are_its_own(look: Look) -> None:
    """A key of the user's session, as Kerberos or an encrypted folder keep one."""
    add_key = {"x86_64": 248, "aarch64": 217}.get(os.uname().machine)
    if add_key is None or not Path("/proc/keys").exists():
        pytest.skip("no keyrings here, or their numbers are not known")
    session = -3
    libc = ctypes.CDLL(None)
    key = libc.syscall(add_key, b"user", b"loom-test-key", b"sesame", 6, session)
    read = f"""
import ctypes
held = ctypes.create_string_buffer(100)
ctypes.CDLL(None).syscall({add_key + 2}, 11, {key}, held, 100)
print("held", held.value, "sees", open("/proc/keys").read())
"""
    own = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True).stdout
    assert "held b'sesame'" in own
    assert "loom-test-key" in own
    said = look(read)
    assert "held b''" in said
    assert "loom-test-key" not in said


def test_memory_that_processes_share_counts_once(look: Look) -> None:
    said = look(
        """
        import os, time
        held = bytearray(b"x" * (150 << 20))
        children = []
        for _ in range(6):
            if (child := os.fork()) == 0:
                held.count(b"y"); time.sleep(1.5); os._exit(0)
            children.append(child)
        print([os.waitpid(child, 0)[1] for child in children])
        """,
        memory=600 * 2**20,
    )
    assert "[0, 0, 0, 0, 0, 0]" in said


def test_private_folders_are_bounded(isolated: None, tmp_path: Path) -> None:
    done = run_check("head -c 80000000 /dev/zero > /tmp/big; ls -l /tmp/big", tmp_path, timeout=30, memory=2**26)
    assert "No space left" in done.raw


def test_caches_take_changes_that_do_not_last(look: Look, home: Path) -> None:
    cached = home / ".cache/go-build/x"
    cached.parent.mkdir(parents=True)
    cached.write_text("seen")
    said = look(
        f"""
        import pathlib
        file = pathlib.Path("{cached}")
        print(file.read_text())
        file.write_text("changed")
        print(file.read_text())
        """
    )
    assert "seen\nchanged" in said
    assert cached.read_text() == "seen"


def test_what_tools_and_tests_need_of_the_home_folder_is_there(
    look: Look, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment, a user's packages, programs, an editable install and data that the workspace links."""
    workspace = home / "project"
    for name, text in {
        "project/.venv/pyvenv.cfg": "home = /usr/bin",
        "project/big/data.csv": "1,2",
        "lib/shared_code.py": "X = 41",
        "other/src/edited/__init__.py": "Y = 42",
        ".local/bin/tool": "#!/bin/sh\necho tool runs",
        "opt/thing/bin/thing": "#!/bin/sh\ncat $(dirname $0)/../share",
        "opt/thing/share": "thing runs",
        "datasets/far.txt": "far data",
    }.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
        (home / name).chmod(0o755)
    (workspace / "far").symlink_to(home / "datasets")
    (workspace / "keys").symlink_to(home / ".ssh")
    (home / ".ssh").mkdir()
    (home / ".ssh/id").write_text("sesame")
    monkeypatch.setattr(sys, "path", [*sys.path, str(home / "lib"), str(home / "other/src")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(home / "lib"), str(home / "other/src")]))
    monkeypatch.setenv(
        "PATH", os.pathsep.join([f"{home}/.local/bin", f"{home}/opt/thing/bin", os.environ["PATH"]])
    )
    said = look(
        """
        import os, subprocess, shared_code, edited
        print(shared_code.X, edited.Y, os.path.exists(".venv/pyvenv.cfg"), open("big/data.csv").read())
        print(subprocess.check_output(["tool"], text=True), subprocess.check_output(["thing"], text=True))
        print(os.listdir("keys") if os.path.exists("keys") else "no keys", os.path.exists("far/far.txt"))
        """,
        workspace,
    )
    assert "41 42 True 1,2" in said
    assert "tool runs" in said
    assert "thing runs" in said
    assert "no keys True" in said


def test_a_repository_cannot_choose_what_is_shown(home: Path, isolated: None, tmp_path: Path) -> None:
    """Links of a repository lead where its author wanted."""
    (home / ".aws").mkdir()
    (home / ".aws/credentials").write_text("sesame")
    (home / "notes.txt").write_text("sesame")
    workspace = home / "clone"
    workspace.mkdir()
    for name, goal in {"a": "../.aws", "b": "..", "c": "../.aws/credentials", "d": "../../home"}.items():
        (workspace / name).symlink_to(goal)
    with StagedCopy(workspace) as staged:
        found = run_check("cat a/* b/* b/.aws/* c d/*", staged.root, timeout=30, workspace=workspace)
    assert "sesame" not in found.raw


def test_a_copy_of_a_home_folder_leaves_hidden_files_out(home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws/credentials").write_text("sesame")
    (home / ".netrc").write_text("sesame")
    (home / "a.py").write_text("x = 1")
    with StagedCopy(home, home.parent / "stage") as staged:
        assert os.listdir(staged.root) == ["a.py"]


@pytest.mark.parametrize("names", ["sitecustomize usercustomize", "ctypes signal marshal", "json socket pytest"])
@pytest.mark.usefixtures("isolated")
def test_modules_of_the_repository_run_in_the_sandbox_only(
    place: Path, monkeypatch: pytest.MonkeyPatch, names: str
) -> None:
    """Whatever Python imports as it starts, and what Loom's own scripts import."""
    workspace = place / "ws"
    workspace.mkdir()
    for name in names.split():
        (workspace / f"{name}.py").write_text(f"import os\nos.close(os.open('{place}/OWNED', os.O_CREAT))\n")
    monkeypatch.chdir(workspace)
    monkeypatch.setenv("PYTHONPATH", f"{workspace}:.:")
    monkeypatch.setenv("PYTHONSTARTUP", str(workspace / f"{names.split()[0]}.py"))
    with StagedCopy(workspace) as staged:
        run_check(f"python -c 'import {names.split()[0]}'", staged.root, timeout=30, workspace=workspace)
        server = Warm("python -m pytest -q", staged.root, timeout=30, workspace=workspace)
        server.ready()
        server.run(timeout=30)
        server.close()
    assert not (place / "OWNED").exists()


def test_a_sandbox_that_fails_runs_nothing(
    isolated: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = command.plan
    monkeypatch.setattr(command, "plan", lambda *a, **k: real(*a, **k) | {"writable": [str(tmp_path / "nowhere")]})
    with pytest.raises(SandboxError, match="was not run"):
        run_check(f"touch {tmp_path}/ran", tmp_path, timeout=10)
    assert not (tmp_path / "ran").exists()


def test_where_no_sandbox_is_allowed_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, said in (
        ("user/max_user_namespaces", "0", "switched off"),
        ("kernel/unprivileged_userns_clone", "0", "for root only"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor"),
        ("", "", "Operation not permitted"),
    ):
        monkeypatch.setattr(
            sandbox, "_sysctl", lambda asked, name=name, value=value: value if asked == name else ""
        )
        assert said in sandbox._reason("unshare: Operation not permitted")
    monkeypatch.setattr(command, "isolation", lambda: "none")
    assert command.not_isolated().startswith("not isolated: ")
