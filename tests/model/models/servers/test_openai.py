"""The backend for servers, with a real model behind a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from llama_server import CHOICE, served

from loom_jupyter.models.protocol import Message, ModelError
from loom_jupyter.models.servers.ollama import connect


def test_a_real_model_behind_a_real_server(small_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    with served(small_model, tmp_path / "log") as place:
        server = connect(place)
        ask: list[Message] = [{"role": "user", "content": "A Python function that returns the larger of two."}]
        reply = server.chat(ask, max_tokens=120, prefix="```python\n", stop=["\n```"])
        assert reply.text.lstrip().startswith("def ")
        assert "```" not in reply.text
        chosen = server.chat(ask, max_tokens=60, schema=CHOICE)
        assert json.loads(chosen.text)["file"] in ("F1", "F2")
        with pytest.raises(ModelError, match="maximum context length is 1024"):
            server.chat([{"role": "user", "content": "word " * 3000}], max_tokens=10)
