"""Servers that give prompt log-probabilities.

vLLM cannot run on a machine without a GPU, so a small server stands in for it: it behaves as vLLM does for the
fields that are used. Its model would write `OWN`, and doubts what is written otherwise.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.protocol import Branch, Continuation, Message, ModelError, Scorer, TokenScore
from loom_jupyter.models.recorded import recorded, recorder
from loom_jupyter.models.servers import transport
from loom_jupyter.models.servers.ollama import connect
from loom_jupyter.models.servers.openai import Server
from loom_jupyter.models.servers.scoring import ScoringServer
from loom_jupyter.pipeline.search.branch import doubts, line_candidates

ASK: list[Message] = [{"role": "user", "content": "Mend it."}]
PREFIX = "```python\n"
OWN = "def price(w):\n    if w <= 2:\n        return 1\n    return 2\n"
UNIT = OWN.replace("<=", "<")
TOKENS = re.compile(r"\n| *<\|?\w+\|?>| +(?= )| ?[<>=]+| ?\w+|.", re.S)
END = "<|im_end|>"

Change = Callable[[dict[str, Any]], Any]


class Standin:
    """Behaves as vLLM does where Loom asks it for log-probabilities.

    Attributes
    ----------
    refuses
        What it says (400) to prompt_logprobs, if it knows them but will not give them.
    knows
        Whether it knows vLLM's fields at all.
    strips
        Whether its chat template strips messages.
    change
        Changes an answer before it is sent.
    pause
        Seconds before each answer.
    most
        Most requests that it was answering at once.
    """

    def __init__(self) -> None:
        self.refuses, self.knows, self.strips, self.pause = "", True, False, 0.0
        self.change: Change = lambda answer: answer
        self.bodies: list[dict[str, Any]] = []
        self.most, self._now, self._lock = 0, 0, threading.Lock()
        self._ids: dict[str, int] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.path == "/v1/models"
                outer.send(self, 200 if known else 404, {"data": [{"id": "m", "max_model_len": 4096}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/v1/chat/completions":
                    outer.send(self, 404, {"message": "Not Found"})
                    return
                with outer._lock:
                    outer.bodies.append(body)
                    outer._now += 1
                    outer.most = max(outer.most, outer._now)
                time.sleep(outer.pause)
                status, answer = outer.answer(body)
                with outer._lock:
                    outer._now -= 1
                outer.send(self, status, answer, stream=body.get("stream", False))

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def send(self, request: BaseHTTPRequestHandler, status: int, answer: Any, *, stream: bool = False) -> None:
        data = json.dumps(answer).encode()
        if stream and status == 200:
            choice = answer["choices"][0]
            part = {"delta": choice["message"], "finish_reason": choice["finish_reason"]}
            event = json.dumps({"choices": [part], "usage": answer["usage"]}).encode()
            data = b"data: " + event + b"\n\ndata: [DONE]\n\n"
        try:
            request.send_response(status)
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)
        except OSError:
            pass  # the client left

    def answer(self, body: dict[str, Any]) -> tuple[int, Any]:
        if not self.knows:
            body = {k: v for k, v in body.items() if k not in ("prompt_logprobs", "continue_final_message")}
        if "prompt_logprobs" in body and (self.refuses or body.get("stream")):
            return 400, {"error": {"message": self.refuses or "not available when `stream=True`", "code": 400}}
        if body.get("continue_final_message") and body.get("add_generation_prompt", True):
            return 400, {"error": {"message": "Cannot set both", "code": 400}}
        goes_on = body.get("continue_final_message", False)
        pieces = [f"<|im_start|>{m['role']}\n{self._said(m)}{END}\n" for m in body["messages"]]
        begun = self._said(body["messages"][-1]) if goes_on else ""
        prompt = "".join(pieces).removesuffix(f"{END}\n") if goes_on else "".join(pieces)
        text, finish = self._written(begun, body["max_tokens"], body.get("stop", []))
        tokens = TOKENS.findall(prompt)
        sure = [{"token": t, "logprob": -0.5, "top_logprobs": []} for t in TOKENS.findall(text)]
        answer: dict[str, Any] = {
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": finish,
                    "logprobs": {"content": sure} if body.get("logprobs") else None,
                }
            ],
            "usage": {"prompt_tokens": len(tokens), "completion_tokens": len(sure)},
            "prompt_logprobs": None,
            "prompt_token_ids": [self._id(t) for t in tokens] if body.get("return_token_ids") else None,
        }
        if "prompt_logprobs" in body:
            answer["prompt_logprobs"] = [None, *(self._row(t, body["prompt_logprobs"]) for t in tokens[1:])]
        return 200, self.change(answer)

    def _said(self, message: dict[str, str]) -> str:
        return message["content"].strip() if self.strips else message["content"]

    def _id(self, token: str) -> int:
        with self._lock:
            return self._ids.setdefault(token, 100 + len(self._ids))

    def _row(self, token: str, most: int) -> dict[str, Any]:
        """Return what stands there first, whatever its rank, and the likeliest."""
        best = {" <": (" <=", " >", END), "<": ("<=", ">", END)}.get(token, (token, " other", END))[:most]
        chances = {t: -0.1 - i for i, t in enumerate(best)}
        order = [token, *(t for t in best if t != token)]
        return {
            str(self._id(t)): {
                "logprob": chances.get(t, -4.0),
                "rank": best.index(t) + 1 if t in best else 9,
                "decoded_token": t,
            }
            for t in order
        }

    def _written(self, begun: str, room: int, stop: list[str]) -> tuple[str, str]:
        """Go on as `OWN` does after the longest end that they share; else write `OWN` in a block."""
        shared = next((n for n in range(len(begun), 0, -1) if begun[-n:] in OWN), 0)
        at = OWN.index(begun[-shared:]) + shared if shared else 0
        at = 0 if begun.endswith(PREFIX) else at
        rest = f"{OWN[at:]}```" if begun else f"{PREFIX}{OWN}```"
        tokens = TOKENS.findall(rest)
        text = "".join(tokens[:room])
        ends = [i for s in stop if (i := text.find(s)) >= 0]
        if ends:
            return text[: min(ends)], "stop"
        return text, "stop" if len(tokens) <= room else "length"


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    monkeypatch.setattr(transport, "DELAYS", (0.01, 0.01, 0.01))
    server = Standin()
    yield server
    server.close()


def scorer(standin: Standin) -> ScoringServer:
    model = connect(standin.address)
    assert isinstance(model, ScoringServer)
    return model


def doubted(scores: list[TokenScore]) -> tuple[TokenScore, dict[str, int]]:
    """Return the token that the stand-in would have written otherwise, and the others by their text."""
    found = next(s for s in scores if s.alternatives and s.alternatives[0].logprob > s.logprob)
    return found, {a.text: a.token for a in found.alternatives}


def test_one_request_finds_out_what_it_is(standin: Standin) -> None:
    model = connect(standin.address)
    assert isinstance(model, Scorer)
    (asked,) = standin.bodies
    assert asked["max_tokens"] == 1
    assert asked["messages"][-1]["role"] == "assistant"
    assert "stream" not in asked


def refuse(standin: Standin) -> None:
    standin.refuses = "Requested prompt logprobs of 20, which is greater than max allowed: 5"


def ignore(standin: Standin) -> None:
    standin.knows = False


def garble(standin: Standin) -> None:
    standin.change = lambda answer: {**answer, "prompt_logprobs": "yes"}


def leave_out(standin: Standin) -> None:
    standin.change = lambda answer: {k: v for k, v in answer.items() if k != "prompt_logprobs"}


def drop_spaces(standin: Standin) -> None:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        rows = [other_text(row) if row else row for row in answer["prompt_logprobs"] or []]
        return {**answer, "prompt_logprobs": rows}

    standin.change = change


@pytest.mark.parametrize("kind", [refuse, ignore, garble, leave_out, drop_spaces])
def test_any_other_server_is_used_as_before(standin: Standin, kind: Callable[[Standin], None]) -> None:
    kind(standin)
    model = connect(standin.address)
    assert type(model) is Server
    assert not isinstance(model, Scorer)
    reply = model.chat(ASK, max_tokens=90, prefix=PREFIX, stop=["\n```"])
    assert reply.text.strip() == OWN.strip()
    assert "continue_final_message" not in standin.bodies[-1]


def test_what_is_wrong_is_said_when_the_model_is_asked_something(standin: Standin) -> None:
    standin.answer = lambda _: (401, {"error": "no key"})  # type: ignore[method-assign]
    model = connect(standin.address)
    assert not isinstance(model, Scorer)
    with pytest.raises(ModelError, match="LOOM_API_KEY"):
        model.chat(ASK, max_tokens=9)


def test_a_text_is_scored(standin: Standin) -> None:
    scores, usage = scorer(standin).score(ASK, UNIT, prefix=PREFIX, top=20)
    assert "".join(s.text for s in scores) == UNIT
    assert [s.index for s in scores] == list(range(len(scores)))
    assert all(UNIT.startswith(s.text, s.start) for s in scores)
    found, others = doubted(scores)
    assert (found.text, found.logprob) == (" <", -4.0)
    assert list(others)[:2] == [" <=", " >"]
    assert others.keys() == {" <=", " >", ""}  # the token that ends a message is no text
    assert usage.prompt_tokens > len(scores)
    assert standin.bodies[-1]["prompt_logprobs"] == 20


def test_no_more_alternatives_than_asked_for(standin: Standin) -> None:
    scores, _ = scorer(standin).score(ASK, UNIT, top=1)
    assert max(len(s.alternatives) for s in scores) == 1


@pytest.mark.parametrize("told", [True, False])
def test_which_token_stands_there(standin: Standin, told: bool) -> None:
    """By its id where the server tells the ids, whatever order its entries are in; else it comes first."""

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        if told:
            rows = answer["prompt_logprobs"]
            answer["prompt_logprobs"] = [dict(reversed(row.items())) if row else row for row in rows]
        else:
            del answer["prompt_token_ids"]
        return answer

    model = scorer(standin)
    standin.change = change
    scores, _ = model.score(ASK, UNIT, prefix=PREFIX)
    assert "".join(s.text for s in scores) == UNIT


def test_half_characters_come_as_nothing_before_the_whole(standin: Standin) -> None:
    text = 'x = "é"\n'

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        rows, ids = answer["prompt_logprobs"], answer["prompt_token_ids"]
        at = next(i for i, row in enumerate(rows) if row and row[str(ids[i])]["decoded_token"] == "é")
        rows.insert(at, {"7": {"logprob": -1.0, "rank": 1, "decoded_token": ""}})
        ids.insert(at, 7)
        return answer

    model = scorer(standin)
    standin.change = change
    scores, _ = model.score(ASK, text)
    assert "".join(s.text for s in scores) == text
    assert [s.start for s in scores if s.text in ("", "é")] == [text.index("é")] * 2


@pytest.mark.parametrize("text", ["    return 1\n", " return 1\n"])
def test_a_token_across_the_prefix_s_end_is_left_out(standin: Standin, text: str) -> None:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        """Merge the prefix's last line feed with the first token of the text."""
        rows, ids = answer["prompt_logprobs"], answer["prompt_token_ids"]
        words = [row[str(ids[i])]["decoded_token"] if row else "" for i, row in enumerate(rows)]
        at = len(words) - 1 - words[::-1].index("python") + 1
        both = words[at] + words[at + 1]
        rows[at : at + 2] = [{"7": {"logprob": -1.0, "rank": 1, "decoded_token": both}}]
        ids[at : at + 2] = [7]
        return answer

    model = scorer(standin)
    standin.change = change
    scores, _ = model.score(ASK, text, prefix=PREFIX)
    assert scores[0].index == 0
    assert text[scores[0].start :] == "".join(s.text for s in scores)
    assert 0 < scores[0].start < len(text)


def test_a_template_that_strips_the_message_costs_its_end_only(standin: Standin) -> None:
    model = scorer(standin)
    standin.strips = True
    scores, _ = model.score(ASK, UNIT, prefix=PREFIX)
    assert "".join(s.text for s in scores) == UNIT.rstrip()


def other_text(row: dict[str, Any]) -> dict[str, Any]:
    return {token: {**said, "decoded_token": said["decoded_token"].lstrip()} for token, said in row.items()}


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda rows: [other_text(row) if row else row for row in rows],  # without the space before a word
        lambda rows: [*rows[:-3], None, *rows[-2:]],
        lambda rows: rows[-4:],
        lambda rows: [*rows[:-1], {}],
        lambda rows: [*rows[:-1], {"9": {"rank": 1}}],
        lambda rows: [],
    ],
)
def test_tokens_that_do_not_join_to_the_text_give_no_scores(standin: Standin, spoilt: Change) -> None:
    model = scorer(standin)
    standin.change = lambda answer: {
        **answer,
        "prompt_logprobs": spoilt(answer["prompt_logprobs"]),
        "prompt_token_ids": None,
    }
    assert model.score(ASK, UNIT, prefix=PREFIX)[0] == []
    assert list(model.branch(ASK, UNIT, [Branch(3, 100)], prefix=PREFIX)) == []


def test_a_text_that_the_server_refuses_has_no_scores(standin: Standin) -> None:
    model = scorer(standin)
    refuse(standin)
    assert model.score(ASK, UNIT)[0] == []


def test_a_branch_is_the_line_that_it_would_write(standin: Standin) -> None:
    model = scorer(standin)
    found, others = doubted(model.score(ASK, UNIT, prefix=PREFIX, top=20)[0])
    asked = len(standin.bodies)
    branches = [Branch(found.index, token) for token in others.values()]
    said = {c.branch: c for c in model.branch(ASK, UNIT, [*branches, Branch(999, 1)], prefix=PREFIX)}
    assert said.keys() == {Branch(found.index, others[" <="]), Branch(found.index, others[" >"])}
    best = said[Branch(found.index, others[" <="])]
    assert (best.text, best.finish) == (" <= 2:", "stop")
    assert (best.logprob, best.usage.completion_tokens) == (-1.0, 2)
    body = next(b for b in standin.bodies[asked:] if b["messages"][-1]["content"].endswith(" <="))
    assert body["messages"][-1]["content"] == f"{PREFIX}def price(w):\n    if w <="
    assert (body["temperature"], body["stop"], body["max_tokens"]) == (0.0, ["\n"], 63)
    assert body["continue_final_message"] is True
    assert body["add_generation_prompt"] is False
    assert len(standin.bodies) - asked == 2  # the text is not scored again


def test_its_doubts_lead_to_what_it_would_have_written(standin: Standin) -> None:
    model = scorer(standin)
    scores, _ = model.score(ASK, UNIT, prefix=PREFIX, top=20)
    by_branch = {doubt.branch: doubt for doubt in doubts(UNIT, scores, 30, python=True)}
    said = list(model.branch(ASK, UNIT, list(by_branch), prefix=PREFIX))
    assert len(said) == len(by_branch) > 2
    assert OWN in [c.text for s in said for c in line_candidates(UNIT, by_branch[s.branch], s.text)]


def test_a_branch_ends_where_there_is_no_more_room(standin: Standin) -> None:
    model = scorer(standin)
    found, others = doubted(model.score(ASK, UNIT, prefix=PREFIX, top=20)[0])
    place = Branch(found.index, others[" <="])
    (said,) = model.branch(ASK, UNIT, [place], prefix=PREFIX, max_tokens=2)
    assert (said.text, said.finish) == (" <= 2", "length")
    (said,) = model.branch(ASK, UNIT, [place], prefix=PREFIX, stop=["="])
    assert (said.text, said.finish) == (" <", "stop")


def test_branches_of_a_text_that_was_not_scored_last(standin: Standin) -> None:
    model = scorer(standin)
    found, others = doubted(model.score(ASK, UNIT, prefix=PREFIX, top=20)[0])
    model.score(ASK, "something else")
    said = list(model.branch(ASK, UNIT, [Branch(found.index, t) for t in others.values()], prefix=PREFIX))
    assert {c.branch.token: c.text for c in said}[others[" <="]] == " <= 2:"
    assert len(said) == 2
    assert sum(c.usage.prompt_tokens > 0 for c in said) == 1


def test_a_branch_that_is_refused_or_only_thought_about_is_left_out(standin: Standin) -> None:
    model = scorer(standin)
    found, others = doubted(model.score(ASK, UNIT, top=20)[0])
    place = Branch(found.index, others[" <="])

    def thinks(answer: dict[str, Any]) -> dict[str, Any]:
        answer["choices"][0]["message"] = {"role": "assistant", "content": None, "reasoning": "Hm."}
        return answer

    standin.change = thinks
    assert list(model.branch(ASK, UNIT, [place])) == []
    standin.answer = lambda _: (400, {"error": "no"})  # type: ignore[method-assign]
    assert list(model.branch(ASK, UNIT, [place])) == []
    standin.answer = lambda _: (401, {"error": "no key"})  # type: ignore[method-assign]
    with pytest.raises(ModelError, match="LOOM_API_KEY"):
        list(model.branch(ASK, UNIT, [place]))


def test_a_reply_goes_on_after_its_prefix(standin: Standin) -> None:
    reply = scorer(standin).chat(ASK, max_tokens=90, prefix=PREFIX, stop=["\n```"])
    assert reply.text == OWN.rstrip("\n")
    assert standin.bodies[-1]["continue_final_message"] is True
    assert standin.bodies[-1]["stop"] == ["\n```"]


def test_samples_are_drawn_side_by_side(standin: Standin) -> None:
    model = scorer(standin)
    standin.pause = 0.2
    heat = [0.2, 0.4, 0.6, 0.8]
    replies = list(model.sample(ASK, heat, max_tokens=90, prefix=PREFIX, stop=["\n```"]))
    assert [r.text for r in replies] == [OWN.rstrip("\n")] * 4
    assert sorted(b["temperature"] for b in standin.bodies[-4:]) == heat
    assert standin.most == 4


@pytest.mark.parametrize("what", ["score", "branch", "sample"])
def test_stop_lets_go_at_once(standin: Standin, what: str) -> None:
    model = scorer(standin)
    found, others = doubted(model.score(ASK, UNIT, top=20)[0])
    branches = [Branch(found.index, token) for token in others.values()]
    calls: dict[str, Callable[[], Any]] = {
        "score": lambda: model.score(ASK, UNIT, cancel=cancel),
        "branch": lambda: list(model.branch(ASK, UNIT, branches, cancel=cancel)),
        "sample": lambda: list(model.sample(ASK, [0.5] * 40, max_tokens=9, cancel=cancel)),
    }
    standin.pause = 5.0
    cancel, pressed = threading.Event(), [0.0]

    def press() -> None:
        pressed[0] = time.monotonic()
        cancel.set()

    threading.Timer(0.3, press).start()
    with pytest.raises(Cancelled):
        calls[what]()
    assert time.monotonic() - pressed[0] < 0.5


def test_who_stops_listening_ends_the_work(standin: Standin) -> None:
    model = scorer(standin)
    slow = threading.Event()

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        if slow.is_set():
            time.sleep(5)
        slow.set()
        return answer

    standin.change = change
    samples = iter(model.sample(ASK, [0.5] * 4, max_tokens=90))
    next(samples)
    began = time.monotonic()
    samples.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 1


def test_a_recording_answers_like_the_server(standin: Standin) -> None:
    lines: list[Any] = []
    kept = recorder(scorer(standin), lines.append)

    def told(model: Any) -> tuple[list[TokenScore], list[Continuation], list[str]]:
        scores, _ = model.score(ASK, UNIT, prefix=PREFIX, top=20)
        found, others = doubted(scores)
        said = model.branch(ASK, UNIT, [Branch(found.index, t) for t in others.values()], prefix=PREFIX)
        return scores, list(said), [r.text for r in model.sample(ASK, [0.5, 0.9], max_tokens=90)]

    first = told(kept)
    again = recorded(json.loads(json.dumps(lines)))
    assert isinstance(again, Scorer)
    standin.close()
    assert told(again) == first
