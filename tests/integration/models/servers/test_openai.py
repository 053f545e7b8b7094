"""The backend for servers: a real one, with a synthetic model, and one that misbehaves in every way."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from llama_server import CHOICE, free_port, served

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.host import Host
from loom_jupyter.models.protocol import Message, Model, ModelError, Scorer, Usage
from loom_jupyter.models.servers import transport
from loom_jupyter.models.servers.ollama import connect
from loom_jupyter.models.servers.openai import Server

ASK: list[Message] = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "the weather today"}]


@pytest.fixture(scope="module")
def address(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the synthetic model."""
    for needed in ("llama_cpp", "fastapi", "starlette_context"):
        pytest.importorskip(needed)
    with served(tiny_gguf, tmp_path_factory.mktemp("server") / "log") as place:
        yield place


@pytest.mark.parametrize("after", [0, 700])
def test_a_connection_that_breaks_between_us_and_a_real_server(address: str, after: int) -> None:
    """Before the answer begins it is tried again; in its middle it is said."""
    with Breaking(address, after) as proxy:
        server = Server(proxy.address)
        proxy.breaks = 1
        if after:
            with pytest.raises(ModelError, match="broke off"):
                server.chat(ASK, max_tokens=40)
        else:
            assert server.chat(ASK, max_tokens=40).usage.completion_tokens > 0
            assert proxy.breaks == 0


class Breaking:
    """Passes connections on to a server, and cuts some after so many bytes of the answer."""

    def __init__(self, address: str, after: int) -> None:
        self._to = int(address.rsplit(":", 1)[1].partition("/")[0])
        self._after, self.breaks = after, 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Breaking:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._pass, args=(self._listening.accept()[0],), daemon=True).start()

    def _pass(self, near: socket.socket) -> None:
        left, self.breaks = (self._after, self.breaks - 1) if self.breaks else (1 << 30, 0)
        with near, socket.create_connection(("127.0.0.1", self._to)) as far, suppress(OSError):
            threading.Thread(target=self._forward, args=(near, far), daemon=True).start()
            while left > 0 and (data := far.recv(min(left, 4096))):
                near.sendall(data)
                left -= len(data)
            near.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _forward(near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(4096):
                far.sendall(data)


def test_a_real_server_is_a_model(address: str) -> None:
    server = Server(address + "#tiny")
    assert isinstance(server, Model)
    assert server.info.name == "tiny"
    pieces: list[str] = []
    reply = server.chat(ASK, max_tokens=20, on_text=pieces.append)
    assert "".join(pieces) == reply.text
    assert 0 < reply.usage.completion_tokens <= 20


def test_a_real_server_that_gives_no_scores_is_a_model_only(address: str) -> None:
    model = connect(address)
    assert not isinstance(model, Scorer)
    assert model.chat(ASK, max_tokens=5).usage.completion_tokens > 0


def test_a_real_server_counts_tokens(address: str) -> None:
    assert Server(address).count("abc def") == 7


def test_a_real_server_holds_to_a_schema(address: str) -> None:
    server = Server(address)
    for _ in range(2):
        reply = server.chat(ASK, max_tokens=100, schema=CHOICE)
        assert json.loads(reply.text)["file"] in ("F1", "F2")


def test_a_real_server_refuses_a_prompt_beyond_its_window(address: str) -> None:
    with pytest.raises(ModelError, match=r"maximum context length is 1024"):
        Server(address).chat([{"role": "user", "content": "x" * 3000}], max_tokens=10)


def test_a_real_server_lacks_the_model(address: str) -> None:
    with pytest.raises(ModelError, match=r"no model 'gpt-9'.*tiny"):
        Server(address + "#gpt-9")


def test_the_host_lends_a_server_too(address: str) -> None:
    host = Host()
    with host.acquire(address) as model:
        assert model.info.device.startswith("127.0.0.1")
    host.close()


def test_no_server() -> None:
    with pytest.raises(ModelError, match=r"No server answers.*start it"):
        Server(f"http://127.0.0.1:{free_port()}/v1")


# A server that misbehaves


Handle = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class Faulty:
    """Answers chat requests by the functions that a test lines up; the last one stays."""

    def __init__(self) -> None:
        self.handlers: list[Handle] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.pages: dict[str, Any] = {"/v1/models": {"data": [{"id": "m", "max_model_len": 4096}]}}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.headers.append(dict(self.headers))
                if self.path in outer.pages:
                    answer(self, outer.pages[self.path])
                else:
                    refuse(self, 404, "no such path")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if not self.path.endswith("/chat/completions"):
                    refuse(self, 404, "no such path")
                    return
                outer.bodies.append(body)
                handle = outer.handlers.pop(0) if len(outer.handlers) > 1 else outer.handlers[0]
                handle(self, body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    monkeypatch.setattr(transport, "DELAYS", (0.01, 0.01, 0.01))
    server = Faulty()
    yield server
    server.close()


def answer(request: BaseHTTPRequestHandler, data: Any) -> None:
    body = json.dumps(data).encode()
    request.send_response(200)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def refuse(request: BaseHTTPRequestHandler, status: int, text: str) -> None:
    body = json.dumps({"error": {"message": text}}).encode()
    request.send_response(status)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def says(text: str, *, prompt_tokens: int = 50, end: bool = True, pause: float = 0.0) -> Handle:
    def handle(request: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        request.send_response(200)
        request.end_headers()
        for piece in (text[i : i + 4] for i in range(0, len(text), 4)):
            event = {"choices": [{"delta": {"content": piece}, "finish_reason": None}]}
            request.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
            request.wfile.flush()
            time.sleep(pause)
        if end:
            last = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": prompt_tokens}}
            request.wfile.write(b"data: " + json.dumps(last).encode() + b"\n\ndata: [DONE]\n\n")

    return handle


def fails(status: int, text: str = "trouble") -> Handle:
    return lambda request, _: refuse(request, status, text)


def hangs_up(request: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    request.connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("trouble", [fails(429), fails(503), hangs_up])
def test_transient_trouble_is_tried_again(faulty: Faulty, trouble: Handle) -> None:
    faulty.handlers = [trouble, trouble, says("fine")]
    assert Server(faulty.address).chat(ASK, max_tokens=9).text == "fine"
    assert len(faulty.bodies) == 3


@pytest.mark.parametrize(
    ("handle", "says_so", "tries"),
    [
        (fails(500), r"refused the request .500: trouble", 1),
        (fails(401), "LOOM_API_KEY", 1),
        (fails(404), "no such model", 1),
        (fails(503), "503", 4),
        (says("half a sent", end=False), "broke off", 1),
    ],
)
def test_what_is_not_transient_is_said_at_once(faulty: Faulty, handle: Handle, says_so: str, tries: int) -> None:
    faulty.handlers = [handle]
    with pytest.raises(ModelError, match=says_so):
        Server(faulty.address).chat(ASK, max_tokens=9)
    assert len(faulty.bodies) == tries


def test_the_window_is_what_is_served(faulty: Faulty) -> None:
    assert Server(faulty.address).info.n_ctx == 4096
    assert Server(faulty.address, n_ctx=2048).info.n_ctx == 2048
    faulty.pages["/v1/models"] = {"data": [{"id": "m", "meta": {"n_ctx_train": 131_072}}]}
    assert Server(faulty.address).info.n_ctx == 131_072
    faulty.pages["/props"] = {"total_slots": 4, "default_generation_settings": {"n_ctx": 8192}}
    assert Server(faulty.address).info.n_ctx == 8192  # llama-server's slots share its window


def test_a_server_s_own_figures_are_the_usage(faulty: Faulty) -> None:
    def handle(request: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        request.send_response(200)
        request.end_headers()
        usage = {"prompt_tokens": 90, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 70}}
        timings = {"prompt_ms": 250.0, "predicted_ms": 1500.0, "cache_n": 70}
        first = {"choices": [{"delta": {"content": "fine"}, "finish_reason": "stop"}]}
        for event in (first, {"choices": [], "usage": usage, "timings": timings}):
            request.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        request.wfile.write(b"data: [DONE]\n\n")

    faulty.handlers = [handle]
    assert Server(faulty.address).chat(ASK, max_tokens=9).usage == Usage(90, 70, 3, 0.25, 1.5)


def test_garbage_is_an_error(faulty: Faulty) -> None:
    def garbage(request: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"data: {not json\n\n")

    faulty.handlers = [garbage]
    with pytest.raises(ModelError, match="broke off"):
        Server(faulty.address).chat(ASK, max_tokens=9)


def cut(text: str, encoding: str, step: int, chunk: int) -> Handle:
    """Stream a text in events that are cut inside its characters, over a connection that is cut anywhere."""

    def pieces() -> Iterator[bytes]:
        data = text.encode(encoding)
        for at in range(0, len(data), step):
            if encoding == "utf-8":
                content = b'"' + data[at : at + step] + b'"'
            else:
                content = json.dumps(data[at : at + step].decode(encoding, "surrogatepass")).encode()
            yield b'data: {"choices": [{"delta": {"content": ' + content + b"}}]}\n\n"
        yield b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'

    def handle(request: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.send_header("Connection", "close")
        request.end_headers()
        data = b"".join(pieces())
        for at in range(0, len(data), chunk):
            part = data[at : at + chunk]
            request.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            request.wfile.flush()
        request.wfile.write(b"0\r\n\r\n")

    return handle


@pytest.mark.parametrize("chunk", [1, 7, 4096])
@pytest.mark.parametrize(("encoding", "step"), [("utf-8", 1), ("utf-8", 3), ("utf-16-le", 2), ("utf-16-le", 6)])
def test_a_character_that_is_cut_comes_whole(faulty: Faulty, encoding: str, step: int, chunk: int) -> None:
    text = "é 😀 👍🏽 €"
    faulty.handlers = [cut(text, encoding, step, chunk)]
    told: list[str] = []
    reply = Server(faulty.address).chat(ASK, max_tokens=50, on_text=told.append)
    assert reply.text == text
    assert "".join(told) == text
    assert all(piece.encode() for piece in told)


def test_half_a_character_at_the_end_of_an_answer_is_replaced(faulty: Faulty) -> None:
    faulty.handlers = [says("a\ud83d")]
    reply = Server(faulty.address).chat(ASK, max_tokens=50)
    assert reply.text == "a\ufffd"


def test_a_cut_prompt_stops_the_run(faulty: Faulty) -> None:
    faulty.handlers = [says("fine", prompt_tokens=2048)]
    long: list[Message] = [{"role": "user", "content": "some words of a long file " * 1000}]
    with pytest.raises(ModelError, match=r"cut the prompt: it read 2,048 .*num_ctx"):
        Server(faulty.address).chat(long, max_tokens=9)


def test_a_schema_that_is_ignored_is_asked_for_in_another_way(faulty: Faulty) -> None:
    faulty.handlers = [says("Sure! Here it is."), says('{"file": "F1"}')]
    server = Server(faulty.address)
    pieces: list[str] = []
    assert server.chat(ASK, max_tokens=9, schema=CHOICE, on_text=pieces.append).text == '{"file": "F1"}'
    assert [b["response_format"]["type"] for b in faulty.bodies] == ["json_schema", "json_object"]
    assert "".join(pieces) == '{"file": "F1"}'
    server.chat(ASK, max_tokens=9, schema=CHOICE)
    assert faulty.bodies[-1]["response_format"]["type"] == "json_object"


def test_a_schema_that_is_refused_is_left_to_the_parser(faulty: Faulty) -> None:
    faulty.handlers = [fails(400), fails(422), says("file F1, I think")]
    assert Server(faulty.address).chat(ASK, max_tokens=9, schema=CHOICE).text == "file F1, I think"
    assert "response_format" not in faulty.bodies[-1]


@pytest.mark.parametrize("phase", ["before the first token", "while it writes"])
def test_stop_lets_go_at_once(faulty: Faulty, phase: str) -> None:
    pause = 5.0 if phase == "before the first token" else 0.05
    faulty.handlers = [says("x" * 4000, pause=pause)]
    cancel, pressed = threading.Event(), [0.0]

    def press() -> None:
        pressed[0] = time.monotonic()
        cancel.set()

    server = Server(faulty.address)
    threading.Timer(0.3, press).start()
    with pytest.raises(Cancelled):
        server.chat(ASK, max_tokens=9000, cancel=cancel)
    assert time.monotonic() - pressed[0] < 0.2


def test_the_key_is_sent_and_never_told(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOM_API_KEY", "secret-123")
    faulty.handlers = [fails(401, "bad key")]
    server = Server(faulty.address)
    assert faulty.headers[-1]["Authorization"] == "Bearer secret-123"
    with pytest.raises(ModelError) as caught:
        server.chat(ASK, max_tokens=9)
    assert "secret-123" not in str(caught.value)


def test_a_server_that_opens_the_block_itself_is_not_cut_before_it(faulty: Faulty) -> None:
    faulty.handlers = [says("Here it is:\n```python\nx = 1\n```\nThat was it.")]
    reply = Server(faulty.address).chat(ASK, max_tokens=90, prefix="```python\n", stop=["\n```"])
    assert (reply.text, reply.finish) == ("x = 1", "stop")
    assert "stop" not in faulty.bodies[-1]


def test_what_is_no_such_server(faulty: Faulty) -> None:
    with pytest.raises(ModelError, match=r"no such model or path"):
        Server(faulty.address + "/chat")


def test_a_repeated_prefix_is_left_out(faulty: Faulty) -> None:
    faulty.handlers = [says("```python\nx = 1\n```")]
    server = Server(faulty.address)
    assert server.chat(ASK, max_tokens=9, prefix="```python\n").text == "x = 1\n```"
    assert faulty.bodies[-1]["messages"][-1] == {"role": "assistant", "content": "```python\n"}
