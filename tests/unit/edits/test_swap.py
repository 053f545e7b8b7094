"""Whatever happens in the workspace at any moment of Accept and Undo, nothing of the user's is lost."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from loom_jupyter.edits import accept as accepting
from loom_jupyter.edits import folder, paths, swap
from loom_jupyter.edits.accept import accept, recover, undo
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.errors import EditError

OLD, NEW, MINE, LATER = b"b = 1\n", b"b = 2\n", b"b = 1  # mine\n", b"b = 1  # mine, later\n"
CHANGES = [
    FileChange("a.py", b"a = 1\n", b"a = 2\n", 0o644),
    FileChange("pkg/b.py", OLD, NEW, 0o644),
    FileChange("pkg/new.py", None, b"n\n"),
]
STRIDE = 89
"""Every line of this number is a moment; a prime, so that loops do not hide some."""


class World:
    """A workspace, a folder outside of it with the same names, and a journal."""

    def __init__(self, base: Path) -> None:
        self.base, self.root, self.journal = base, base / "ws", base / "j"
        self.outside = base / "outside"
        for place in (self.root / "pkg", self.outside):
            place.mkdir(parents=True)
            (place / "b.py").write_bytes(OLD)
        (self.root / "a.py").write_bytes(b"a = 1\n")
        self.file = self.root / "pkg/b.py"

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }


@pytest.fixture
def worlds(in_memory: Path) -> Callable[[], World]:
    made: list[World] = []

    def make() -> World:
        if made:
            shutil.rmtree(made[-1].base)
        made.append(World(in_memory / str(len(made))))
        return made[-1]

    return make


@pytest.fixture(params=["exchanged", "linked", "neither"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the file system can do: exchange two names, or only link, or (FAT) not even that."""
    if request.param != "exchanged":
        monkeypatch.setattr(folder, "_system_rename", lambda: None)
    if request.param == "neither":
        monkeypatch.setattr(folder, "_link", no_links)
    return str(request.param)


def no_links(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


_WATCHED = {module.__file__ for module in (accepting, swap, folder, paths)}


@contextmanager
def at_line(number: int, act: Callable[[], object]) -> Iterator[list[int]]:
    """Do something before the line of that number that Accept or Undo comes to; yields how many there were."""
    seen = [0]

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in _WATCHED:
            return None
        if event == "line":
            seen[0] += 1
            if seen[0] == number:
                act()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield seen
    finally:
        sys.settrace(before)


def moments(work: Callable[[World], object], make: Callable[[], World]) -> range:
    make()
    world = prepared(make, work)
    with at_line(0, lambda: None) as seen:
        work(world)
    assert seen[0] > 300
    return range(1, seen[0], STRIDE)


def interrupted(world: World, work: Callable[[World], object], number: int, act: Callable[[], object]) -> bool:
    """Do the work, something else in the middle of it, and what the next start does; whether it came to that."""
    with at_line(number, act) as seen, suppress(EditError):
        work(world)
    with suppress(EditError):
        recover(world.journal, world.root)
    return seen[0] >= number


def do_accept(world: World) -> None:
    accept(CHANGES, world.journal, world.root)


def do_undo(world: World) -> None:
    undo(world.journal, world.root)


def prepared(make: Callable[[], World], work: Callable[[World], object]) -> World:
    world = make()
    if work is not do_accept:
        do_accept(world)
    return world


def replaced_by(world: World, data: bytes) -> None:
    (world.base / "x").write_bytes(data)
    os.replace(world.base / "x", world.file)


def in_place(world: World, data: bytes) -> None:
    world.file.write_bytes(data)


WORKS = pytest.mark.parametrize("work", [do_accept, do_undo])


@WORKS
@pytest.mark.parametrize("save", [replaced_by, in_place])
def test_what_an_editor_saves_at_any_moment_is_kept(
    worlds: Callable[[], World], system: str, work: Callable[[World], object], save: Callable[[World, bytes], None]
) -> None:
    lost = []
    for number in moments(work, worlds):
        world = prepared(worlds, work)
        if interrupted(world, work, number, lambda: save(world, MINE)):  # noqa: B023 - called at once
            lost += [number] if MINE not in world.files().values() else []
        assert not [name for name in world.files() if name.endswith((".tmp", ".old"))]
    # Where a file system has neither, a moment is left between the look and the rename.
    assert len(lost) <= (3 if system == "neither" else 0), lost


@WORKS
def test_what_a_program_writes_late_into_an_open_file_is_kept(
    worlds: Callable[[], World], system: str, work: Callable[[World], object]
) -> None:
    for number in moments(work, worlds):
        world = prepared(worlds, work)
        opened: list[Any] = []

        def act(world: World = world, opened: list[Any] = opened) -> None:
            with suppress(FileNotFoundError):  # only where names cannot be exchanged
                opened.append(world.file.open("r+b"))

        with at_line(number, act) as seen, suppress(EditError):
            work(world)
        for handle in opened:
            with handle:
                handle.write(MINE)
        recover(world.journal, world.root)
        assert not opened or MINE in world.files().values(), number
        assert opened or system != "exchanged" or seen[0] < number


@WORKS
def test_nothing_is_written_outside_when_a_folder_becomes_a_link(
    worlds: Callable[[], World], system: str, work: Callable[[World], object]
) -> None:
    for number in moments(work, worlds):
        world = prepared(worlds, work)
        moved = world.base / "moved"

        def act(world: World = world, moved: Path = moved) -> None:
            (world.root / "pkg").rename(moved)
            (world.root / "pkg").symlink_to(world.outside)

        if not interrupted(world, work, number, act):
            continue
        assert [p.name for p in world.outside.iterdir()] == ["b.py"], number
        assert (world.outside / "b.py").read_bytes() == OLD
        assert (moved / "b.py").read_bytes() in (OLD, NEW)
        assert {p.name for p in moved.iterdir()} <= {"b.py", "new.py"}, number


def a_fifo(world: World) -> None:
    world.file.unlink(missing_ok=True)
    os.mkfifo(world.file)


def a_folder(world: World) -> None:
    world.file.unlink(missing_ok=True)
    world.file.mkdir()


def a_link(world: World) -> None:
    world.file.unlink(missing_ok=True)
    world.file.symlink_to(world.outside / "b.py")


def nothing(world: World) -> None:
    world.file.unlink(missing_ok=True)


@WORKS
@pytest.mark.parametrize("becomes", [a_fifo, a_folder, a_link, nothing])
def test_what_a_file_has_become_stays(
    worlds: Callable[[], World],
    system: str,
    work: Callable[[World], object],
    becomes: Callable[[World], None],
) -> None:
    for number in moments(work, worlds):
        world = prepared(worlds, work)
        there: list[bool] = []

        def act(world: World = world, there: list[bool] = there) -> None:
            there.append(os.path.lexists(world.file))
            becomes(world)

        if not interrupted(world, work, number, act):
            continue
        assert (world.outside / "b.py").read_bytes() == OLD
        if system == "exchanged" or (system == "linked" and there == [True]):
            kind = world.file.lstat().st_mode if os.path.lexists(world.file) else None
            fresh = World(world.base / "like")
            becomes(fresh)
            like = fresh.file.lstat().st_mode if os.path.lexists(fresh.file) else None
            assert kind == like, number
        assert not [n for n in os.listdir(world.root / "pkg") if n.endswith((".tmp", ".old"))], number


class Crash(BaseException):
    """The process is gone."""


def crash() -> None:
    raise Crash


@contextmanager
def at_calls(events: dict[int, Callable[[], object]]) -> Iterator[list[int]]:
    """Let something happen before system calls of these numbers; yields how many were made."""
    calls, real = [0], paths._call

    def call(function: Callable[..., Any], *args: Any) -> Any:
        calls[0] += 1
        events.get(calls[0], lambda: None)()
        return real(function, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "_call", call)
        yield calls


@WORKS
@pytest.mark.parametrize("save", [replaced_by, in_place])
def test_a_crash_after_a_save_loses_neither(
    worlds: Callable[[], World],
    system: str,
    work: Callable[[World], object],
    save: Callable[[World, bytes], None],
) -> None:
    for saved in range(1, 90, 7):
        for crashed in range(saved + 1, saved + 9, 2):
            world = prepared(worlds, work)
            events = {saved: lambda: save(world, MINE), crashed: crash}  # noqa: B023 - called at once
            with at_calls(events) as calls, suppress(EditError, Crash):
                work(world)
            recover(world.journal, world.root)
            if calls[0] >= saved and system != "neither":
                assert MINE in world.files().values(), (saved, crashed)
            assert not [name for name in world.files() if name.endswith((".tmp", ".old"))], (saved, crashed)


@WORKS
@pytest.mark.parametrize("save", [replaced_by, in_place])
def test_who_saves_twice_keeps_the_later_version(
    worlds: Callable[[], World], work: Callable[[World], object], save: Callable[[World, bytes], None]
) -> None:
    for first in range(1, 80, 3):
        for second in range(first + 1, first + 5):
            world = prepared(worlds, work)
            events = {first: lambda: save(world, MINE), second: lambda: save(world, LATER)}  # noqa: B023
            with at_calls(events) as calls, suppress(EditError):
                work(world)
            if calls[0] >= second:
                assert world.file.read_bytes() == LATER, (first, second)
            assert not [name for name in world.files() if name.endswith((".tmp", ".old"))], (first, second)
