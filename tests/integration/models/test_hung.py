"""The model's process hangs (a driver, a swapping machine): who stops waits two seconds at most."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from synthetic_gguf import tiny

from loom_jupyter.errors import Cancelled
from loom_jupyter.models import overview
from loom_jupyter.models.host import Host
from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.models.process import Child
from loom_jupyter.models.protocol import Branch, Message, ModelDiedError, ModelError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
ASK: list[Message] = [{"role": "user", "content": "the weather"}]
MOST = 2.0
LONG = "x" * 1_000_000
"""More than a pipe holds."""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    child = Child(tmp_path / "log")
    yield child
    child.close()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def stopped_after(seconds: float, cancel: threading.Event) -> list[float]:
    """Set `cancel` after a while; return where the time of that will be."""
    at: list[float] = []

    def stop() -> None:
        at.append(time.monotonic())
        cancel.set()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    return at


@pytest.mark.parametrize("disposable", [True, False], ids=["while it loads", "when it is loaded"])
@pytest.mark.parametrize("text", ["x", LONG], ids=["short", "long"])
def test_a_request_to_a_process_that_hangs_is_stopped(child: Child, disposable: bool, text: str) -> None:
    child.disposable = disposable
    os.kill(child.pid, signal.SIGSTOP)
    cancel = threading.Event()
    at = stopped_after(0.2, cancel)
    with pytest.raises(Cancelled):
        child.get({"op": "count", "text": text}, cancel)
    assert time.monotonic() - at[0] < MOST
    assert gone(child.pid)
    with pytest.raises(ModelDiedError):
        child.get({"op": "count", "text": "x"})


def test_answers_that_nobody_wants_any_more_are_not_waited_for(child: Child) -> None:
    child.disposable = False
    asked = child.ask({"op": "devices"})
    os.kill(child.pid, signal.SIGSTOP)
    threading.Timer(0.2, lambda: child._answers.put({"progress": 0.5})).start()
    assert next(asked) == {"progress": 0.5}
    begin = time.monotonic()
    asked.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begin < MOST


def test_a_process_that_hangs_is_closed(child: Child) -> None:
    os.kill(child.pid, signal.SIGSTOP)
    begin = time.monotonic()
    child.close()
    assert time.monotonic() - begin < MOST + 1
    assert gone(child.pid)


def test_half_a_character_reaches_the_process_as_a_question_mark(child: Child) -> None:
    with pytest.raises(ModelError, match=r"engine|NoneType"):
        child.get({"op": "count", "text": "half \ud83d and \udcff"})
    assert child.alive


def test_the_overview_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Child):
        def __init__(self, log: Path) -> None:
            super().__init__(log)
            os.kill(self.pid, signal.SIGSTOP)

    monkeypatch.setattr(overview, "Child", Hanging)
    cancel = threading.Event()
    at = stopped_after(0.2, cancel)
    with pytest.raises(Cancelled):
        overview.overview(cancel=cancel)
    assert time.monotonic() - at[0] < MOST + 1


Call = Callable[[LlamaCpp, threading.Event], Any]
CALLS: dict[str, Call] = {
    "count": lambda model, _: model.count("x"),
    "long count": lambda model, _: model.count(LONG),
    "chat": lambda model, cancel: model.chat(ASK, max_tokens=5, cancel=cancel),
    "score": lambda model, cancel: model.score(ASK, "fine", cancel=cancel),
    "branch": lambda model, cancel: list(model.branch(ASK, "fine", [Branch(0, 1)], cancel=cancel)),
    "sample": lambda model, cancel: list(model.sample(ASK, [0.5], max_tokens=5, cancel=cancel)),
    "infill": lambda model, cancel: list(model.infill([("a", "b")], cancel=cancel)),
    "log": lambda model, _: model.log_to(model.path.with_name("other.log")),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_of_a_lent_model_can_be_stopped(tmp_path: Path, call: str) -> None:
    pytest.importorskip("llama_cpp")
    file = tiny(tmp_path / "tiny.gguf")
    host, cancel = Host(), threading.Event()
    with host.acquire(file, cancel=cancel, log=tmp_path / "log") as model:
        assert isinstance(model, LlamaCpp)
        assert model.pid is not None
        os.kill(model.pid, signal.SIGSTOP)
        at = stopped_after(0.1, cancel)
        with pytest.raises(Cancelled):
            CALLS[call](model, cancel)
    assert time.monotonic() - at[0] < MOST
    with host.acquire(file, log=tmp_path / "log") as model:
        assert model.count("ab") == 2
    host.close()


def test_a_loaded_model_that_hangs_is_not_waited_for_by_the_next_run(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    file = tiny(tmp_path / "tiny.gguf")
    host, cancel = Host(), threading.Event()
    with host.acquire(file, log=tmp_path / "log") as model:
        assert isinstance(model, LlamaCpp)
        assert model.pid is not None
        os.kill(model.pid, signal.SIGSTOP)
    at = stopped_after(0.2, cancel)
    with pytest.raises(Cancelled), host.acquire(file, cancel=cancel, log=tmp_path / "log2"):
        pass
    assert time.monotonic() - at[0] < MOST
    host.close()


def test_a_borrower_of_before_stops_nothing(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    host, cancel = Host(), threading.Event()
    with host.acquire(tiny(tmp_path / "tiny.gguf"), cancel=cancel, log=tmp_path / "log") as model:
        pass
    cancel.set()
    assert model.count("ab") == 2
    host.close()


class Silent(http.server.BaseHTTPRequestHandler):
    """A server that lists its model and then answers nothing any more."""

    asked = threading.Event()
    go = threading.Event()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if not self.path.endswith("/models"):
            self.send_error(404)
            return
        data = json.dumps({"data": [{"id": "m", "max_model_len": 8192}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        if self.asked.is_set():
            self.go.wait(30)
        self.send_error(404)


@pytest.fixture
def silent() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    Silent.go.clear()
    Silent.asked.clear()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    Silent.go.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("call", ["count", "chat"])
def test_a_server_that_says_nothing_any_more_can_be_stopped(silent: str, call: str) -> None:
    host, cancel = Host(), threading.Event()
    with host.acquire(silent, cancel=cancel) as model:
        Silent.asked.set()
        at = stopped_after(0.2, cancel)
        with pytest.raises(Cancelled):
            model.count("x") if call == "count" else model.chat(ASK, max_tokens=5)
    assert time.monotonic() - at[0] < MOST
    host.close()


def test_a_server_that_says_nothing_at_all_can_be_stopped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, cancel = Host(), threading.Event()
        at = stopped_after(0.2, cancel)
        place = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        with pytest.raises(Cancelled), host.acquire(place, cancel=cancel):
            pass
        assert time.monotonic() - at[0] < MOST


def test_a_stopped_run_that_hangs_does_not_keep_the_model(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loom_jupyter.models.host.OVERDUE", 0.3)
    host, stopped, go, inside = Host(), threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        with host.acquire(silent, cancel=stopped):
            inside.set()
            go.wait(30)

    thread = threading.Thread(target=hang, daemon=True)
    thread.start()
    assert inside.wait(10)
    impatient = threading.Event()
    at = stopped_after(0.5, impatient)
    with pytest.raises(Cancelled), host.acquire(silent, cancel=impatient):
        pass  # the other run is at work: it is waited for
    assert at
    stopped.set()
    with host.acquire(silent, cancel=threading.Event()) as model:
        assert host.model is model
        go.set()
        thread.join(10)
        assert host.model is model
        assert not host.unload(wait=False)
    assert host.unload(wait=False)
