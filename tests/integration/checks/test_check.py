from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from loom_jupyter.checks import command as check
from loom_jupyter.checks.command import CheckResult, isolation, run_check
from loom_jupyter.checks.report import Counts
from loom_jupyter.checks.warm import Warm
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.staging import StagedCopy
from loom_jupyter.errors import CheckCommandError

sandboxed = pytest.mark.skipif(isolation() == "none", reason="the system offers no sandbox")


def run(command: str, cwd: Path, timeout: float = 30, **how: object) -> CheckResult:
    return run_check(command, cwd, timeout=timeout, **how)  # type: ignore[arg-type]


def alive(marker: str) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if marker in " ".join(process.info["cmdline"] or []) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def gone(marker: str) -> bool:
    for _ in range(40):
        if not alive(marker):
            return True
        time.sleep(0.05)
    return False


def test_passes_and_fails(tmp_path: Path) -> None:
    good = run("echo fine", tmp_path)
    assert (good.passed, good.code, good.summary, good.output) == (True, 0, "passed", "fine")
    bad = run("echo 'x is 3'; echo why >&2; exit 3", tmp_path)
    assert (bad.passed, bad.code, bad.summary) == (False, 3, "failed (exit 3): why")
    assert bad.output == "x is 3\nwhy"
    assert run("true && false || echo shell", tmp_path).output == "shell"
    assert run("cat; echo end", tmp_path).output == "end"
    assert run("kill -9 $$", tmp_path).code == 137


def test_pytest_is_the_kernels(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_a():\n    assert 1 + 1 == 3\ndef test_b(): pass\n")
    result = run("pytest -q", tmp_path)
    assert (result.passed, result.tests, result.summary) == (False, Counts(1, 1), "1 failed, 1 passed")
    assert "assert (1 + 1) == 3" in result.output
    assert str(tmp_path) not in result.raw
    assert run("pytest -q --lf", tmp_path).tests == Counts(0, 1)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("a\0b", "empty"),
        ("loom-no-such-program -q", "loom-no-such-program is not installed or not on PATH"),
        ("./nope.sh", r"nope.sh is not installed|nope.sh is not"),
        ("./plain.txt", "not executable"),
        ("echo 'open", "quotes"),
        ("python -m loom_no_such_module", "needs the module loom_no_such_module"),
        ("pytest -q tests/nowhere.py", "file or directory not found"),
    ],
)
def test_a_command_that_cannot_run_is_told_apart(tmp_path: Path, command: str, said: str) -> None:
    (tmp_path / "plain.txt").write_text("hello")
    with pytest.raises(CheckCommandError, match=said) as caught:
        run(command, tmp_path)
    assert "\n" not in str(caught.value)


def test_exit_127_of_a_test_is_a_failure_not_a_missing_command(tmp_path: Path) -> None:
    assert run("echo 'sh: 1: foo: not found'; echo done; exit 1", tmp_path).code == 1
    assert run("exit 127", tmp_path).summary == "failed (exit 127)"


def test_timeout_ends_every_process(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        wait = [sys.executable, "-c", "import time; time.sleep(300) # LOOMSTRAY"]
        subprocess.Popen(wait, start_new_session=True)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(sys.executable, wait)
            os._exit(0)
        print("up", flush=True)
        time.sleep(300)  # LOOMSTRAY
        """
    )
    (tmp_path / "stray.py").write_text(script)
    begin = time.monotonic()
    result = run("python stray.py LOOMSTRAY & sleep 300", tmp_path, timeout=1.5)
    assert result.timed_out
    assert not result.passed
    assert result.summary == "timed out after 1.5 s"
    assert result.output == "up"
    assert time.monotonic() - begin < 6
    assert gone("LOOMSTRAY")


def test_what_a_finished_check_leaves_running_is_ended(tmp_path: Path) -> None:
    command = f"setsid {sys.executable} -c 'import time; time.sleep(300) # LOOMLEFT' >/dev/null 2>&1 & echo ok"
    result = run(command, tmp_path)
    assert result.passed
    assert result.seconds < 5
    assert gone("LOOMLEFT")


LEFT = f"{sys.executable} -c 'import time; time.sleep(300) # LOOMKILLED'"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a process that adopts orphans")
@pytest.mark.parametrize("left", [f"{LEFT} &", f"setsid {LEFT} &", f"env -i setsid setsid {LEFT} &"])
def test_a_check_that_kills_its_parent_leaves_nothing_running(tmp_path: Path, left: str) -> None:
    result = run(f"{left} sleep 0.3; kill -9 $PPID; sleep 5", tmp_path)
    assert not result.passed
    assert result.seconds < 5
    assert gone("LOOMKILLED")


@pytest.mark.skipif(sys.platform != "linux", reason="pytest is kept warm on Linux only")
def test_a_warm_check_that_kills_its_parent_leaves_nothing_running(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import os, signal, subprocess, sys, time\n"
        "def test_a():\n"
        "    code = 'import time; time.sleep(300) # LOOMWARM'\n"
        "    subprocess.Popen([sys.executable, '-c', code], start_new_session=True, env={})\n"
        "    time.sleep(0.3)\n"
        "    os.kill(os.getppid(), signal.SIGKILL)\n"
        "    time.sleep(5)\n"
    )
    warm = Warm("pytest -q", tmp_path, timeout=30)
    assert warm.ready()
    assert not warm.run(timeout=30).passed
    assert gone("LOOMWARM")
    assert not warm.alive
    warm.close()


def test_a_stray_that_holds_the_output_open_does_not_block(tmp_path: Path) -> None:
    begin = time.monotonic()
    assert run("sleep 300 & echo ok", tmp_path).passed
    assert time.monotonic() - begin < 5


def test_a_check_that_closes_its_output_still_times_out(tmp_path: Path) -> None:
    result = run("exec >/dev/null 2>&1; sleep 300", tmp_path, timeout=1)
    assert result.timed_out


def test_cancel_is_prompt(tmp_path: Path) -> None:
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    begin = time.monotonic()
    result = run("sleep 300", tmp_path, cancel=cancel)
    assert result.cancelled
    assert not result.passed
    assert time.monotonic() - begin < 2.5


def test_the_check_ends_with_the_process_that_asked_for_it(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom loom_jupyter.checks.command import run_check\n"
        f"run_check('sleep 300 # LOOMORPHAN', Path({str(tmp_path)!r}), timeout=200)\n"
    )
    if sys.platform != "linux":
        pytest.skip("needs PR_SET_PDEATHSIG")
    owner = subprocess.Popen([sys.executable, "-c", code])
    try:
        for _ in range(100):
            if len(alive("LOOMORPHAN")) >= 2:
                break
            time.sleep(0.05)
        assert len(alive("LOOMORPHAN")) >= 2
    finally:
        owner.kill()
        owner.wait()
    assert gone("LOOMORPHAN")


def test_output_is_bounded_and_clean(tmp_path: Path) -> None:
    begin = time.monotonic()
    result = run("yes 0123456789 | head -c 30000000; echo THE END", tmp_path)
    assert len(result.raw) < 600_000
    assert "bytes left out" in result.raw
    assert result.raw.startswith("0123456789\n")
    assert result.raw.rstrip().endswith("THE END")
    assert len(result.output) < 5000
    assert time.monotonic() - begin < 20
    binary = run(r"printf '\033[31mred\033[0m\000\001\377\rnew\n'; head -c 1000 /dev/urandom", tmp_path)
    assert binary.output.startswith("new")
    assert not set(binary.raw) & {chr(n) for n in range(32) if n not in (9, 10)}


def test_output_comes_as_it_is_printed(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    run("echo one; sleep 0.6; echo two", tmp_path, on_output=lambda text: seen.append((time.monotonic(), text)))
    assert "".join(text for _, text in seen) == "one\ntwo\n"
    assert seen[-1][0] - seen[0][0] > 0.3


def test_keys_do_not_reach_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOM_TEST_API_KEY", "sesame")
    monkeypatch.setenv("DATABASE_URL", "postgres://me:sesame@host/db")
    monkeypatch.setenv("LOOM_PLAIN", "shown")
    result = run("env", tmp_path)
    assert "sesame" not in result.raw
    assert "LOOM_PLAIN=shown" in result.raw


def test_memory_is_limited(tmp_path: Path) -> None:
    limit = 300 * 2**20
    result = run("python -c 'x = bytearray(10**9)'", tmp_path, memory=limit)
    assert not result.passed
    assert "MemoryError" in result.output
    spread = "import os, time\nfor _ in range(4): os.fork()\nx = b'x' * (80 * 2**20)\ntime.sleep(60)"
    (tmp_path / "spread.py").write_text(spread)
    result = run("python spread.py", tmp_path, memory=limit)
    assert result.out_of_memory
    assert result.summary == "needed more than 0.293 GiB of memory"


def test_files_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "FILE_SIZE", 2**20)
    assert not run("head -c 5000000 /dev/zero > big", tmp_path).passed
    assert (tmp_path / "big").stat().st_size <= 2**20


@sandboxed
def test_no_network_but_loopback(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import socket
        server = socket.create_server(("127.0.0.1", 0))
        with socket.create_connection(server.getsockname()) as client:
            print("loopback works", client.getpeername()[0])
        print([name for _, name in socket.if_nameindex() if name.startswith(("e", "w"))])
        """
    )
    (tmp_path / "net.py").write_text(script)
    result = run("python net.py", tmp_path)
    assert result.passed, result.output
    assert "loopback works" in result.output
    assert result.output.splitlines()[-1] == "[]"


@sandboxed
def test_the_network_may_be_left_on_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    (tmp_path / "copy").mkdir()
    (tmp_path / "ws").mkdir()
    here = {name for _, name in socket.if_nameindex()}
    command = f"python -c 'import socket; print(socket.if_nameindex())'; touch {tmp_path}/ws/a || echo held"
    result = run(command, tmp_path / "copy", workspace=tmp_path / "ws", network=True)
    assert all(repr(name) in result.output for name in here)
    assert result.output.splitlines()[-1] == "held"


@sandboxed
@pytest.mark.parametrize("network", [False, True])
def test_a_warm_pytest_obeys_the_setting(tmp_path: Path, network: bool) -> None:
    (tmp_path / "test_net.py").write_text(
        "import socket\n\n\ndef test_it():\n    assert [n for _, n in socket.if_nameindex() if n[0] in 'ew'] == 0"
    )
    warm = Warm("pytest -q", tmp_path, timeout=30, network=network)
    try:
        assert warm.ready()
        outside = [name for _, name in socket.if_nameindex() if name[0] in "ew"] if network else []
        assert f"assert {outside} == 0" in warm.run(timeout=30).output
    finally:
        warm.close()


@sandboxed
def test_the_workspace_is_read_only_for_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    workspace = tmp_path / "ws"
    (workspace / "node_modules").mkdir(parents=True)
    (workspace / "a.py").write_text("x = 1\n")
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        command = f"echo bad > {workspace}/a.py; echo bad > node_modules/b; echo fine > out; cat out"
        result = run(command, staged.root, workspace=workspace)
    assert result.output.splitlines()[-1] == "fine"
    assert (workspace / "a.py").read_text() == "x = 1\n"
    assert not (workspace / "node_modules" / "b").exists()


@sandboxed
def test_key_files_are_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_rsa").write_text("sesame")
    (home / ".netrc").write_text("sesame")
    (home / "plain").write_text("kept")
    monkeypatch.setenv("HOME", str(home))
    result = run("cat ~/.netrc ~/.ssh/* ~/plain; echo more > ~/plain", tmp_path)
    assert "sesame" not in result.raw
    assert (home / ".netrc").read_text() == "sesame"
    assert (home / "plain").read_text() == "kept"


def test_candidates_win_over_an_editable_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``.pth`` file of the environment leads into the workspace; the staged copy must still be imported."""
    workspace, env = tmp_path / "ws", tmp_path / "env"
    for name in ("src/priced/__init__.py", "python/other.py"):
        (workspace / name).parent.mkdir(parents=True)
        (workspace / name).write_text("WHO = 'workspace'\n")
    (workspace / "test_who.py").write_text(
        "import priced, other\ndef test_who():\n    assert (priced.WHO, other.WHO) == ('staged', 'staged')\n"
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", env], check=True)
    site = next(env.glob("lib/python*/site-packages"))
    (site / "workspace.pth").write_text(f"{workspace}/src\n{workspace}/python\n")
    kernels = [entry for entry in sys.path if "site-packages" in entry]
    (site / "outer.pth").write_text("\n".join(kernels) + "\n")
    monkeypatch.setattr(sys, "executable", str(env / "bin" / "python"))
    monkeypatch.setattr(sys, "path", [*sys.path, f"{workspace}/src", f"{workspace}/python"])
    command = "python -m pytest -q test_who.py"
    with StagedCopy(workspace, tmp_path / "stage") as staged:
        assert not run(command, staged.root, workspace=workspace).passed
        changes = [
            FileChange(path, (workspace / path).read_bytes(), b"WHO = 'staged'\n")
            for path in ("src/priced/__init__.py", "python/other.py")
        ]
        staged.put(changes)
        result = run(command, staged.root, workspace=workspace)
        assert result.passed, result.output
        staged.restore()
        assert not run(command, staged.root, workspace=workspace).passed


def test_the_users_own_pytest_options_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k only")
    (tmp_path / "test_a.py").write_text("def test_only(): pass\ndef test_other(): assert 0\n")
    result = run("pytest -q", tmp_path)
    assert result.passed
    assert result.tests is not None
    assert result.tests.passed == 1


def test_without_a_sandbox_checks_still_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "isolation", lambda: "none")
    assert run("echo fine", tmp_path, workspace=tmp_path.parent).passed


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_overhead_is_small(tmp_path: Path) -> None:
    run("true", tmp_path)
    best = min(run("true", tmp_path).seconds for _ in range(5))
    assert best < 0.5
