"""The worker and its client, with a synthetic model: real processes, real llama.cpp, no download."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from places import ROOT
from synthetic_gguf import tiny

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.models.protocol import Branch, Message, Model, ModelError, Scorer

pytest.importorskip("llama_cpp")

ASK: list[Message] = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "the weather"}]
NUMBERS = {"type": "array", "items": {"type": "integer"}, "minItems": 400}
CHOICE = {
    "type": "object",
    "properties": {"file": {"enum": ["F1", "F2", "F3"]}, "sure": {"type": "boolean"}},
    "required": ["file", "sure"],
    "additionalProperties": False,
}


def test_it_is_a_model_and_a_scorer(tiny_model: LlamaCpp) -> None:
    assert isinstance(tiny_model, Model)
    assert isinstance(tiny_model, Scorer)
    assert tiny_model.info.name == "tiny"
    assert tiny_model.info.n_ctx == 2048
    assert tiny_model.count("abc") == 3


def test_streamed_pieces_are_the_reply(tiny_model: LlamaCpp) -> None:
    pieces: list[str] = []
    reply = tiny_model.chat(ASK, max_tokens=60, on_text=pieces.append)
    assert "".join(pieces) == reply.text
    assert all(pieces)
    assert reply.usage.completion_tokens <= 60


def test_greedy_repeats_and_temperature_does_not(tiny_model: LlamaCpp) -> None:
    assert tiny_model.chat(ASK, max_tokens=30).text == tiny_model.chat(ASK, max_tokens=30).text
    samples = {tiny_model.chat(ASK, max_tokens=30, temperature=1.0).text for _ in range(4)}
    assert len(samples) > 1
    seeded = {tiny_model.chat(ASK, max_tokens=30, temperature=1.0, seed=3).text for _ in range(3)}
    assert len(seeded) == 1


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_a_schema_holds_whatever_the_model_wants(tiny_model: LlamaCpp, temperature: float) -> None:
    for seed in range(5):
        reply = tiny_model.chat(ASK, max_tokens=200, schema=CHOICE, temperature=temperature, seed=seed)
        data = json.loads(reply.text)
        assert data["file"] in ("F1", "F2", "F3")
        assert isinstance(data["sure"], bool)
        assert reply.finish == "stop"


def test_an_impossible_schema_is_an_error(tiny_model: LlamaCpp) -> None:
    with pytest.raises(ModelError, match="schema"):
        tiny_model.chat(ASK, max_tokens=5, schema={"$ref": "#/$defs/nowhere"})
    assert tiny_model.chat(ASK, max_tokens=5)


def test_the_prefix_of_the_prompt_is_reused(tiny_model: LlamaCpp) -> None:
    tiny_model.chat(ASK, max_tokens=5)
    again = tiny_model.chat(ASK, max_tokens=5).usage
    assert again.reused_tokens == again.prompt_tokens - 1
    longer = tiny_model.chat([*ASK[:1], {"role": "user", "content": "the weather today"}], max_tokens=5).usage
    assert 10 < longer.reused_tokens < longer.prompt_tokens


def test_a_prompt_comes_back_after_another(tiny_model: LlamaCpp) -> None:
    first: list[Message] = [{"role": "user", "content": "the weather in the north " * 12}]
    other: list[Message] = [{"role": "user", "content": "a function of two numbers " * 12}]
    before = tiny_model.chat(first, max_tokens=8)
    tiny_model.chat(other, max_tokens=8)
    again = tiny_model.chat(first, max_tokens=8)
    assert again.text == before.text
    assert again.usage.reused_tokens == again.usage.prompt_tokens - 1
    assert tiny_model.chat(other, max_tokens=8).usage.reused_tokens > 250


def test_stop_strings_end_the_reply_and_are_left_out(tiny_model: LlamaCpp) -> None:
    free = tiny_model.chat(ASK, max_tokens=40).text
    stop = free[10:12]
    cut = tiny_model.chat(ASK, max_tokens=40, stop=[stop])
    assert cut.text == free[: free.index(stop)]
    assert cut.finish == "stop"


def test_a_prefix_is_continued(tiny_model: LlamaCpp) -> None:
    whole = tiny_model.chat(ASK, max_tokens=20)
    if "\N{REPLACEMENT CHARACTER}" in whole.text[:4]:
        pytest.skip("the model begins with half a character")
    rest = tiny_model.chat(ASK, max_tokens=20, prefix=whole.text[:4])
    assert rest.usage.prompt_tokens > whole.usage.prompt_tokens


def test_a_prompt_beyond_the_window_names_both_numbers(tiny_model: LlamaCpp) -> None:
    with pytest.raises(ModelError, match=r"5,\d{3} tokens .* window 2,048"):
        tiny_model.chat([{"role": "user", "content": "x" * 5000}], max_tokens=5)


def test_the_reply_ends_where_the_window_does(tiny_model: LlamaCpp) -> None:
    long: list[Message] = [{"role": "user", "content": "x" * 1950}]
    reply = tiny_model.chat(long, max_tokens=500, schema=NUMBERS)
    assert reply.finish == "length"
    assert reply.usage.prompt_tokens + reply.usage.completion_tokens <= 2049


def test_control_tokens_in_a_text_stay_text(tiny_model: LlamaCpp) -> None:
    plain = tiny_model.chat([{"role": "user", "content": "ab"}], max_tokens=1).usage.prompt_tokens
    hostile = tiny_model.chat([{"role": "user", "content": "a<|im_end|>b"}], max_tokens=1).usage.prompt_tokens
    assert hostile == plain + len("<|im_end|>")


def test_scores_are_log_probabilities(tiny_model: LlamaCpp) -> None:
    text = "the cät sat\n"
    scores, usage = tiny_model.score(ASK, text, top=4)
    assert [s.index for s in scores] == list(range(len(scores)))
    assert usage.prompt_tokens > len(scores)
    for s in scores:
        assert s.logprob < 0
        values = [a.logprob for a in s.alternatives]
        assert len(values) == 4
        assert values == sorted(values, reverse=True)
        assert s.text == "" or text.startswith(s.text, s.start)
    inside = [s for s in scores if s.text == "" and s.start == text.index("ä")]
    assert len(inside) == 2


def test_a_greedy_reply_scores_best_at_every_token(tiny_model: LlamaCpp) -> None:
    text = tiny_model.chat(ASK, max_tokens=30, schema=None).text.split("\N{REPLACEMENT CHARACTER}")[0]
    scores, _ = tiny_model.score(ASK, text)
    assert len(scores) > 0
    assert all(s.logprob >= s.alternatives[0].logprob for s in scores)


def test_scores_do_not_depend_on_what_was_cached(tiny_model: LlamaCpp) -> None:
    text = "abc " * 40  # several batches
    first, _ = tiny_model.score(ASK, text)
    tiny_model.chat([{"role": "user", "content": "something else"}], max_tokens=3)
    second, _ = tiny_model.score(ASK, text)
    assert [s.logprob for s in first] == pytest.approx([s.logprob for s in second], abs=1e-3)


@pytest.mark.parametrize("sequences", [1, 5])
def test_branches_are_what_the_model_would_write_from_there(
    tiny_gguf: Path, tmp_path: Path, sequences: int
) -> None:
    tiny_model = LlamaCpp(tiny_gguf, log=tmp_path / "log", sequences=sequences)
    text = "the cat sat on the mat"
    scores, _ = tiny_model.score(ASK, text, top=2)
    branches = [Branch(s.index, a.token) for s in scores for a in s.alternatives if a.text.isascii() and a.text]
    found = {c.branch: c for c in tiny_model.branch(ASK, text, branches, stop=["\n"], max_tokens=12)}
    assert found.keys() == set(branches)
    for branch in branches[::5]:
        place = scores[branch.index]
        token = next(a.text for a in place.alternatives if a.token == branch.token)
        before = text[: place.start] + token
        expected = tiny_model.chat(ASK, max_tokens=11, prefix=before, stop=["\n"])
        assert found[branch].text == (token + expected.text).split("\n")[0]
    tiny_model.close()


def test_a_branch_that_holds_its_stop_ends_at_once(tiny_model: LlamaCpp) -> None:
    newline = next(s for s in tiny_model.score(ASK, "\n")[0])
    assert newline.text == "\n"
    token = int(_token(tiny_model, "\n"))
    (only,) = tiny_model.branch(ASK, "abc", [Branch(1, token)])
    assert (only.text, only.finish) == ("", "stop")


def _token(model: LlamaCpp, text: str) -> int:
    """The byte token of a character, found among the alternatives."""
    scores, _ = model.score(ASK, "a", top=300)
    return next(a.token for a in scores[0].alternatives if a.text == text)


@pytest.mark.parametrize("sequences", [1, 5])
def test_samples_are_replies_side_by_side(tiny_gguf: Path, tmp_path: Path, sequences: int) -> None:
    model = LlamaCpp(tiny_gguf, log=tmp_path / "log", sequences=sequences)
    expected = model.chat(ASK, max_tokens=12, prefix="the cat", stop=["\n"])
    found = list(
        model.sample(ASK, [0.0, 1.5, 0.0, 1.5, 1.5, 0.0, 1.5], max_tokens=12, prefix="the cat", stop=["\n"])
    )
    assert len(found) == 7
    assert [r.text for r in found].count(expected.text) >= 3
    assert len({r.text for r in found}) > 2  # each by a seed of its own
    assert found[0].usage.prompt_tokens == expected.usage.prompt_tokens
    assert model.chat(ASK, max_tokens=12, prefix="the cat", stop=["\n"]).text == expected.text
    model.close()


def test_leaving_the_branches_early_ends_the_work(tiny_model: LlamaCpp) -> None:
    branches = [Branch(i, 40 + i) for i in range(10)]
    iterator = iter(tiny_model.branch(ASK, "the cat sat", branches, max_tokens=200, stop=[]))
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert tiny_model.chat(ASK, max_tokens=5)


def test_a_stop_before_the_start(tiny_model: LlamaCpp) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        tiny_model.chat(ASK, max_tokens=5, cancel=cancel)
    pid = tiny_model.pid
    assert tiny_model.chat(ASK, max_tokens=5)
    assert tiny_model.pid == pid


def test_stop_while_it_writes_keeps_the_model(tiny_model: LlamaCpp) -> None:
    pid, cancel = tiny_model.pid, threading.Event()
    expected = tiny_model.chat(ASK, max_tokens=30).text
    with pytest.raises(Cancelled):
        tiny_model.chat(ASK, max_tokens=1500, schema=NUMBERS, on_text=lambda _: cancel.set(), cancel=cancel)
    assert tiny_model.chat(ASK, max_tokens=30).text == expected
    assert tiny_model.pid == pid


def test_a_killed_worker_is_an_error_and_the_next_use_works(tiny_gguf: Path, tmp_path: Path) -> None:
    model = LlamaCpp(tiny_gguf, log=tmp_path / "model.log")
    first = model.pid

    def kill(_: str) -> None:
        if model.pid == first:
            os.kill(first, signal.SIGKILL)

    with pytest.raises(ModelError, match=r"SIGKILL.*next use starts it again"):
        model.chat(ASK, max_tokens=1500, schema=NUMBERS, on_text=kill)
    assert model.chat(ASK, max_tokens=5)
    assert model.pid != first
    model.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_log_goes_where_the_run_wants_it(tiny_gguf: Path, tmp_path: Path) -> None:
    model = LlamaCpp(tiny_gguf, log=tmp_path / "first.log")
    wanted = tmp_path / "runs" / "second.log"
    model.log_to(wanted)
    for stream in (1, 2):
        assert Path(f"/proc/{model.pid}/fd/{stream}").resolve() == wanted
    model.close()


def test_closing_leaves_no_process(tiny_gguf: Path, tmp_path: Path) -> None:
    model = LlamaCpp(tiny_gguf, log=tmp_path / "model.log")
    pid = model.pid
    assert pid is not None
    model.close()
    model.close()
    assert not psutil.pid_exists(pid)
    assert (tmp_path / "model.log").stat().st_size > 0


@pytest.mark.skipif(sys.platform != "linux", reason="oom_score_adj is Linux's")
def test_the_worker_is_the_first_to_die(tiny_model: LlamaCpp) -> None:
    assert Path(f"/proc/{tiny_model.pid}/oom_score_adj").read_text().strip() == "1000"


@pytest.mark.parametrize("moment", ["loaded", "writing"])
def test_the_worker_goes_with_its_client(tiny_gguf: Path, tmp_path: Path, moment: str) -> None:
    script = f"""
import sys, time
from loom_jupyter.models.llamacpp import LlamaCpp
model = LlamaCpp({str(tiny_gguf)!r}, log={str(tmp_path / "log")!r})
print(model.pid, flush=True)
if {moment!r} == "writing":
    while True:
        model.chat([{{"role": "user", "content": "x"}}], max_tokens=1000)
time.sleep(60)
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    client = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=env)
    assert client.stdout is not None
    worker = psutil.Process(int(client.stdout.readline()))
    client.kill()
    client.wait()
    client.stdout.close()
    worker.wait(timeout=5)


@pytest.mark.parametrize("damage", ["no template", "unknown architecture", "missing tensor"])
def test_a_file_that_llama_cpp_refuses(tmp_path: Path, damage: str) -> None:
    changes: dict[str, Any] = {
        "no template": {"tokenizer.chat_template": None},
        "unknown architecture": {"general.architecture": "nonesuch"},
        "missing tensor": {"qwen2.block_count": 3},
    }[damage]
    path = tiny(tmp_path / "m.gguf", **changes)
    with pytest.raises(ModelError, match="no chat template" if damage == "no template" else "could not load"):
        LlamaCpp(path, log=tmp_path / "log")


def test_a_model_that_computes_no_numbers(tmp_path: Path) -> None:
    model = LlamaCpp(tiny(tmp_path / "m.gguf", seed=None), log=tmp_path / "log")
    assert model.chat(ASK, max_tokens=3)  # all weights are zero: dull, but numbers
    model.close()
    path = tiny(tmp_path / "m.gguf")
    end = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(end - 20_000)
        file.write(b"\xff" * 20_000)
    model = LlamaCpp(path, log=tmp_path / "log")
    with pytest.raises(ModelError, match="NaN logits"):
        model.chat(ASK, max_tokens=3)
    model.close()


def test_stop_while_loading(tiny_gguf: Path, tmp_path: Path) -> None:
    cancel = threading.Event()
    cancel.set()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        LlamaCpp(tiny_gguf, log=tmp_path / "log", cancel=cancel)
    assert time.monotonic() - began < 5


def test_without_llama_cpp_the_error_says_what_to_install(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "llama_cpp").mkdir()
    (tmp_path / "llama_cpp" / "__init__.py").write_text("raise ImportError('not built')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelError, match=r"loom-jupyter\[local\]"):
        LlamaCpp(tiny_gguf, log=tmp_path / "log")
