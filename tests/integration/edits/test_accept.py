from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loom_jupyter.edits import accept as accepting
from loom_jupyter.edits import folder, paths
from loom_jupyter.edits.accept import accept, recover, undo
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.journal import JournalState, state
from loom_jupyter.errors import EditError, ForbiddenPathError, StaleFileError

BEFORE: dict[str, bytes | None] = {
    "a.py": b"a = 1\r\n",
    "pkg/b.txt": b"\xff\xfeb",
    "new/deep/c.py": None,
    "d.py": None,
}
AFTER: dict[str, bytes | None] = {"a.py": b"a = 2\r\n", "pkg/b.txt": b"", "new/deep/c.py": b"c\n", "d.py": b"d\n"}


def snapshot(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def held(content: dict[str, bytes | None]) -> dict[str, bytes]:
    return {path: data for path, data in sorted(content.items()) if data is not None}


@pytest.fixture
def tmp_path(in_memory: Path) -> Path:
    return in_memory


@pytest.fixture(params=[True, False], ids=["exchanged", "linked"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the file system can exchange two names in one step."""
    if not request.param:
        monkeypatch.setattr(folder, "_system_rename", lambda: None)
    return bool(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return lay(tmp_path / "ws")


def lay(root: Path) -> Path:
    for path, data in BEFORE.items():
        if data is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
    (root / "a.py").chmod(0o754)
    return root


def changes() -> list[FileChange]:
    return [
        FileChange(path, BEFORE[path], after, 0o754 if path == "a.py" else None)
        for path, after in AFTER.items()
        if after is not None
    ]


def test_accept_then_undo(root: Path, tmp_path: Path) -> None:
    journal = tmp_path / "run" / "journal"
    assert accept(changes(), journal, root) == list(AFTER)
    assert snapshot(root) == held(AFTER)
    assert (root / "a.py").stat().st_mode & 0o777 == 0o754
    assert (root / "d.py").stat().st_mode & 0o777 == 0o666 & ~mask()
    assert journal.stat().st_mode & 0o777 == 0o700
    assert state(journal) is JournalState.ACCEPTED
    report = undo(journal, root)
    assert (report.restored, report.removed) == (["a.py", "pkg/b.txt"], ["new/deep/c.py", "d.py"])
    assert snapshot(root) == held(BEFORE)
    assert not (root / "new").exists()
    assert (root / "a.py").stat().st_mode & 0o777 == 0o754
    assert state(journal) is JournalState.UNDONE
    with pytest.raises(EditError, match="nothing to undo"):
        undo(journal, root)
    assert accept(changes(), journal, root)
    assert snapshot(root) == held(AFTER)


def mask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(
    files=st.dictionaries(
        st.sampled_from(["a", "b/c", "b/d", "é.txt", "x y"]),
        st.tuples(st.none() | st.binary(), st.binary()),
        min_size=1,
    ),
    pick=st.randoms(use_true_random=False),
)
def test_undoing_what_was_accepted_gives_the_same_bytes(
    tmp_path: Path, files: dict[str, tuple[bytes | None, bytes]], pick: random.Random
) -> None:
    root, journal = tmp_path / "ws", tmp_path / "journal"
    for place in (root, journal):
        shutil.rmtree(place, ignore_errors=True)
    root.mkdir()
    for path, (before, _) in files.items():
        if before is not None:
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_bytes(before)
    original = snapshot(root)
    written = accept([FileChange(path, *pair) for path, pair in files.items()], journal, root)
    assert snapshot(root) == {path: after for path, (_, after) in files.items()}
    order = list(written)
    pick.shuffle(order)
    for path in order:
        undo(journal, root, [path])
    assert snapshot(root) == original


def test_only_some_paths(root: Path, tmp_path: Path) -> None:
    assert accept(changes(), tmp_path / "j", root, paths=["d.py"]) == ["d.py"]
    assert snapshot(root) == held(BEFORE | {"d.py": b"d\n"})
    assert undo(tmp_path / "j", root).removed == ["d.py"]


def test_nothing_to_write(root: Path, tmp_path: Path) -> None:
    assert accept([FileChange("a.py", b"a = 1\r\n", b"a = 1\r\n")], tmp_path / "j", root) == []
    assert state(tmp_path / "j") is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda root: (root / "pkg/b.txt").write_bytes(b"mine"), "b.txt has changed"),
        (lambda root: (root / "pkg/b.txt").unlink(), "b.txt was removed"),
        (lambda root: (root / "d.py").touch(), "d.py was created"),
        (lambda root: shutil.rmtree(root / "pkg") or (root / "pkg").touch(), "below a file"),
        (lambda root: (root / "new").symlink_to(root / "pkg"), "symbolic link"),
    ],
)
def test_accept_refuses_what_changed_and_writes_nothing(
    root: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(root)
    present = snapshot(root)
    with pytest.raises((StaleFileError, ForbiddenPathError), match=said):
        accept(changes(), tmp_path / "j", root)
    assert snapshot(root) == present
    assert state(tmp_path / "j") is None


@pytest.mark.parametrize("path", ["a.py", "d.py"])
def test_undo_refuses_what_changed_and_writes_nothing(root: Path, tmp_path: Path, path: str) -> None:
    accept(changes(), tmp_path / "j", root)
    (root / path).write_bytes(b"mine")
    present = snapshot(root)
    with pytest.raises(StaleFileError, match=f"{path} has changed since this was accepted"):
        undo(tmp_path / "j", root)
    assert snapshot(root) == present
    undo(tmp_path / "j", root, [p for p in AFTER if p != path])
    assert snapshot(root) == held(BEFORE) | {path: b"mine"}


def test_runs_can_be_undone_in_any_order_that_is_possible(root: Path, tmp_path: Path) -> None:
    accept([FileChange("a.py", b"a = 1\r\n", b"a = 2\r\n")], tmp_path / "1", root)
    accept([FileChange("pkg/b.txt", b"\xff\xfeb", b"x")], tmp_path / "2", root)
    accept([FileChange("a.py", b"a = 2\r\n", b"a = 3\r\n")], tmp_path / "3", root)
    with pytest.raises(StaleFileError):
        undo(tmp_path / "1", root)
    undo(tmp_path / "2", root)
    undo(tmp_path / "3", root)
    undo(tmp_path / "1", root)
    assert snapshot(root) == held(BEFORE)


def test_an_accepted_journal_is_not_written_over(root: Path, tmp_path: Path) -> None:
    accept(changes()[:1], tmp_path / "j", root)
    with pytest.raises(EditError, match="undo it first"):
        accept(changes()[1:], tmp_path / "j", root)


def test_a_damaged_journal_is_said(root: Path, tmp_path: Path) -> None:
    accept(changes(), tmp_path / "j", root)
    (tmp_path / "j" / "journal.json").write_text("{")
    with pytest.raises(EditError, match="damaged"):
        undo(tmp_path / "j", root)


@pytest.mark.parametrize("damage", [b"", b"a = 0\r\n", None])
def test_an_undo_refuses_kept_bytes_that_are_damaged(root: Path, tmp_path: Path, damage: bytes | None) -> None:
    accept(changes(), tmp_path / "j", root)
    kept = tmp_path / "j" / "0.before"
    kept.unlink() if damage is None else kept.write_bytes(damage)
    with pytest.raises(EditError, match=r"bytes of a\.py from before are damaged.*nothing was put back"):
        undo(tmp_path / "j", root)
    assert snapshot(root) == held(AFTER)
    assert state(tmp_path / "j") is JournalState.ACCEPTED
    undo(tmp_path / "j", root, [path for path in AFTER if path != "a.py"])
    assert snapshot(root) == held(BEFORE) | {"a.py": AFTER["a.py"]}


def test_a_recovery_refuses_kept_bytes_that_are_damaged(root: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accepting, "_replace", replace_then_crash(accepting._replace, 2))
        with pytest.raises(Crash):
            accept(changes(), tmp_path / "j", root)
    found = snapshot(root)
    assert found["a.py"] == AFTER["a.py"]
    kept = tmp_path / "j" / "0.before"
    whole = kept.read_bytes()
    kept.write_bytes(b"a = 0\r\n")
    for attempt in (recover, undo):
        with pytest.raises(EditError, match=r"bytes of a\.py from before are damaged"):
            attempt(tmp_path / "j", root)
        assert snapshot(root) == found
    kept.write_bytes(whole)
    recover(tmp_path / "j", root)
    assert snapshot(root) == held(BEFORE)


class Crash(BaseException):
    """The process is gone at this very call."""


def crash_at(
    monkeypatch: pytest.MonkeyPatch, number: int, *, torn: bool = False, error: type = Crash
) -> list[str]:
    """Fail the call of that number, or write half of its data and then fail; return the names of calls made."""
    calls: list[str] = []

    def call(function: Callable[..., Any], *args: Any) -> Any:
        calls.append(function.__name__)
        if len(calls) == number:
            if torn and function is os.write:
                os.write(args[0], args[1][: len(args[1]) // 2])
            raise error(28, "No space left on device") if error is OSError else error
        return function(*args)

    monkeypatch.setattr(paths, "_call", call)
    return calls


def count_calls(
    tmp_path: Path, work: Callable[[Path, Path], object], prepare: Callable[[Path, Path], object]
) -> int:
    root, journal = lay(tmp_path / "count"), tmp_path / "count-journal"
    prepare(root, journal)
    with pytest.MonkeyPatch.context() as patch:
        calls = crash_at(patch, 10**9)
        work(root, journal)
    return len(calls)


def do_accept(root: Path, journal: Path) -> None:
    accept(changes(), journal, root)


def do_undo(root: Path, journal: Path) -> None:
    undo(journal, root)


def nothing(root: Path, journal: Path) -> None:
    return


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize(("work", "prepare"), [(do_accept, nothing), (do_undo, do_accept)])
def test_a_crash_at_any_call_leaves_all_or_nothing(
    tmp_path: Path,
    system: bool,
    torn: bool,
    work: Callable[[Path, Path], None],
    prepare: Callable[[Path, Path], None],
) -> None:
    total = count_calls(tmp_path, work, prepare)
    assert total > 25
    ends = set()
    for number in range(1, total + 1):
        root, journal = lay(tmp_path / f"ws{number}"), tmp_path / f"j{number}"
        prepare(root, journal)
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, number, torn=torn)
            with pytest.raises(Crash):
                work(root, journal)
        said = recover(journal, root)
        found = snapshot(root)
        assert found in (held(BEFORE), held(AFTER)), f"a mix after a crash at call {number}"
        ends.add(found == held(AFTER))
        assert (said is None) or said.startswith("An interrupted")
        assert recover(journal, root) is None
        # The journal tells the truth, and everything goes on from here.
        if state(journal) is JournalState.ACCEPTED:
            assert found == held(AFTER)
            undo(journal, root)
            assert snapshot(root) == held(BEFORE)
        else:
            assert found == held(BEFORE)
            accept(changes(), journal, root)
            assert snapshot(root) == held(AFTER)
    assert ends == {True, False}


@pytest.mark.parametrize(("work", "prepare"), [(do_accept, nothing), (do_undo, do_accept)])
def test_a_crash_of_the_recovery_is_recovered_too(
    tmp_path: Path, system: bool, work: Callable[[Path, Path], None], prepare: Callable[[Path, Path], None]
) -> None:
    total = count_calls(tmp_path, work, prepare)
    for first in range(1, total + 1, 5):
        for second in range(1, 40, 3):
            root, journal = lay(tmp_path / f"ws{first}-{second}"), tmp_path / f"j{first}-{second}"
            prepare(root, journal)
            with pytest.MonkeyPatch.context() as patch:
                crash_at(patch, first)
                with pytest.raises(Crash):
                    work(root, journal)
            with pytest.MonkeyPatch.context() as patch:
                crash_at(patch, second)
                try:
                    recover(journal, root)
                    finished = True
                except Crash:
                    finished = False
            recover(journal, root)
            assert snapshot(root) in (held(BEFORE), held(AFTER)), (first, second)
            shutil.rmtree(root)
            if finished:
                break


def test_a_full_disk_is_said_and_nothing_is_left_half_done(tmp_path: Path, system: bool) -> None:
    total = count_calls(tmp_path, do_accept, nothing)
    failures = 0
    for number in range(1, total + 1):
        root, journal = lay(tmp_path / f"ws{number}"), tmp_path / f"j{number}"
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, number, error=OSError)
            try:
                accept(changes(), journal, root)
                said = ""
            except EditError as error:
                said = str(error)
        failures += bool(said)
        assert ("No space left" in said) == bool(said)
        assert snapshot(root) == held(BEFORE if said else AFTER)
        assert recover(journal, root) is None
    assert failures > total / 2


def test_a_disk_that_stays_full_is_mended_at_the_next_start(root: Path, tmp_path: Path) -> None:
    calls = []

    def call(function: Callable[..., Any], *args: Any) -> Any:
        calls.append(1)
        if len(calls) > 30 and function is os.write:
            raise OSError(28, "No space left on device")
        return function(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "_call", call)
        with pytest.raises(EditError, match="next start"):
            accept(changes(), tmp_path / "j", root)
    assert recover(tmp_path / "j", root) == "An interrupted acceptance was taken back."
    assert snapshot(root) == held(BEFORE)
    accept(changes(), tmp_path / "j", root)
    calls[:] = [1] * 40
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "_call", call)
        with pytest.raises(EditError, match="undo again"):
            undo(tmp_path / "j", root)
    undo(tmp_path / "j", root)
    assert snapshot(root) == held(BEFORE)


def test_recovery_leaves_a_file_alone_that_a_person_changed(tmp_path: Path) -> None:
    root, journal = lay(tmp_path / "ws"), tmp_path / "j"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accepting, "_replace", replace_then_crash(accepting._replace, 2))
        with pytest.raises(Crash):
            accept(changes(), journal, root)
    (root / "a.py").write_bytes(b"mine")
    said = recover(journal, root)
    assert said is not None
    assert "except in a.py" in said
    assert snapshot(root) == held(BEFORE) | {"a.py": b"mine"}


def replace_then_crash(real: Callable[..., None], number: int) -> Callable[..., None]:
    done = []

    def replace(*args: Any) -> None:
        real(*args)
        done.append(1)
        if len(done) == number:
            raise Crash

    return replace


def test_kill_at_random_moments(tmp_path: Path) -> None:
    """A real process, really killed, between accepting and undoing without end."""
    code = (
        "import sys; from pathlib import Path\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "from test_accept import changes\n"
        "from loom_jupyter.edits.accept import accept, undo\n"
        "root, journal = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "print('up', flush=True)\n"
        "while True:\n    accept(changes(), journal, root)\n    undo(journal, root)\n"
    )
    chance = random.Random(7)
    seen = set()
    for number in range(12):
        root, journal = lay(tmp_path / f"ws{number}"), tmp_path / f"j{number}"
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", code, str(root), str(journal), here]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.random() * 0.1)
            process.send_signal(signal.SIGKILL)
        said = recover(journal, root)
        seen.add(said)
        found = snapshot(root)
        assert found in (held(BEFORE), held(AFTER)), said
        assert (state(journal) is JournalState.ACCEPTED) == (found == held(AFTER))
    assert len(seen) > 1, "no kill ever hit the middle"


def test_a_write_protected_file_is_refused(root: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everything")
    (root / "a.py").chmod(0o444)
    with pytest.raises(EditError, match="write-protected"):
        accept(changes(), tmp_path / "j", root)
