from __future__ import annotations

import errno
import itertools
import json
import os
import threading
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loom_jupyter.events import (
    CheckFinished,
    EvidenceRow,
    Failed,
    LedgerMade,
    NodeText,
    Noticed,
    RankedFile,
    RunState,
    StateChanged,
    schema,
)
from loom_jupyter.runs import log as run_log
from loom_jupyter.runs.log import EventLog, LogError, LogReader, read_events, tail
from loom_jupyter.runs.request import Request
from loom_jupyter.runs.run import Run


def test_events_come_back_as_written_with_number_time_and_run(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "r1", "r1")
    first = log.emit(Noticed(text="héllo\nworld"))
    second = log.emit(StateChanged(state=RunState.RUNNING))
    assert [first.seq, second.seq] == [1, 2]
    assert first.ts <= second.ts
    assert first.run == "r1"
    assert read_events(log.file) == [first, second]


def test_no_secret_reaches_the_log(tmp_path: Path) -> None:
    made = "gh" + "p_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    log = EventLog(tmp_path, "r1")
    file = RankedFile(
        rank=1, path="a.py", score=2, rows=[EvidenceRow(path="a.py", rule="content", points=2, detail=made)]
    )
    log.emit(CheckFinished(stage="before", passed=False, summary=made, seconds=1.0, output=f"x\n{made}\ny\n"))
    log.emit(LedgerMade(files=[file], total=1))
    assert made not in log.file.read_text("utf-8")
    first, second = read_events(log.file)
    assert isinstance(first, CheckFinished)
    assert first.output == "x\n<***>\ny\n"
    assert isinstance(second, LedgerMade)
    assert second.files[0].rows[0].detail == "<***>"


def test_files_are_private(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "deep" / "r1", "r1")
    log.emit(Noticed(text="x"))
    assert (tmp_path / "deep" / "r1").stat().st_mode & 0o777 == 0o700
    assert log.file.stat().st_mode & 0o777 == 0o600


def test_every_line_validates_against_the_exported_schema(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "r1")
    log.emit(Noticed(text="a"))
    log.emit(NodeText(node="coder", text="\x1b[31mred\u202e"))
    for line in log.file.read_text("utf-8").splitlines():
        jsonschema.validate(json.loads(line), schema())


def test_many_threads_write_whole_lines_numbered_without_gaps(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "r1")

    def write(name: int) -> None:
        for i in range(50):
            log.emit(Noticed(text=f"{name}-{i}-" + "x" * 500))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.seq for event in read_events(log.file)] == list(range(1, 301))


def test_a_torn_last_line_is_read_when_it_is_complete(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "r1")
    log.emit(Noticed(text="one"))
    log.emit(Noticed(text="two"))
    whole = log.file.read_bytes()
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(whole[:-10])
    reader = LogReader(torn)
    assert [e.text for e in reader.read()] == ["one"]
    torn.write_bytes(whole)
    assert [e.text for e in reader.read()] == ["two"]
    assert reader.read() == []


def test_a_crash_in_the_middle_of_a_line_does_not_swallow_the_next(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "r1")
    log.emit(Noticed(text="one"))
    with log.file.open("ab") as stream:
        stream.write(b'{"v":1,"seq":2,"type":"noti')
    EventLog(tmp_path, "r1").emit(Noticed(text="after"))
    assert [(e.seq, e.text) for e in read_events(log.file)] == [(1, "one"), (2, "after")]


def test_garbage_and_unknown_types_are_skipped(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "r1")
    log.emit(Noticed(text="one"))
    with log.file.open("ab") as stream:
        stream.write(b'\xff\xfe\n{"type":"of tomorrow","v":1,"seq":7}\n[]\n\n{"type":"notice"}\nnull\n')
    log.emit(Failed(text="two"))
    assert [e.text for e in read_events(log.file)] == ["one", "two"]


def test_no_file_is_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path / "none.jsonl") == []


def test_an_endless_line_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "MAX_LINE", 100)
    file = tmp_path / "x"
    file.write_bytes(b"a" * 150)
    reader = run_log.LineReader(file)
    assert reader.read() == []
    with file.open("ab") as stream:
        stream.write(b"a" * 150 + b"\nshort\n")
    assert reader.read() == [b"short"]


def test_tail_waits_for_the_file_follows_it_and_ends_with_stop(tmp_path: Path) -> None:
    stop, got = threading.Event(), []

    def follow() -> None:
        for event in tail(tmp_path / "r1" / "progress.jsonl", 2, stop, poll=0.01):
            got.append(event.text)
            if event.text == "three":
                stop.set()

    thread = threading.Thread(target=follow)
    thread.start()
    log = EventLog(tmp_path / "r1", "r1")
    for text in ("one", "two", "three"):
        log.emit(Noticed(text=text))
    thread.join(5)
    assert not thread.is_alive()
    assert got == ["two", "three"]


def test_a_log_that_cannot_be_written_says_so_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").mkdir()
    with pytest.raises(LogError, match=r"cannot be written .*permissions"):
        EventLog(tmp_path, "r1")


def test_a_full_disk_says_so_and_does_not_count_the_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path, "r1")

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(run_log.os, "write", full)
        with pytest.raises(LogError, match="No space left"):
            log.emit(Noticed(text="lost"))
    assert log.emit(Noticed(text="kept")).seq == 1


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=4))
def test_any_bytes_in_any_pieces_give_the_same_lines(data: bytes, cuts: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x"
        reader, got = run_log.LineReader(file), []
        points = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
        for start, end in itertools.pairwise(points):
            with file.open("ab") as stream:
                stream.write(data[start:end])
            got += reader.read()
    complete = data.split(b"\n")[:-1]
    assert got == [line for line in complete if line.strip()]


def test_nothing_waits_while_a_long_text_is_cleaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(text: str) -> str:
        if text == "long":
            begun.set()
            assert go_on.wait(20)
        return text

    monkeypatch.setattr("loom_jupyter.runs.log.masked", slow)
    run = Run(tmp_path / "r1", Request(id="r1", task="x", root=str(tmp_path)))
    assert run.own()
    working = threading.Thread(target=run.emit, args=(Noticed(text="long"),))
    working.start()
    try:
        assert begun.wait(20)
        run.emit(Noticed(text="short"))  # needs the run's lock and the log's
    finally:
        go_on.set()
        working.join()
    assert [e.text for e in run.events() if isinstance(e, Noticed)] == ["short", "long"]
    run.release()
