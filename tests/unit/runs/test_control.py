from __future__ import annotations

import threading
from pathlib import Path

import pytest

from loom_jupyter.events import Action
from loom_jupyter.runs.control import ControlError, ControlReader, send


def test_a_request_arrives_once(tmp_path: Path) -> None:
    reader = ControlReader(tmp_path)
    assert reader.poll() == []
    stop = send(tmp_path, "stop")
    accept = send(tmp_path, Action.ACCEPT, ["a.py"])
    first, second = reader.poll()
    assert (first.id, first.action, first.paths) == (stop, Action.STOP, None)
    assert (second.id, second.action, second.paths) == (accept, Action.ACCEPT, ["a.py"])
    assert reader.poll() == []


def test_requests_answered_by_an_earlier_process_do_not_come_again(tmp_path: Path) -> None:
    old, new = send(tmp_path, "stop"), send(tmp_path, "undo")
    assert [request.id for request in ControlReader(tmp_path, handled=[old]).poll()] == [new]


def test_garbage_is_skipped_and_does_not_swallow_a_stop(tmp_path: Path) -> None:
    file = tmp_path / "control.jsonl"
    file.write_bytes(b'nonsense\n{"id":"a","action":"explode"}\n{"id":"","action":"stop"}\n{"id":"torn","act')
    wanted = send(tmp_path, "stop")
    assert [request.id for request in ControlReader(tmp_path).poll()] == [wanted]


def test_the_same_line_twice_is_one_request(tmp_path: Path) -> None:
    send(tmp_path, "stop")
    file = tmp_path / "control.jsonl"
    file.write_bytes(file.read_bytes() * 2)
    assert len(ControlReader(tmp_path).poll()) == 1


def test_the_file_is_private(tmp_path: Path) -> None:
    send(tmp_path, "stop")
    assert (tmp_path / "control.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_run_whose_folder_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match=r"no folder any more.*%loom runs"):
        send(tmp_path / "gone", "stop")


def test_many_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.extend(send(tmp_path, "stop") for _ in range(20))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {request.id for request in ControlReader(tmp_path).poll()} == set(ids)
