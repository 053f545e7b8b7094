"""Ollama's own API, spoken with a server that behaves as its documentation says."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.host import Host
from loom_jupyter.models.protocol import Message, Model, ModelError
from loom_jupyter.models.servers.ollama import Ollama, connect
from loom_jupyter.models.servers.openai import Server
from loom_jupyter.settings import NamedModel

ASK: list[Message] = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "the weather today"}]
SCHEMA = {"type": "object", "properties": {"file": {"enum": ["F1"]}}, "required": ["file"]}
DEFAULT_WINDOW = 4096


class FakeOllama:
    """One model; loads with the window of the last request, cuts what does not fit, and says nothing about it."""

    def __init__(self) -> None:  # noqa: C901 - a server in one place
        self.models = ["qwen2.5-coder:7b"]
        self.parameters = 'stop                           "<|im_end|>"'
        self.trained = 32_768
        self.most = 1 << 30  # window that the server is willing to give
        self.window = DEFAULT_WINDOW
        self.reply = "sunny"
        self.strict = False  # newer versions know "truncate"
        self.trouble: dict[str, Any] | None = None
        self.pause = 0.0
        self.asked: list[tuple[str, dict[str, Any]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers: dict[str, Any] = {
                    "/api/version": {"version": "0.12.6"},
                    "/api/tags": {"models": [{"name": n, "model": n} for n in outer.models]},
                    "/api/ps": {"models": outer.running()},
                    "/v1/models": {"data": [{"id": n} for n in outer.models]},
                }
                self.say(200 if self.path in answers else 404, answers.get(self.path, {"error": "not found"}))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, body))
                if body.get("model") not in outer.models:
                    self.say(404, {"error": f"model '{body.get('model')}' not found"})
                elif self.path == "/api/show":
                    facts = {"general.architecture": "qwen2", "qwen2.context_length": outer.trained}
                    self.say(200, {"parameters": outer.parameters, "model_info": facts})
                elif self.path == "/api/chat":
                    outer.window = min(outer.most, body.get("options", {}).get("num_ctx", DEFAULT_WINDOW))
                    self.chat(body)
                else:
                    self.say(404, {"error": "not found"})

            def chat(self, body: dict[str, Any]) -> None:
                tokens = sum(len(re.findall(r"\w+", m["content"])) + 4 for m in body["messages"])
                if not body["messages"]:
                    self.say(
                        200, {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "load"}
                    )
                    return
                if tokens > outer.window and outer.strict and body.get("truncate") is False:
                    self.say(400, {"error": "the input length exceeds the context length"})
                    return
                self.send_response(200)
                self.end_headers()
                for piece in outer.reply:
                    self.line({"message": {"role": "assistant", "content": piece}, "done": False})
                    time.sleep(outer.pause)
                if outer.trouble is not None:
                    self.line(outer.trouble)
                    return
                last = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
                counts = {"prompt_eval_count": min(tokens, outer.window // 2 + 2), "eval_count": len(outer.reply)}
                if tokens <= outer.window:
                    counts["prompt_eval_count"] = tokens
                self.line({**last, **counts, "prompt_eval_duration": 2_000_000_000, "eval_duration": 500_000_000})

            def line(self, data: Any) -> None:
                self.wfile.write(json.dumps(data).encode() + b"\n")
                self.wfile.flush()

            def say(self, status: int, data: Any) -> None:
                body = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}/v1"

    def running(self) -> list[dict[str, Any]]:
        return [
            {"name": n, "size": 9 << 30, "size_vram": 8 << 30, "context_length": self.window} for n in self.models
        ]

    def chats(self) -> list[dict[str, Any]]:
        return [body for path, body in self.asked if path == "/api/chat" and body["messages"]]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def ollama() -> Iterator[FakeOllama]:
    server = FakeOllama()
    yield server
    server.close()


def test_it_is_found_out_and_its_window_is_set(ollama: FakeOllama) -> None:
    model = connect(ollama.address)
    assert isinstance(model, Ollama)
    assert isinstance(model, Model)
    assert model.info.n_ctx == 16_384
    assert model.info.memory == 8 << 30
    pieces: list[str] = []
    reply = model.chat(ASK, max_tokens=9, seed=3, stop=["\n"], on_text=pieces.append)
    assert reply.text == "sunny" == "".join(pieces)
    (asked,) = ollama.chats()
    assert asked["options"] == {
        "num_ctx": 16_384,
        "num_predict": 9,
        "temperature": 0.0,
        "seed": 3,
        "stop": ["\n"],
    }
    assert (asked["truncate"], asked["stream"]) == (False, True)
    assert not any(path.startswith("/v1") for path, _ in ollama.asked)


def test_its_figures_are_the_usage(ollama: FakeOllama) -> None:
    usage = connect(ollama.address).chat(ASK, max_tokens=9).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (12, 5)
    assert (usage.prefill_seconds, usage.decode_seconds) == (2.0, 0.5)


def test_whose_window_it_is(ollama: FakeOllama) -> None:
    assert connect(ollama.address, n_ctx=24_576).info.n_ctx == 24_576
    ollama.trained = 8192
    assert connect(ollama.address).info.n_ctx == 8192
    ollama.parameters = 'num_ctx                        12288\nstop  "x"'
    assert connect(ollama.address).info.n_ctx == 12_288
    ollama.most = 6144  # the server gives less than was asked for
    assert connect(ollama.address).info.n_ctx == 6144


@pytest.mark.parametrize("strict", [True, False])
def test_a_prompt_that_does_not_fit_is_never_cut_in_silence(ollama: FakeOllama, strict: bool) -> None:
    ollama.strict = strict
    model = connect(ollama.address, n_ctx=2048)
    long: list[Message] = [{"role": "user", "content": "some words of a long file " * 1000}]
    with pytest.raises(ModelError, match=r"exceeds the context length|cut the prompt: it read 1,026 .*window"):
        model.chat(long, max_tokens=9)


def test_a_schema_is_its_format(ollama: FakeOllama) -> None:
    ollama.reply = '{"file": "F1"}'
    model = connect(ollama.address)
    assert json.loads(model.chat(ASK, max_tokens=9, schema=SCHEMA).text) == {"file": "F1"}
    assert ollama.chats()[-1]["format"] == SCHEMA


def test_an_older_version_ignores_the_schema(ollama: FakeOllama) -> None:
    ollama.reply = "Sure!"
    assert connect(ollama.address).chat(ASK, max_tokens=9, schema=SCHEMA).text == "Sure!"
    assert [body.get("format") for body in ollama.chats()] == [SCHEMA, "json", None]


def test_what_it_says_in_the_stream_is_told(ollama: FakeOllama) -> None:
    ollama.trouble = {"error": "llama runner process has terminated"}
    with pytest.raises(ModelError, match="runner process has terminated"):
        connect(ollama.address).chat(ASK, max_tokens=9)


def test_a_model_it_lacks(ollama: FakeOllama) -> None:
    with pytest.raises(ModelError, match=r"no model 'qwen9'.*qwen2.5-coder:7b.*ollama pull qwen9"):
        connect(ollama.address + "#qwen9")
    ollama.models.append("other:1b")
    with pytest.raises(ModelError, match="several models"):
        connect(ollama.address)
    assert connect(ollama.address + "#other:1b").info.name == "other:1b"


def test_stop_lets_go_at_once(ollama: FakeOllama) -> None:
    ollama.reply, ollama.pause = "x" * 500, 0.05
    model, cancel, pressed = connect(ollama.address), threading.Event(), [0.0]

    def press(_: str) -> None:
        pressed[0] = pressed[0] or time.monotonic()
        cancel.set()

    with pytest.raises(Cancelled):
        model.chat(ASK, max_tokens=900, on_text=press, cancel=cancel)
    assert time.monotonic() - pressed[0] < 0.2


def test_the_host_lends_a_model_of_the_settings(ollama: FakeOllama, tmp_path: Path) -> None:
    host = Host()
    named = {"team": NamedModel(url=ollama.address, model="qwen2.5-coder:7b", window=10_240)}
    with host.acquire("team", log=tmp_path / "log", named=named) as model:
        assert (model.info.name, model.info.n_ctx) == ("qwen2.5-coder:7b", 10_240)
    host.close()


def test_other_servers_are_spoken_with_as_before(ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loom_jupyter.models.servers.ollama._is_ollama", lambda *_: False)
    assert type(connect(ollama.address)) is Server
