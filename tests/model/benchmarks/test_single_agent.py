"""The reference agent with a real model."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from places import ROOT

from loom_jupyter.models import host
from loom_jupyter.models.protocol import Message
from loom_jupyter.pipeline.reply import parse_reply

sys.path.insert(0, str(ROOT))

from tests.benchmarks import single_agent
from tests.benchmarks.agent_tools import SCHEMA, Action


def test_a_real_model_answers_under_the_grammar(small_model: Path, tmp_path: Path) -> None:
    with host.acquire(str(small_model), lambda *_: None, threading.Event(), tmp_path / "log") as model:
        asked: list[Message] = [{"role": "user", "content": "List the files. Answer with a JSON object."}]
        reply = model.chat(asked, max_tokens=single_agent.REPLY_TOKENS, schema=SCHEMA, temperature=0.0)
    assert parse_reply(reply.text, Action).tool in {"list", "grep", "read", "replace", "rewrite"}
