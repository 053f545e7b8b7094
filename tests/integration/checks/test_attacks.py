"""Code in a check that works against Loom itself: its supervisors, its answers, the memory; odd files."""

from __future__ import annotations

import json
import os
import socket
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from loom_jupyter.checks import process, sandbox, trace
from loom_jupyter.checks.command import CheckResult, isolation, not_isolated, run_check
from loom_jupyter.checks.warm import Warm
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import DEEPEST, StagedCopy

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture
def isolated() -> None:
    """Where there is no sandbox that is said; nothing of this is promised then."""
    if isolation() == "none":
        assert not_isolated().startswith("not isolated: ")
        pytest.skip(not_isolated())


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "ws"
    folder.mkdir()
    (folder / "a.py").write_text("a = 1\n")
    return folder


@pytest.fixture
def warm(workspace: Path, tmp_path: Path) -> Iterator[tuple[Warm, StagedCopy]]:
    (workspace / "test_next.py").write_text("def test_next():\n    print(open('/proc/self/status').read()[:9])\n")
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        server = Warm("python -m pytest -q -s", staged.root, timeout=60, workspace=workspace)
        try:
            assert server.ready()
            yield server, staged
        finally:
            server.close()


def cold(code: str, workspace: Path, timeout: float = 60, **how: object) -> CheckResult:
    (workspace / "look.py").write_text(textwrap.dedent(code))
    with StagedCopy(workspace) as staged:
        return run_check("python look.py", staged.root, timeout=timeout, workspace=workspace, **how)  # type: ignore[arg-type]


def attack(warm: tuple[Warm, StagedCopy], code: str, *, then: str = "") -> tuple[CheckResult, CheckResult]:
    """Run a test that does harm and fails, then another one."""
    server, staged = warm
    for name, body in (("test_bad.py", code + "\nassert 0"), ("test_next.py", then or "pass")):
        text = f"def test_it():\n    exec({textwrap.dedent(body)!r}, {{}})\n"
        old = (staged.root / name).read_bytes() if (staged.root / name).exists() else None
        staged.put([FileChange(name, old, text.encode(), 0o644)])
        found = server.run(timeout=20, args=["-q", "-s", name])
        staged.restore()
        if name == "test_bad.py":
            bad = found
    return bad, found


@linux
@pytest.mark.parametrize("place", ["/proc/1/root/etc/x", "/proc/1/cwd/x", "/proc/1/exe", "~nobody-at-all/x"])
def test_a_command_may_name_what_cannot_be_looked_at(place: str, workspace: Path) -> None:
    assert run_check(f"cat {place} 2>/dev/null; echo ran", workspace, timeout=20, workspace=workspace).passed


def test_a_command_of_any_length_runs(workspace: Path) -> None:
    assert "100001" in run_check(f"echo {'x' * 100_000} | wc -c", workspace, timeout=20).raw


def test_many_links_out_of_the_workspace_are_no_obstacle(workspace: Path, tmp_path: Path) -> None:
    data = tmp_path / "a-data-set-that-lies-elsewhere"
    data.mkdir()
    for number in range(1_000):
        (data / f"{number:050}").write_text("seen")
        (workspace / f"l{number}").symlink_to(data / f"{number:050}")
    with StagedCopy(workspace) as staged:
        assert "seen" in run_check("cat l999", staged.root, timeout=60, workspace=workspace).raw


def test_links_in_a_circle_and_deep_folders_are_no_obstacle(workspace: Path) -> None:
    (workspace / "self").symlink_to("self")
    (workspace / "one").symlink_to("two")
    (workspace / "two").symlink_to(workspace / "one")
    deep = workspace.joinpath(*["d"] * (DEEPEST + 40))
    deep.mkdir(parents=True)
    (deep / "file").write_text("")
    with StagedCopy(workspace) as staged:
        assert staged.skipped == ["/".join(["d"] * (DEEPEST + 1))]
        assert (staged.root / "self").readlink() == Path("self")
        staged.put([FileChange("a.py", b"a = 1\n", b"a = 2\n", 0o644)])
        staged.restore()
        assert (staged.root / "a.py").read_bytes() == b"a = 1\n"


def test_a_check_cannot_pretend_that_its_sandbox_failed(workspace: Path) -> None:
    found = run_check("echo 'loom sandbox: broken'; exit 125", workspace, timeout=20, workspace=workspace)
    assert (found.passed, found.code) == (False, 125)


def test_sockets_of_a_workspace_in_the_home_folder_do_not_answer(
    isolated: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "home" / "project"
    workspace.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(workspace)
    with socket.socket(socket.AF_UNIX) as whole, socket.socket(socket.AF_UNIX) as relative:
        for server, name in ((whole, str(workspace / "whole")), (relative, "relative")):
            server.bind(name)
            server.listen()
        said = cold(
            f"""
            import socket
            for name in ("whole", "relative"):
                try:
                    socket.socket(socket.AF_UNIX).connect(f"{workspace}/{{name}}")
                    print("ANSWERED", name)
                except OSError as error:
                    print("refused", error.errno)
            """,
            workspace,
        ).raw
    assert "ANSWERED" not in said
    assert said.count("refused") == 2


FORGE = """
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
own, above = os.getpid(), os.getppid()
for pid in {above, 1, 2} - {own}:
    opened = os.pidfd_open(pid)
    stolen = [libc.syscall(438, opened, number, 0) for number in range(12)]
    print("stolen", [one for one in stolen if one >= 0], "traced", libc.ptrace(16, pid, 0, 0))
"""


def test_the_supervisors_cannot_be_traced_and_their_files_not_taken(isolated: None, workspace: Path) -> None:
    said = cold(FORGE, workspace, timeout=15).raw  # what it attaches to stands still until the check's time is out
    assert said.count("stolen [] traced -1") >= 2


def test_a_run_takes_nothing_from_the_warm_server(isolated: None, warm: tuple[Warm, StagedCopy]) -> None:
    bad, after = attack(warm, FORGE)
    assert bad.raw.count("stolen [] traced -1") >= 2
    assert not bad.passed
    assert after.passed


LEAVE = """
import os
for place in ("/tmp/left", "/var/tmp/left", "/dev/shm/left", os.path.expanduser("~/lib/left.pth")):
    os.makedirs(os.path.dirname(place), exist_ok=True)
    open(place, "w").write("left")
os.makedirs(os.path.expanduser("~/deep" + "/d" * 200))
os.chmod(os.path.expanduser("~"), 0)
"""
LOOK = """
import os
print("left:", [os.listdir(os.path.expanduser(place)) for place in ("/dev/shm", "/var/tmp", "/tmp", "~")])
"""


def test_a_warm_run_leaves_nothing_in_private_folders(isolated: None, warm: tuple[Warm, StagedCopy]) -> None:
    _, after = attack(warm, LEAVE, then=LOOK)
    assert after.passed, after.raw
    seen = next(line for line in after.raw.splitlines() if line.startswith("left:"))
    assert not any(name in seen for name in ("'left'", "'lib'", "'deep'"))


def test_a_warm_server_outlives_what_its_runs_leave_running(isolated: None, warm: tuple[Warm, StagedCopy]) -> None:
    daemon = "import subprocess; subprocess.Popen(['sh', '-c', 'setsid sleep 50 & trap : TERM; sleep 50'])"
    then = """
        import os
        running = [open(f"/proc/{p}/cmdline").read() for p in os.listdir("/proc") if p.isdigit()]
        assert not any("sleep" in line for line in running)
    """
    _, after = attack(warm, daemon, then=then)
    assert after.passed, after.raw
    assert warm[0].alive


@pytest.mark.parametrize("written", [b"\xff\xfe " * 3, b"json numpy.evil[ x", b"a" * 2_000_000])
def test_what_a_run_says_of_its_modules_is_not_believed(
    isolated: None, warm: tuple[Warm, StagedCopy], written: bytes
) -> None:
    code = f"""
        import os
        for name in os.listdir("/proc/self/fd"):
            if os.path.lexists(f"/proc/self/fd/{{name}}") and "memfd" in os.readlink(f"/proc/self/fd/{{name}}"):
                os.write(int(name), {written[:8]!r} * {len(written) // len(written[:8])})
    """
    bad, after = attack(warm, code)
    assert not bad.passed
    assert after.passed
    assert all(name.partition(".")[0] == "numpy" for name in warm[0].modules)


def test_files_in_memory_count(isolated: None, workspace: Path) -> None:
    found = cold(
        """
        import os, time
        files = [os.memfd_create("x") for _ in range(8)]
        for file in files:
            os.write(file, b"x" * (80 << 20))
        time.sleep(30)
        """,
        workspace,
        memory=400 * 2**20,
    )
    assert found.out_of_memory


def test_shared_memory_that_nobody_has_attached_counts(isolated: None, workspace: Path) -> None:
    found = cold(
        """
        import ctypes, time
        libc = ctypes.CDLL(None)
        libc.shmat.restype = ctypes.c_void_p
        for _ in range(4):
            held = libc.shmat(libc.shmget(0, ctypes.c_size_t(100 << 20), 0o600), None, 0)
            ctypes.memset(held, 1, 100 << 20)
            libc.shmdt(ctypes.c_void_p(held))
        time.sleep(30)
        """,
        workspace,
        memory=300 * 2**20,
    )
    assert (found.passed, found.code) == (False, 137)
    assert "too much shared memory" in found.raw
    assert found.seconds < 20


def test_processes_are_limited_for_root_too(
    isolated: None, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "MOST_TASKS", 50)
    found = cold(
        """
        import os, time
        for _ in range(60):
            if os.fork() == 0:
                break
        time.sleep(30)
        """,
        workspace,
    )
    assert not found.passed
    assert "processes and threads" in found.summary


@pytest.mark.parametrize(
    "record",
    [
        "[" * 100_000,
        '{"tests": {"failed": 0, "passed": 1, "failing": []}, "functions": {"a.py": {"1": ["f", 1, 0]}}, '
        '"lines": {}}',
        '{"tests": {"failed": 1e308, "passed": 1, "failing": []}, "functions": {"a.py": {"1": ["f", 1e308, 1]}}, '
        '"lines": {}}',
    ],
)
def test_a_forged_trace_is_no_evidence(record: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(record)
    found = trace.collect(tmp_path)
    assert found is None or json.dumps(found.failing) == "[]"


def test_no_process_of_a_check_is_left_in_the_list_of_children(workspace: Path) -> None:
    before = set(os.listdir("/proc/self/fd")) if sys.platform == "linux" else set()
    for _ in range(5):
        run_check("true", workspace, timeout=20)
    after = set(os.listdir("/proc/self/fd")) if sys.platform == "linux" else set()
    assert len(after) <= len(before)


@pytest.mark.parametrize("data", ["", "project", "project/data"])
def test_runs_and_tokens_are_hidden_where_the_data_folder_holds_the_workspace(
    isolated: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str
) -> None:
    for name in ("TMPDIR", "XDG_RUNTIME_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    workspace, kept = tmp_path / "project", tmp_path / data
    for name in ("loom/w/runs/r/map.json", "runtime/kernel.json"):
        (kept / name).parent.mkdir(parents=True)
        (kept / name).write_text("sesame")
    workspace.mkdir(exist_ok=True)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(kept))
    monkeypatch.setattr(sandbox, "_temporary", list)  # as if all of it lay outside of temporary folders
    found = cold(
        f"""
        import os
        print([os.path.join(*x) for x in os.walk("{tmp_path}") for x in [(x[0], y) for y in x[2]]])
        print([os.path.join(*x) for x in os.walk(".") for x in [(x[0], y) for y in x[2]]])
        """,
        workspace,
    )
    assert found.passed, found.raw
    assert "map.json" not in found.raw
    assert "kernel.json" not in found.raw
